"""Saying that a command takes its time: INPROGRESS (RFC 9585)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from pennypost.proto.imap.commands.copy import Copy
from pennypost.proto.imap.commands.esearch import SearchMailboxes
from pennypost.proto.imap.commands.expunge import Expunge
from pennypost.proto.imap.commands.move import Move
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.commands.thread import Thread
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Condition, untagged
from pennypost.servers.imap.session import Session

_WATCHED = (Copy, Expunge, Move, Search, SearchMailboxes, Sort, Thread)
"""Commands that may be long at work and write whole lines only: one more fits between any two."""


@contextmanager
def told(session: Session, body: object) -> Iterator[None]:
    """Tell the client now and then, while a command runs, that it does."""
    if not isinstance(body, _WATCHED):
        yield
        return
    loop = asyncio.get_running_loop()
    seconds = session.door.settings.progress_interval.total_seconds()

    timer: asyncio.TimerHandle

    def tell() -> None:
        nonlocal timer
        session.write(untagged(Condition.OK, "Still working", codes.inprogress(session.tag)))
        session.send_gathered()
        timer = loop.call_later(seconds, tell)

    timer = loop.call_later(seconds, tell)
    try:
        yield
    finally:
        timer.cancel()
