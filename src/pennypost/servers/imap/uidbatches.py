"""UIDBATCHES (RFC 10022)."""

from pennypost.proto.imap.commands.uidbatches import UidBatches
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.search import uidbatches as uidbatches_response
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap.session import Session

MOST_BATCHES = 100_000
"""Batches told of at once: a client with a great mailbox and small batches asks for them in ranges."""


async def uidbatches(session: Session, command: UidBatches) -> Tagged:
    """Cut the mailbox, from its last message on, into batches, and tell the UIDs each begins and ends with.

    A batch ends just before the next one: together they are all UIDs from the greatest in use down to 1.
    """
    uids = session.open_mailbox.view.uids
    last = -(-len(uids) // command.size)
    if command.last is not None:
        last = min(last, command.last)
    if last - command.first >= MOST_BATCHES:
        return no("Too many batches, ask for a range of them", codes.LIMIT)
    batches = []
    for number in range(command.first, last + 1):
        end = len(uids) - (number - 1) * command.size
        start = end - command.size
        high = uids[end - 1] if number == 1 else uids[end] - 1
        batches.append((high, uids[start] if start > 0 else 1))
    session.write(uidbatches_response(session.tag, batches))
    return ok("UIDBATCHES completed")
