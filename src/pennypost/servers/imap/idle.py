"""IDLE (RFC 9051 §6.3.13, RFC 2177)."""

import asyncio

from pennypost.proto.imap.commands.idle import Idle
from pennypost.proto.imap.events import BadCommand, IdleDone
from pennypost.proto.imap.responses.status import Condition, Tagged, bad, ok, untagged
from pennypost.servers.imap import news
from pennypost.servers.imap.session import Session


async def idle(session: Session, command: Idle) -> Tagged:
    """Tell what changes in the open mailbox, as it happens, until the client says DONE.

    A commit of any worker that touches the account wakes the pending read. Without a mailbox open there is nothing to
    tell but what NOTIFY asked for. The continuation request goes first: Thunderbird loses track of news ahead of it.
    Now and then the client hears that we are still here: that shows both sides a connection that was cut.
    """
    session.write(session.machine.continue_())
    connection, selected = session.connection, session.selected
    unsubscribe = None
    if selected is not None:
        # Subscribe first, look second: what is committed between the two is not missed.
        unsubscribe = session.door.store.subscribe(selected.account, lambda _: connection.interrupt())
    keepalive = _Keepalive(session)
    try:
        while True:
            await news.tell(session, news.News.ALL)
            if session.watch is not None:
                await session.watch.tell_others()  # RFC 5465 §4: the events that NOTIFY named, no others
            match await session.next_event():
                case IdleDone():
                    return ok("IDLE terminated")
                case BadCommand(reason=reason):
                    return bad(reason)
                case None:
                    if keepalive.take():
                        session.write(untagged(Condition.OK, "Still here"))
                case unexpected:
                    raise AssertionError(f"{type(unexpected).__name__} while idling")
    finally:
        keepalive.stop()
        if unsubscribe is not None:
            unsubscribe()


class _Keepalive:
    """Wakes the connection at an interval."""

    def __init__(self, session: Session) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = session.connection
        self._seconds = session.door.settings.keepalive_interval.total_seconds()
        self._due = False
        self._timer = self._loop.call_later(self._seconds, self._ring)

    def _ring(self) -> None:
        self._due = True
        self._connection.interrupt()
        self._timer = self._loop.call_later(self._seconds, self._ring)

    def take(self) -> bool:
        """Whether it rang since it was last asked."""
        due, self._due = self._due, False
        return due

    def stop(self) -> None:
        self._timer.cancel()
