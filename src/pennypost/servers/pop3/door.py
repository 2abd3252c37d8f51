"""The POP3 door of one worker: what all its sessions share."""

from pennypost.mail.authenticate import Authenticator
from pennypost.net.connection import Connection
from pennypost.servers.pop3.session import Session
from pennypost.servers.pop3.settings import Pop3Settings
from pennypost.store.store import Store

REFUSAL = b"-ERR [SYS/TEMP] Too many connections\r\n"
"""What a listener tells a connection beyond its limits."""


class Pop3Door:
    """Serves POP3 connections. `handler` is what a `net.listener.Listener` calls."""

    def __init__(self, store: Store, authenticator: Authenticator, settings: Pop3Settings | None = None) -> None:
        self.store = store
        self.authenticator = authenticator
        self.settings = settings or Pop3Settings()

    async def handler(self, connection: Connection) -> None:
        """Serve one connection from its greeting to its end."""
        await Session(self, connection).run()
