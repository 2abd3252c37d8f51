"""asyncio: listeners, connections, TLS contexts, timeouts."""
