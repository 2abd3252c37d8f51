"""STATUS (RFC 9051 §6.3.11, RFC 8438, RFC 7889, RFC 8474)."""

from collections.abc import Sequence

from pennypost.model.flags import Flags
from pennypost.model.ids import MAX_UID, AccountId, Uid
from pennypost.model.mailbox import Mailbox
from pennypost.proto.imap.commands.status import Status
from pennypost.proto.imap.object_id import mailbox_id
from pennypost.proto.imap.responses.mailbox import status as status_response
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.proto.imap.status_items import StatusItem
from pennypost.servers.imap.session import Session
from pennypost.store import messages, places, seen
from pennypost.store.acl import Action
from pennypost.store.engine import Transaction
from pennypost.store.places import Reached

_COUNTED = {StatusItem.RECENT, StatusItem.DELETED_STORAGE}

Values = list[tuple[StatusItem, int | bytes | None]]


async def status(session: Session, command: Status) -> Tagged:
    """Tell numbers of a mailbox, from its counters."""
    account = session.owner.account
    if StatusItem.HIGHESTMODSEQ in command.items:
        session.use_condstore()

    async def operation(tx: Transaction) -> Values:
        reached = await places.reach(tx, account, command.mailbox, Action.READ)
        return await status_values(tx, reached, command.items, session.door.max_message_size)

    # What is no counter is counted over rows, off the event loop.
    run = session.door.store.scan if _COUNTED & set(command.items) else session.door.store.read
    values = await run(operation)
    session.write(status_response(command.mailbox, values, session.utf8))
    return ok("STATUS completed")


async def status_values(tx: Transaction, reached: Reached, items: Sequence[StatusItem], append_limit: int) -> Values:
    """Give the value of each item for a mailbox, as who reached it sees it."""
    account, mailbox = reached.account, reached.mailbox
    values: Values = []
    value: int | bytes
    for item in items:
        match item:
            case StatusItem.MESSAGES:
                value = mailbox.total
            case StatusItem.RECENT:
                value = await _recent(tx, account, mailbox)
            case StatusItem.UIDNEXT:
                value = mailbox.uid_next
            case StatusItem.UIDVALIDITY:
                value = mailbox.uid_validity
            case StatusItem.UNSEEN:
                value = (
                    mailbox.unseen
                    if reached.reader is None
                    else await seen.unseen(tx, account, mailbox.id, reached.reader)
                )
            case StatusItem.DELETED:
                value = mailbox.deleted
            case StatusItem.HIGHESTMODSEQ:
                value = mailbox.highest_modseq
                if reached.reader is not None:
                    value = max(value, await seen.highest_modseq(tx, account, mailbox.id, reached.reader))
            case StatusItem.MAILBOXID:
                value = mailbox_id(account, mailbox.id)
            case StatusItem.SIZE:
                value = mailbox.octets
            case StatusItem.APPENDLIMIT:
                value = append_limit
            case StatusItem.DELETED_STORAGE:
                value = -(-await _deleted_octets(tx, account, mailbox) // 1024)
        values.append((item, value))
    return values


async def _recent(tx: Transaction, account: AccountId, mailbox: Mailbox) -> int:
    r"""Count the messages no session has seen (`\\Recent`, RFC 3501 §6.3.10)."""
    if mailbox.recent_floor >= mailbox.uid_next:
        return 0
    return len(await messages.entries(tx, account, mailbox.id, [(mailbox.recent_floor, Uid(MAX_UID))]))


async def _deleted_octets(tx: Transaction, account: AccountId, mailbox: Mailbox) -> int:
    r"""Sum the sizes of the messages with `\\Deleted` (RFC 9208 §4.1.4)."""
    if not mailbox.deleted:
        return 0
    found = await messages.entries(tx, account, mailbox.id, [(Uid(1), Uid(MAX_UID))])
    return sum(entry.size for entry in found if entry.flags & Flags.DELETED)
