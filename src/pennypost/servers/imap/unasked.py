"""Data of new messages that the client gets without a FETCH: NOTIFY and UPDATE asked for it before (RFC 5465)."""

from collections.abc import Awaitable, Callable, Sequence

from pennypost.proto.imap.commands.fetch import BinaryItem, BinarySizeItem, FetchAttribute, FetchItem
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.sequence import Ranges
from pennypost.servers.imap import fetch
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session


def teller(session: Session, items: Sequence[FetchItem]) -> Callable[[Sequence[int]], Awaitable[None]] | None:
    """What `send_unasked` is to do later, if anything."""
    return (lambda numbers: send_unasked(session, items, numbers)) if items else None


async def send_unasked(session: Session, items: Sequence[FetchItem], numbers: Sequence[int]) -> None:
    r"""Send data of messages. `\Seen` is set for none of them, and one of which it cannot be told is left out."""
    if not items or not numbers:
        return
    if FetchAttribute.MODSEQ in items:
        session.use_condstore()
    pieces: list[Ranges] = [ranges_of(numbers)]
    if any(isinstance(item, BinaryItem | BinarySizeItem) for item in items):
        pieces = [((number, number),) for number in numbers]
    for piece in pieces:
        try:
            await fetch.send(session, items, piece)
        except Refused:
            continue  # BINARY of a part that is not there, or in an encoding that nobody knows
