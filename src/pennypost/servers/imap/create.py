"""CREATE (RFC 9051 §6.3.4) with special uses (RFC 6154 §3)."""

from pennypost.model.errors import MailboxExists
from pennypost.model.mailbox import DELIMITER, MailboxRole
from pennypost.proto.imap.commands.create import Create
from pennypost.proto.imap.object_id import mailbox_id
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.proto.imap.special_use import role_of
from pennypost.servers.imap import old_names
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session
from pennypost.store import mailboxes, places
from pennypost.store.engine import Transaction


async def create(session: Session, command: Create) -> Tagged:
    """Make a mailbox, and those above it that are missing."""
    role = _role(command.uses)
    account = session.owner.account
    limit = session.door.store.settings.mailbox_limit

    async def operation(tx: Transaction) -> bytes:
        if role is not None and await mailboxes.by_role(tx, account, role) is not None:
            raise Refused(no("Another mailbox has this use", codes.USEATTR))
        made = await places.create(tx, account, command.mailbox, role, limit)
        place = await places.locate(tx, account, command.mailbox.removesuffix(DELIMITER))
        return mailbox_id(place.account, made.id)

    if command.mailbox == "INBOX":
        raise MailboxExists
    made = await session.door.store.write(operation)
    await old_names.tell(session, command.mailbox, command.given)
    return ok("CREATE completed", codes.mailboxid(made))  # RFC 8474 §4.1


def _role(uses: tuple[bytes, ...]) -> MailboxRole | None:
    """Give the one role asked for; we keep one for each mailbox (RFC 6154 §3: NO [USEATTR] for what cannot be)."""
    roles = {role_of(use) for use in uses}
    if not roles:
        return None
    role = roles.pop()
    if roles or role is None:
        raise Refused(no("Special use not supported", codes.USEATTR))
    return role
