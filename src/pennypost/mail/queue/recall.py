"""Taking mail back before it leaves (RFC 4865 §5 leaves it to us how).

Theory of operation
-------------------
A submission that is to be sent later is filed in a mailbox of its sender's, too (`file_copy`): "Scheduled", with the
attribute `\\Scheduled` (RFC 9979), so that every mail program shows what is still to leave. Whoever moves a message
out of there, deletes it, or marks it `\\Deleted`, takes it back: when its time comes, `may_leave` finds it gone, and
nothing is sent. If it is there, it is taken out of the mailbox, in the transaction after which it may be sent: from
then on it is mail that is under way.

`recall` does so at once for any message of an account's that nobody is sending at the moment, also one that waits for
another attempt. What comes back is a draft: without what we have added on the way, and with those recipients in Bcc who
stand in no other field, since they were taken out when it was submitted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pennypost.message import headers
from pennypost.message.addresses import addresses, parse_addresses
from pennypost.message.digest import MessageDigest, digest
from pennypost.model.address import Address
from pennypost.model.errors import BadMailboxName, MailboxLimit
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, QueuedId
from pennypost.model.mailbox import MailboxRole
from pennypost.store import mailboxes, messages, queue, queue_view, scheduled, timeline, transfer
from pennypost.store.engine import Transaction
from pennypost.store.messages import NewMessage
from pennypost.store.queue import QueuedMessage
from pennypost.store.queue_view import Filter
from pennypost.store.scheduled import Copy
from pennypost.store.store import Store
from pennypost.store.timeline import EventKind

MAX_RECIPIENTS = 10_000
"""Recipients of one message that are taken back in one transaction."""

_OURS = (b"received", b"dkim-signature", b"arc-seal", b"arc-message-signature", b"arc-authentication-results")
"""What is added to a message on its way to the queue: a draft is signed anew when it is sent."""
_NAMED_IN = (b"to", b"cc", b"bcc")
_DRAFT = Flags.SEEN | Flags.DRAFT


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was taken back. `recipients`: who gets nothing. `under_way`: to whom it is being sent at this moment.
    `mailbox`: where the draft lies, "" when nothing could be taken back."""

    recipients: tuple[Address, ...]
    under_way: tuple[Address, ...]
    mailbox: str


# -- The draft


def draft_header(header: bytes, recipients: Collection[Address]) -> bytes:
    """Make the header of a draft from that of a queued message. `recipients`: all whom it is for."""
    header = headers.remove(header, _OURS)
    named = {
        address.key
        for field in _NAMED_IN
        for value in headers.values(header, field)
        for address in addresses(parse_addresses(value))
    }
    hidden = [f"<{address}>" for address in recipients if address.key not in named]
    return headers.prepend(header, (b"Bcc", ",\r\n\t".join(hidden).encode())) if hidden else header


async def file_copy(
    tx: Transaction, account: AccountId, name: str, header: bytes, found: MessageDigest, queued: QueuedId
) -> None:
    """File what is to be sent later in its sender's mailbox `name`, which is made if need be: an operation, in the
    transaction that queues it. `header`, `found`: the draft's. Nothing is filed where that mailbox cannot be had.
    Raises OverQuota."""
    message = await queue.message(tx, queued, recipients=False)
    mailbox = await _mailbox(tx, account, MailboxRole.SCHEDULED, name)
    if message is None or mailbox is None:
        return
    new = NewMessage(header, message.blob, message.body_size, found, message.created_at, _DRAFT)
    appended = await messages.append(tx, account, mailbox, new)
    await scheduled.put(tx, Copy(queued, account, mailbox, appended.message))


async def _mailbox(tx: Transaction, account: AccountId, role: MailboxRole, name: str) -> MailboxId | None:
    """Find an account's mailbox with a role, or else with a name; it is made when there is neither."""
    found = await mailboxes.by_role(tx, account, role)
    try:
        if found is None:
            found = await mailboxes.find(tx, account, name)
        if found is None:
            found = await mailboxes.create(tx, account, name, role)
            await mailboxes.subscribe(tx, account, name)
    except (BadMailboxName, MailboxLimit):
        return None
    return found.id if found.selectable else None


# -- When its time comes


async def leaving(store: Store, queued: QueuedId) -> QueuedMessage | None:
    """Give a message whose time has come. None: it was removed, or taken back."""

    async def look(tx: Transaction) -> tuple[Copy | None, QueuedMessage | None]:
        return await scheduled.find(tx, queued), await queue.message(tx, queued, recipients=False)

    shown, message = await store.read(look)
    if shown is not None and not await store.write(lambda tx: may_leave(tx, queued)):
        return None
    return message


async def may_leave(tx: Transaction, queued: QueuedId) -> bool:
    """Say whether a message that was to be sent later may leave now: its copy goes then, and it is as other mail.

    False: its sender took it back, and it is in the queue no more. An operation, before anything of it is sent.
    """
    copy = await scheduled.find(tx, queued)
    message = await queue.message(tx, queued)
    if message is None:
        return False
    if copy is None or not await scheduled.has_owner(tx, copy):
        await scheduled.forget(tx, queued)
        return True
    if await scheduled.place_of(tx, copy) is not None:
        await forget_copy(tx, queued)
        return True
    await queue_view.drop(tx, queued)
    await scheduled.forget(tx, queued)
    await _tell(tx, message, queued, [recipient.address for recipient in message.envelope.recipients])
    return False


async def forget_copy(tx: Transaction, queued: QueuedId) -> None:
    """Take the copy of a message out of its sender's mailbox: it is on its way, or will never be."""
    copy = await scheduled.find(tx, queued)
    if copy is None:
        return
    uid = await scheduled.place_of(tx, copy)
    if uid is not None:
        await messages.remove(tx, copy.account, copy.mailbox, [uid])
    await scheduled.forget(tx, queued)


async def sweep(tx: Transaction, limit: int = 100) -> int:
    """Take out copies of messages that were given up before they could leave. Gives how many."""
    orphans = await scheduled.orphans(tx, limit)
    for queued in orphans:
        await forget_copy(tx, queued)
    return len(orphans)


# -- At once


async def recall(tx: Transaction, store: Store, account: AccountId, queued: QueuedId) -> Recalled | None:
    """Take a message back for its sender, and give it back as a draft: an operation, run as a large one.

    Those it is being sent to right now, and those it was sent to already, have it. None: there is no such message of
    this account's in the queue. Raises OverQuota, MailboxLimit: it is to be sent then as before.
    """
    message = await queue.message(tx, queued)
    if message is None or message.account != account:
        return None
    drafts = await _mailbox(tx, account, MailboxRole.DRAFTS, "Drafts")
    if drafts is None:
        raise MailboxLimit
    deliveries = await queue_view.deliveries(tx, Filter(queued=queued), limit=MAX_RECIPIENTS)
    gone = set(await queue_view.remove(tx, [delivery.id for delivery in deliveries]))
    taken = [delivery.recipient.address for delivery in deliveries if delivery.id in gone]
    under_way = tuple(delivery.recipient.address for delivery in deliveries if delivery.id not in gone)
    if not taken:
        return Recalled((), under_way, "")
    name = await _give_back(tx, store, account, drafts, message, queued, taken)
    await _tell(tx, message, queued, taken)
    return Recalled(tuple(taken), under_way, name)


async def _give_back(
    tx: Transaction,
    store: Store,
    account: AccountId,
    drafts: MailboxId,
    message: QueuedMessage,
    queued: QueuedId,
    taken: Sequence[Address],
) -> str:
    """Put a message among the drafts, or its copy, where there is one. Gives the mailbox's name."""
    copy = await scheduled.find(tx, queued)
    uid = None if copy is None else await scheduled.place_of(tx, copy)
    if copy is not None and uid is not None:
        await transfer.move(tx, account, copy.mailbox, [uid], drafts)
        await scheduled.forget(tx, queued)
    else:
        header = draft_header(message.header, taken)
        found = digest(header, await store.blobs.read(tx, message.blob))
        new = NewMessage(header, message.blob, message.body_size, found, tx.now, _DRAFT)
        await messages.append(tx, account, drafts, new)
    mailbox = await mailboxes.by_id(tx, account, drafts)
    assert mailbox is not None
    return mailbox.name


async def _tell(tx: Transaction, message: QueuedMessage, queued: QueuedId, recipients: Sequence[Address]) -> None:
    facts = {"queue": f"q{queued}", "recipients": [str(address) for address in recipients]}
    await timeline.record(tx, message.trace, EventKind.RECALLED, facts)
