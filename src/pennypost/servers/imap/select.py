"""SELECT (RFC 9051 §6.3.2) and EXAMINE (RFC 9051 §6.3.3)."""

from pennypost.proto.imap.commands.select import Examine, Select
from pennypost.proto.imap.object_id import mailbox_id
from pennypost.proto.imap.responses import codes, mailbox
from pennypost.proto.imap.responses.fetch import available_flags
from pennypost.proto.imap.responses.mailbox import list_name
from pennypost.proto.imap.responses.status import Condition, Tagged, ok, untagged
from pennypost.proto.imap.special_use import ROLE_ATTRIBUTES
from pennypost.servers.imap import recent, resync
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session
from pennypost.store import places
from pennypost.store.acl import WRITABLE, Action
from pennypost.store.places import Reached


async def select(session: Session, command: Select) -> Tagged:
    """Open a mailbox."""
    await _open(session, command, read_only=False)
    return ok("SELECT completed", codes.READ_ONLY if session.open_mailbox.read_only else codes.READ_WRITE)


async def examine(session: Session, command: Examine) -> Tagged:
    """Open a mailbox and leave everything in it as it is."""
    await _open(session, command, read_only=True)
    return ok("EXAMINE completed", codes.READ_ONLY)


async def _open(session: Session, command: Select | Examine, read_only: bool) -> None:
    """Leave the mailbox that is open, if any, whatever comes of it (RFC 9051 §6.3.2); open the other, describe it."""
    store, user, name = session.door.store, session.owner.account, command.mailbox
    if command.resync is not None:
        resync.require_enabled(session)
    if command.condstore:
        session.use_condstore()
    before, session.selected = session.selected, None
    try:
        if before is not None:
            session.write(untagged(Condition.OK, "Previous mailbox closed", codes.CLOSED))
        reached = await store.read(lambda tx: places.reach(tx, user, name, Action.READ))
        view = await session.door.views.open(reached.account, reached.id, reached.reader)
    finally:
        if before is not None:
            before.close()  # last: the same mailbox again is in memory still
    read_only = read_only or not reached.rights & WRITABLE
    validity = reached.mailbox.uid_validity
    session.selected = Selected(view, validity, read_only, reached.rights, foreign=reached.account != user)
    await recent.take(session)
    _describe(session, reached, command.given)
    if command.resync is not None:
        await resync.tell(session, command.resync, reached.mailbox)


def _describe(session: Session, reached: Reached, given: str | None) -> None:
    """Write what RFC 9051 §6.3.2 asks for; RECENT and UNSEEN to IMAP4rev1 (RFC 3501 §6.3.1), LIST to IMAP4rev2 only:
    with what the client called the mailbox, if that was not its name."""
    selected, found = session.open_mailbox, reached.mailbox
    keywords = selected.known_keywords
    session.write(mailbox.flags(available_flags(keywords, may_make=False)))
    session.write(mailbox.exists(selected.count))
    if not session.rev2:
        session.write(mailbox.recent(selected.recent_count))
        unseen = selected.view.first_unseen()
        if unseen and not session.uid_only:
            session.write(untagged(Condition.OK, "First unseen", codes.unseen(unseen)))
    session.write(untagged(Condition.OK, "Flags permitted", codes.permanentflags(selected.permanent_flags)))
    session.write(
        untagged(
            Condition.OK,
            "Predicted next UID",
            codes.uidnext(max(found.uid_next, selected.view.uids[-1] + 1 if selected.count else 1)),
        )
    )
    session.write(untagged(Condition.OK, "UIDs valid", codes.uidvalidity(found.uid_validity)))
    session.write(untagged(Condition.OK, "Mechanisms of URLs", codes.URLMECH))
    identifier = mailbox_id(selected.view.account, found.id)
    highest = codes.highestmodseq(selected.view.highest_modseq)
    session.write(untagged(Condition.OK, "Highest mod-sequence", highest))  # RFC 7162 §3.1.2.1
    session.write(untagged(Condition.OK, "Mailbox id", codes.mailboxid(identifier)))  # RFC 8474 §4.2
    if session.rev2:
        role = [ROLE_ATTRIBUTES[found.role]] if found.role in ROLE_ATTRIBUTES and not selected.foreign else []
        session.write(list_name(reached.name, role, utf8=True, old_name=given))
