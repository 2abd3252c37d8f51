"""CLOSE (RFC 9051 §6.4.1) and UNSELECT (RFC 9051 §6.4.2, RFC 3691)."""

from pennypost.model.ids import ModSeq, Uid
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.close import Close, Unselect
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session
from pennypost.store import acl, messages
from pennypost.store.engine import Transaction


async def close(session: Session, command: Close) -> Tagged:
    r"""Remove the messages with `\Deleted` without telling of them, unless opened read-only, and leave the mailbox."""
    selected = session.open_mailbox
    account, mailbox, user = selected.account, selected.id, session.owner.account
    code = None

    async def operation(tx: Transaction) -> tuple[list[Uid], ModSeq]:
        if not await acl.rights_of(tx, user, account, mailbox) & Rights.EXPUNGE:
            return [], ModSeq(0)
        return await messages.expunge(tx, account, mailbox, None)

    if not selected.read_only and selected.rights & Rights.EXPUNGE:  # RFC 4314 §4: without it CLOSE expunges nothing
        gone, modseq = await session.door.store.write_large(operation)
        if gone and session.qresync:
            code = codes.highestmodseq(await _told_up_to(selected, gone, modseq))  # RFC 7162 §3.2.8
    session.close_mailbox()
    return ok("CLOSE completed", code)


async def _told_up_to(selected: Selected, gone: list[Uid], modseq: ModSeq) -> ModSeq:
    """Say up to where the client knows the mailbox, if it leaves out what it asked to be removed.

    What others changed meanwhile it will not hear: then it has to ask again from where it was (RFC 7162 §3.2).
    """
    before = selected.view.settled_modseq
    change = await selected.refresh(expunge=True)
    news = change.appended or change.updated or set(change.expunged) - set(gone)
    return before if news else modseq


async def unselect(session: Session, command: Unselect) -> Tagged:
    """Leave the mailbox and remove nothing."""
    session.close_mailbox()
    return ok("UNSELECT completed")
