"""APPEND (RFC 9051 §6.3.12; RFC 4315 §3, RFC 7889, RFC 3516 §4.4), MULTIAPPEND (RFC 3502), REPLACE (RFC 8508), CATENATE
(RFC 4469).

The message is announced before it comes, so all that can be refused is refused then. It goes into a spool as it comes,
is digested and made a body of as deliveries are, and one transaction puts it into its mailbox: OK is sent after that is
on disk.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pennypost.mail.prepare import Prepared
from pennypost.message import convert
from pennypost.model.errors import BadMessage, MailError, MessageTooLarge
from pennypost.model.flags import Flags, Keywords
from pennypost.model.ids import AccountId, Uid
from pennypost.model.units import KIB
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.commands.catenate import AppendRest, Catenate, Composed
from pennypost.proto.imap.events import AppendChunk, AppendEnd, AppendStart, AppendText, BadCommand
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.codes import ResponseCode
from pennypost.proto.imap.responses.status import Condition, Tagged, bad, no, ok, untagged
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap import message_limit, news
from pennypost.servers.imap.catenate import add_urls
from pennypost.servers.imap.errors import Refused, require_writable
from pennypost.servers.imap.news import News
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.transfer import target_mailbox
from pennypost.store import blobs, counters, messages, quota
from pennypost.store.acl import Action
from pennypost.store.across import landing, mark_seen
from pennypost.store.engine import Transaction
from pennypost.store.messages import Appended, NewMessage
from pennypost.store.places import is_own, recheck
from pennypost.store.spool import Spool

MOST_MESSAGES = 1_000
"""Messages of one APPEND (MULTIAPPEND): they are kept, compressed, until the last one has come."""

SMALL_OCTETS = 64 * KIB
"""A message up to this size that its client sends without being asked is taken before anybody looks where it goes."""

MOST_COMPOSED = 4
"""How many times the octets of the largest message one command may take of what URLs name: a client need not send them,
and they lie in memory and on the disk before it is known whether the command is well-formed."""


class Arrived(NamedTuple):
    """A message that came, and how it is to be stored."""

    start: Append
    prepared: Prepared

    @property
    def size(self) -> int:
        """Octets of header and body."""
        return len(self.prepared.header) + self.prepared.draft.size


async def append(session: Session, start: Append) -> Tagged:
    """Take messages in. Nothing is stored unless all of them came and the command is well-formed (RFC 3502 §4)."""
    if start.replaces is None:
        return await _keep(session, await _take_all(session, start))
    session.tells_uids = session.rev2 or session.condstore or start.uid
    old = await _to_replace(session, start.replaces, start.uid)
    return await _replace(session, old, await _take_all(session, start))


async def catenate(session: Session, command: Catenate) -> Tagged:
    """Put messages together of what URLs name, and store them (RFC 4469), or one in the place of another."""
    arrived: list[Arrived] = []
    if command.replaces is None:
        await _compose(session, command.mailbox, command.messages, arrived)
        return await _keep(session, arrived)
    old = await _to_replace(session, command.replaces, command.uid)
    await _compose(session, command.mailbox, command.messages, arrived, command.replaces)
    return await _replace(session, old, arrived)


async def _compose(
    session: Session,
    mailbox: str,
    messages: Sequence[Composed],
    arrived: list[Arrived],
    replaces: SequenceSet | None = None,
) -> None:
    """Put messages together of what URLs name, and add them to those that came."""
    for message in messages:
        start = Append(mailbox, message.flags, message.date, 0, binary=False, synchronizing=True, replaces=replaces)
        _require_room(session, arrived)
        await _refuse_early(session, start, sum(one.size for one in arrived))
        with session.door.store.spools.new() as spool:
            await add_urls(session, spool, message.urls)
            arrived.append(await _prepared(session, spool, start))


async def _keep(session: Session, arrived: list[Arrived]) -> Tagged:
    """Store messages that came, all or none."""
    user = session.owner.account

    async def operation(tx: Transaction) -> list[Appended]:
        return [await _store(tx, user, message) for message in arrived]

    appended = await session.door.store.write_rows(operation, len(arrived))
    _note(session, arrived, appended)
    if session.selected is not None:
        await news.tell(session, News.ALL)
    return ok("APPEND completed", _appenduid(appended))


async def _to_replace(session: Session, replaces: SequenceSet, uid: bool) -> Sequence[Uid]:
    """Find the message that is to be replaced, which the user has to be allowed to take out (RFC 8508 §4.1)."""
    selected, user = session.open_mailbox, session.owner.account
    if session.uid_only and not uid:
        raise Refused(bad("Message numbers are not used after ENABLE UIDONLY", codes.UIDREQUIRED))
    require_writable(selected.read_only)
    await session.door.store.read(lambda tx: recheck(tx, user, selected.account, selected.id, Action.TAKE_OUT))
    old = selected.uids_of(selected.numbers_of(replaces, uid))
    if len(old) != 1:
        raise Refused(no("No such message", codes.NONEXISTENT))
    return old


async def _replace(session: Session, old: Sequence[Uid], arrived: Sequence[Arrived]) -> Tagged:
    """Put a message in the place of another, in one transaction (RFC 8508 §3)."""
    selected, user = session.open_mailbox, session.owner.account

    async def operation(tx: Transaction) -> list[Appended]:
        # Much may have happened while the message came
        await recheck(tx, user, selected.account, selected.id, Action.TAKE_OUT)
        gone, _ = await messages.remove(tx, selected.account, selected.id, old)
        if not gone:
            raise Refused(no("The message is gone", codes.EXPUNGEISSUED))
        return [await _store(tx, user, message) for message in arrived]

    appended = await session.door.store.write(operation)
    # RFC 8508 §3.3: ahead of the EXPUNGE
    session.write(untagged(Condition.OK, "Replacement stored", _appenduid(appended)))
    _note(session, arrived, appended)
    await news.tell(session, News.ALL, answers=True)
    return ok("REPLACE completed")


def _note(session: Session, arrived: Sequence[Arrived], appended: Sequence[Appended]) -> None:
    if session.watch is not None:
        uids = [message.uid for message in appended]
        session.watch.note_arrivals(arrived[0].start.mailbox, appended[0].uid_validity, uids)


def _appenduid(appended: Sequence[Appended]) -> ResponseCode:
    """Give APPENDUID: messages of one transaction have UIDs that follow each other."""
    return codes.appenduid(appended[0].uid_validity, ((appended[0].uid, appended[-1].uid),))


async def _take_all(session: Session, start: Append) -> list[Arrived]:
    """Take the messages of a command as they come, each announced before it is sent."""
    arrived: list[Arrived] = []
    octets = 0
    following = start
    while True:
        if following.composed:
            await _compose(session, start.mailbox, following.composed, arrived)
        _require_room(session, arrived)
        octets += following.size
        if _is_looked_at(session, following):
            await _refuse_early(session, following, octets)
        with session.door.store.spools.new() as spool:
            if following.urls:
                await add_urls(session, spool, following.urls)
            _accept(session, spool, following.size)
            after = await _receive(session, spool)
            arrived.append(await _prepared(session, spool, following))
        if isinstance(after, AppendRest):
            if after.messages:
                await _compose(session, start.mailbox, after.messages, arrived)
            return arrived
        following = after


def _require_room(session: Session, arrived: Sequence[Arrived]) -> None:
    """See that one more message may be taken in. The first one may."""
    if not arrived:
        return
    message_limit.refuse_many(session, len(arrived) + 1)
    composed = sum(one.size - one.start.size for one in arrived)
    if len(arrived) == MOST_MESSAGES or composed > MOST_COMPOSED * session.door.max_message_size:
        raise Refused(no("Too many messages at once", codes.LIMIT))


def _accept(session: Session, spool: Spool, size: int) -> None:
    """Let octets come that belong to a message on its way in. Raises MessageTooLarge."""
    if spool.size + size > session.door.max_message_size:
        raise MessageTooLarge
    session.write(session.machine.accept_literal())


async def _prepared(session: Session, spool: Spool, start: Append) -> Arrived:
    """Make a message that came ready to be stored. One that holds octets of 0 is encoded, since FETCH could not send
    it: BODYSTRUCTURE and BODY[] tell of it as it is stored (RFC 3516 §4.4, §6)."""
    if not spool.size:
        raise BadMessage("An empty message cannot be stored")
    preparer = session.door.preparer
    if not await preparer.has_nul(spool):
        return Arrived(start, await preparer.prepare(spool))
    try:
        encoded = await preparer.on_spool(spool, 0, lambda octets: convert.without_nul(bytes(octets)))
    except convert.NotConvertible:
        raise Refused(no("Octets of 0 stand where they cannot be encoded", codes.UNKNOWN_CTE)) from None
    with session.door.store.spools.new() as converted:
        converted.write(encoded)
        return Arrived(start, await preparer.prepare(converted))


def _is_looked_at(session: Session, start: Append) -> bool:
    """Whether `_refuse_early` is to look where a message goes; not for a small one that is on its way already. Raises
    MessageTooLarge."""
    if start.size > session.door.max_message_size:
        raise MessageTooLarge
    return start.synchronizing or start.size > SMALL_OCTETS


async def _refuse_early(session: Session, start: Append, octets: int) -> None:
    """Refuse what cannot be stored before it is sent: OverQuota, Refused with TRYCREATE.

    `octets`: of all messages of the command so far. One that is replaced makes room for the new one (RFC 8508 §3.2).
    """
    account = session.owner.account

    async def operation(tx: Transaction) -> None:
        target = await target_mailbox(tx, account, start.mailbox)
        if start.replaces is None:
            await quota.check(tx, target.account, octets)

    await session.door.store.glance(operation)  # what decides is looked at again when it is stored


async def _receive(session: Session, spool: Spool) -> Append | AppendRest:
    """Take the octets of a message; give the one that follows, or what ends the command.

    Raises Refused with BAD if the command ends otherwise than it should. A spool that cannot be written to does not
    stop the octets from coming: the failure is told at the end.
    """
    failure: MailError | None = None
    while True:
        match session.machine.next_event() or await session.next_event():
            case AppendChunk(data=data):
                if failure is None:
                    try:
                        spool.write(data)
                    except MailError as problem:
                        failure = problem
            case AppendText(text=text):
                if failure is not None:
                    raise failure
                await add_urls(session, spool, text.urls)
                _accept(session, spool, text.size)
            case AppendEnd(rest=rest):
                if failure is not None:
                    raise failure
                if rest.urls:
                    await add_urls(session, spool, rest.urls)
                return rest
            case AppendStart(append=following):
                if failure is not None:
                    raise failure
                await add_urls(session, spool, following.ending)
                return following
            case BadCommand(reason=reason):
                raise Refused(bad(reason))
            case None:
                continue
            case unexpected:
                raise AssertionError(f"{type(unexpected).__name__} inside a message")


async def _store(tx: Transaction, account: AccountId, message: Arrived) -> Appended:
    start = message.start
    flags, keywords = start.flags.flags, start.flags.keywords
    if is_own(start.mailbox):
        figures = counters.of_entry(int(flags), message.size)
        own = await counters.reserve_named(tx, account, start.mailbox, figures)
        if own is not None:
            new = await _stored(tx, message, flags, keywords)
            return await messages.append(tx, account, own.mailbox, new, own.reserved)
    target = await target_mailbox(tx, account, start.mailbox)
    lands = landing(target, flags, keywords)
    new = await _stored(tx, message, lands.flags, lands.keywords)
    appended = await messages.append(tx, target.account, target.id, new)
    if lands.seen:
        await mark_seen(tx, target, [appended.uid], appended.modseq)
    return appended


async def _stored(tx: Transaction, message: Arrived, flags: Flags, keywords: Keywords) -> NewMessage:
    """Put a message's body, and give what its mailbox takes in."""
    prepared = message.prepared
    blob = await blobs.put(tx, prepared.draft)
    came = message.start.date or tx.now
    return NewMessage(prepared.header, blob, prepared.draft.size, prepared.digest, came, flags, keywords)
