"""The IMAP door of one worker: what all its sessions share."""

from pennypost.mail.authenticate import Authenticator
from pennypost.mail.prepare import Preparer
from pennypost.net.connection import Connection
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.settings import ImapSettings
from pennypost.store.field_pages import FieldPages
from pennypost.store.read_ahead import ReadAhead
from pennypost.store.sort_columns import SortColumns
from pennypost.store.store import Store
from pennypost.store.view import Views

REFUSAL = b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n"
"""What a connection beyond the limits is told."""


class ImapDoor:
    """Serves IMAP connections. `handler` is what a `net.listener.Listener` calls."""

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        preparer: Preparer,
        settings: ImapSettings,
        max_message_size: int,
        *,
        offers_starttls: bool = True,
    ) -> None:
        """`max_message_size`: octets APPEND takes in (RFC 7889). `offers_starttls`: whether connections in clear may
        become encrypted."""
        self.store = store
        self.authenticator = authenticator
        self.preparer = preparer
        self.max_message_size = max_message_size
        self.settings = settings
        self.offers_starttls = offers_starttls
        self.views = Views(store)
        self.sort_columns = SortColumns(store.engine, store.derived)
        self.read_ahead = ReadAhead(store.engine)
        self.field_pages = FieldPages(store.engine, store.derived)

    async def handler(self, connection: Connection) -> None:
        """Serve one connection from its greeting to its end."""
        await Session(self, connection).run()
