"""The `pennypost` command."""
