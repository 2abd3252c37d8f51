"""EXPUNGE (RFC 9051 §6.4.3) and UID EXPUNGE (RFC 9051 §6.4.9, RFC 4315 §2.1)."""

from pennypost.model.flags import Flags
from pennypost.model.ids import ModSeq, Uid
from pennypost.proto.imap.commands.expunge import Expunge
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.proto.imap.sequence import Ranges
from pennypost.servers.imap import message_limit
from pennypost.servers.imap.errors import require_writable
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session
from pennypost.store import messages
from pennypost.store.acl import Action
from pennypost.store.engine import Transaction
from pennypost.store.places import allowed, recheck


async def expunge(session: Session, command: Expunge) -> Tagged:
    r"""Remove the messages with `\Deleted`, or those of them that are named. The news after it tell which went."""
    selected = session.open_mailbox
    account, user = selected.account, session.owner.account
    require_writable(selected.read_only)
    allowed(selected.rights, Action.EXPUNGE)
    uids = None
    if command.uids is not None:
        numbers = selected.numbers_of(command.uids, uid=True)
        if session.door.settings.message_limit:  # what counts is what would go (RFC 9738 §3.1)
            numbers = message_limit.trim(session, _deleted(selected, numbers))
        uids = selected.uids_of(numbers)
    if uids is not None and not uids:
        return ok("EXPUNGE completed")

    async def operation(tx: Transaction) -> tuple[list[Uid], ModSeq]:
        await recheck(tx, user, account, selected.id, Action.EXPUNGE)
        return await messages.expunge(tx, account, selected.id, uids)

    gone, modseq = await session.door.store.write_large(operation)
    # RFC 7162 §3.2.7, §3.2.9: how far the client is once it has heard of them
    return ok("EXPUNGE completed", codes.highestmodseq(modseq) if gone and session.qresync else None)


def _deleted(selected: Selected, numbers: Ranges) -> Ranges:
    r"""Give those of the messages that have `\Deleted`."""
    return ranges_of(
        number
        for piece in selected.slices(numbers)
        for number, bits in zip(piece.numbers, piece.flags, strict=True)
        if bits & Flags.DELETED
    )
