"""What COPY and MOVE have in common: the target, the messages, COPYUID (RFC 9051 §6.4.7–6.4.8)."""

from collections.abc import Awaitable, Callable, Sequence

from pennypost.model.errors import NoSuchMailbox
from pennypost.model.ids import AccountId, MailboxId, Uid
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.codes import ResponseCode
from pennypost.proto.imap.responses.search import uid_set
from pennypost.proto.imap.responses.status import no
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session
from pennypost.store import mailboxes
from pennypost.store.engine import Transaction
from pennypost.store.messages import Copied

Operation = Callable[[Transaction, AccountId, MailboxId, Sequence[Uid], MailboxId], Awaitable[Copied]]


async def transfer(session: Session, chosen: SequenceSet, uid: bool, name: str, operation: Operation) -> Copied | None:
    """Run `messages.copy` or `messages.move` in one transaction: all or nothing.

    None when no message is named that is there. Raises Refused with TRYCREATE when the mailbox is not there.
    """
    selected, account = session.open_mailbox, session.owner.account
    uids = selected.uids_of(selected.numbers_of(chosen, uid))

    async def within(tx: Transaction) -> Copied:
        target = await target_mailbox(tx, account, name)
        return await operation(tx, account, selected.id, uids, target)

    copied = await session.door.store.write_rows(within, len(uids))
    return copied if copied.pairs else None


async def target_mailbox(tx: Transaction, account: AccountId, name: str) -> MailboxId:
    """Find the mailbox that messages are to go into; one that is missing may be made (RFC 9051 §6.4.7: TRYCREATE)."""
    try:
        return (await mailboxes.require(tx, account, name)).id
    except NoSuchMailbox:
        raise Refused(no(NoSuchMailbox.text, codes.TRYCREATE)) from None


def copyuid(copied: Copied) -> ResponseCode:
    """Write COPYUID (RFC 4315 §3)."""
    sources, targets = zip(*copied.pairs, strict=True)
    return codes.copyuid(copied.uid_validity, uid_set(sources), uid_set(targets))
