"""Outbound drivers: they speak to other servers on our behalf."""
