"""The loopback HTTP door: metrics and health."""
