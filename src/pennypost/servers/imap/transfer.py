"""What COPY and MOVE have in common: the target, the messages, COPYUID (RFC 9051 §6.4.7–6.4.8)."""

from pennypost.model.errors import NoSuchMailbox
from pennypost.model.ids import AccountId
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.codes import ResponseCode
from pennypost.proto.imap.responses.search import uid_set
from pennypost.proto.imap.responses.status import no
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap import message_limit
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session
from pennypost.store import across, messages, places
from pennypost.store.acl import Action
from pennypost.store.across import Source
from pennypost.store.engine import Transaction
from pennypost.store.messages import Copied
from pennypost.store.places import Reached


async def transfer(session: Session, chosen: SequenceSet, uid: bool, name: str, *, moving: bool) -> Copied | None:
    """Copy or move messages in one transaction: all or nothing.

    None when no message is named that is there. Raises Refused with TRYCREATE when the mailbox is not there.
    """
    selected, user = session.open_mailbox, session.owner.account
    uids = selected.uids_of(message_limit.trim(session, selected.numbers_of(chosen, uid)))

    async def within(tx: Transaction) -> Copied:
        target = await target_mailbox(tx, user, name)
        if target.account == selected.account == user:
            return await (messages.move if moving else messages.copy)(tx, user, selected.id, uids, target.id)
        await places.recheck(tx, user, selected.account, selected.id, Action.TAKE_OUT if moving else Action.READ)
        source = Source(selected.account, selected.id, selected.reader)
        return await (across.move if moving else across.copy)(tx, source, uids, target)

    copied = await session.door.store.write_rows(within, len(uids))
    if session.watch is not None:
        session.watch.note_arrivals(name, copied.uid_validity, [target for _, target in copied.pairs])
    return copied if copied.pairs else None


async def target_mailbox(tx: Transaction, user: AccountId, name: str) -> Reached:
    """Find the mailbox that messages are to go into; one that is missing may be made (RFC 9051 §6.4.7: TRYCREATE)."""
    try:
        return await places.reach(tx, user, name, Action.INSERT)
    except NoSuchMailbox:
        if not places.is_own(name):
            raise  # whether it may be made is not known
        raise Refused(no(NoSuchMailbox.text, codes.TRYCREATE)) from None


def copyuid(copied: Copied) -> ResponseCode:
    """Write COPYUID (RFC 4315 §3)."""
    sources, targets = zip(*copied.pairs, strict=True)
    return codes.copyuid(copied.uid_validity, uid_set(sources), uid_set(targets))
