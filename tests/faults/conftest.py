"""The same server and accounts as for the real programs."""

from tests.interop.conftest import account, new_account, server

__all__ = ["account", "new_account", "server"]
