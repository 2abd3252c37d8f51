"""APPEND (RFC 9051 §6.3.12; RFC 4315 §3, RFC 7889, RFC 3516 §4.4).

The message is announced before it comes, so all that can be refused is refused then. It goes into a spool as it comes,
is digested and made a body of as deliveries are, and one transaction puts it into its mailbox: OK is sent after that is
on disk.
"""

from datetime import datetime

from pennypost.mail.prepare import Prepared
from pennypost.model.errors import BadMessage, MailError, MessageTooLarge
from pennypost.model.ids import AccountId
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.events import AppendChunk, AppendEnd, BadCommand
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, bad, ok
from pennypost.servers.imap import news
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.news import News
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.transfer import target_mailbox
from pennypost.store import blobs, messages, quota
from pennypost.store.across import landing, mark_seen
from pennypost.store.engine import Transaction
from pennypost.store.messages import Appended, NewMessage
from pennypost.store.spool import Spool


async def append(session: Session, start: Append) -> Tagged:
    """Take a message in. Nothing is stored unless all of it came and the command is well-formed."""
    await _refuse_early(session, start)
    session.write(session.machine.accept_literal())
    with session.door.store.spools.new() as spool:
        await _receive(session, spool)
        if not spool.size:
            raise BadMessage("An empty message cannot be stored")
        prepared = await session.door.preparer.prepare(spool)
    account = session.owner.account
    appended = await session.door.store.write(lambda tx: _store(tx, account, start, prepared))
    await news.tell(session, News.ALL)
    uid = appended.uid
    return ok("APPEND completed", codes.appenduid(appended.uid_validity, ((uid, uid),)))


async def _refuse_early(session: Session, start: Append) -> None:
    """Refuse what cannot be stored before it is sent: MessageTooLarge, OverQuota, Refused with TRYCREATE."""
    if start.size > session.door.max_message_size:
        raise MessageTooLarge
    account = session.owner.account

    async def operation(tx: Transaction) -> None:
        target = await target_mailbox(tx, account, start.mailbox)
        await quota.check(tx, target.account, start.size)

    await session.door.store.read(operation)


async def _receive(session: Session, spool: Spool) -> None:
    """Take the octets of the message. Raises Refused with BAD if the command ends otherwise than it should.

    A spool that cannot be written to does not stop the octets from coming: the failure is told at the end.
    """
    failure: MailError | None = None
    while True:
        match await session.next_event():
            case AppendChunk(data=data):
                if failure is None:
                    try:
                        spool.write(data)
                    except MailError as problem:
                        failure = problem
            case AppendEnd():
                if failure is not None:
                    raise failure
                return
            case BadCommand(reason=reason):
                raise Refused(bad(reason))
            case None:
                continue
            case unexpected:
                raise AssertionError(f"{type(unexpected).__name__} inside a message")


async def _store(tx: Transaction, account: AccountId, start: Append, prepared: Prepared) -> Appended:
    target = await target_mailbox(tx, account, start.mailbox)
    lands = landing(target, start.flags.flags, start.flags.keywords)
    blob = await blobs.put(tx, prepared.draft)
    received_at: datetime = start.date or tx.now
    new = NewMessage(
        prepared.header,
        blob,
        prepared.draft.size,
        prepared.digest,
        received_at,
        lands.flags,
        lands.keywords,
    )
    appended = await messages.append(tx, target.account, target.id, new)
    if lands.seen:
        await mark_seen(tx, target, [appended.uid], appended.modseq)
    return appended
