"""What others changed in the open mailbox, told as untagged responses (RFC 9051 §5.2, §7.5.1; RFC 3501 §7.4.1).

EXPUNGE renumbers messages, so it must not be sent while FETCH, STORE or SEARCH by message number are answered. What a
command finds is told before it runs, but for that; what came meanwhile, after it.
"""

from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

from pennypost.model.errors import NoSuchMailbox
from pennypost.model.ids import ModSeq, Uid
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.close import Close, Unselect
from pennypost.proto.imap.commands.fetch import Fetch, FetchAttribute
from pennypost.proto.imap.commands.idle import Idle
from pennypost.proto.imap.commands.logout import Logout
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.commands.select import Examine, Select
from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.commands.store import Store
from pennypost.proto.imap.commands.thread import Thread
from pennypost.proto.imap.responses import codes, fetch, mailbox
from pennypost.proto.imap.responses.fetch import FetchFormat
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.responses.status import Condition, untagged
from pennypost.proto.imap.search_keys import SearchKey, SequenceKey, inner_keys
from pennypost.servers.imap import contexts, recent
from pennypost.servers.imap.flag_text import flag_states
from pennypost.store import acl
from pennypost.store.view import ViewChange

if TYPE_CHECKING:
    from pennypost.servers.imap.selected import Selected
    from pennypost.servers.imap.session import Session

_FLAGS = FetchFormat((FetchAttribute.FLAGS,))
_UID_FLAGS = FetchFormat((FetchAttribute.UID, FetchAttribute.FLAGS))
_UID_FLAGS_MODSEQ = FetchFormat((FetchAttribute.UID, FetchAttribute.FLAGS, FetchAttribute.MODSEQ))
_UID_MODSEQ = FetchFormat((FetchAttribute.UID, FetchAttribute.MODSEQ))
# For a client that knows no message numbers (RFC 9586 §3.3)
_ONLY_FLAGS = FetchFormat((FetchAttribute.FLAGS,), uid_only=True)
_ONLY_FLAGS_MODSEQ = FetchFormat((FetchAttribute.FLAGS, FetchAttribute.MODSEQ), uid_only=True)
_ONLY_MODSEQ = FetchFormat((FetchAttribute.MODSEQ,), uid_only=True)

_FLAGS_TOLD = 2048
"""Messages whose flags are told at a time: some 100 KiB."""

EVER = ModSeq(2**63 - 1)
"""After every change."""


class News(Enum):
    """Which news a command lets through."""

    NONE = auto()
    NO_EXPUNGE = auto()
    ALL = auto()


def allowed(body: object) -> News:
    """Say which news may be told while a command is answered. IDLE tells them itself."""
    match body:
        case Fetch(uid=False) | Store(uid=False):
            return News.NO_EXPUNGE
        case Search() if _by_number(body):
            return News.NO_EXPUNGE
        case Sort(search=search) | Thread(search=search) if _by_number(search):
            return News.NO_EXPUNGE
        case Select() | Examine() | Close() | Unselect() | Logout() | Idle():
            return News.NONE
    return News.ALL


def _by_number(search: Search) -> bool:
    """Whether there are message numbers in what is asked or answered (RFC 7162 §3.2.10)."""
    return not search.uid or _has_numbers(search.key)


def _has_numbers(key: SearchKey) -> bool:
    if isinstance(key, SequenceKey):
        return not key.messages.saved
    return any(map(_has_numbers, inner_keys(key)))


async def tell(
    session: "Session",
    which: News,
    quiet: Collection[Uid] = frozenset(),
    as_of: ModSeq = EVER,
    also: Collection[Uid] = frozenset(),
    *,
    answers: bool = False,
    looked: bool = False,
) -> None:
    """Look at the store, and tell the client what is new in its open mailbox.

    `quiet`: messages whose flags the client knows, as they are at the modseq `as_of`. `also`: messages whose flags are
    told in any case: what `hold_flags` gave. `answers`: the client asked for the change that is told, so that
    it is told whatever NOTIFY says. `looked`: the store was looked at a moment ago, and nothing of ours has changed it.
    """
    change = await _look(session, which, answers, looked)
    if change is None:
        return
    updated = _but_quiet(session, change.updated, quiet, as_of) if quiet and change.updated else change.updated
    if also:
        updated = sorted({*updated, *also})
    if updated:
        await tell_flags(session, updated)
    if session.open_mailbox.contexts:
        await contexts.tell(session)


def _but_quiet(session: "Session", updated: Sequence[Uid], quiet: Collection[Uid], as_of: ModSeq) -> Sequence[Uid]:
    """Leave out the messages whose flags the client knows."""
    snapshot = session.open_mailbox.snapshot
    if snapshot.highest_modseq <= as_of:
        if updated == quiet:
            return ()
        silenced = frozenset(quiet)
        return [uid for uid in updated if uid not in silenced]
    silenced = frozenset(quiet)
    return [uid for uid in updated if uid not in silenced or snapshot.modseqs[snapshot.index(uid)] > as_of]


async def hold_flags(session: "Session") -> Sequence[Uid]:
    """Tell what is new but for flags, before a STORE changes them once more; give whose are still to be told."""
    change = await _look(session, News.NO_EXPUNGE)
    return change.updated if change is not None else ()


async def _look(session: "Session", which: News, answers: bool = False, looked: bool = False) -> ViewChange | None:
    """Take in what is new, and tell all of it but flags. Gives those flags that are to be told (RFC 5465 §3.1)."""
    selected = session.selected
    if selected is None or which is News.NONE:
        return None
    if selected.foreign and not looked:
        await _check_rights(session)
    watch = session.watch
    try:
        if not looked:
            await selected.snapshot.advance()
    except NoSuchMailbox:
        session.end("Mailbox was deleted")
    if watch is not None and not watch.tells_messages and not answers:
        return None  # what is answered is true all the same
    change = selected.view.take(expunge=which is News.ALL)
    if selected.contexts:
        selected.touched.update(change.updated, change.appended)
        contexts.tell_expunged(session, selected, change)
    if (session.qresync or session.uid_only) and change.expunged:
        session.write(mailbox.vanished(ranges_of(change.expunged)))  # RFC 7162 §3.2.10
    else:
        session.write(mailbox.expunges(change.expunged_numbers))
    if change.appended:
        session.write(mailbox.exists(selected.count))
        if not session.rev2:
            await session.flush()  # EXISTS does not wait for the store
            await recent.take(session)
            session.write(mailbox.recent(selected.recent_count))
    if watch is not None and not watch.tells_flags:
        change = change._replace(updated=())
    if change.updated or change.appended:
        tell_keywords(session)
    if watch is not None and change.appended:
        await watch.tell_new(change.appended)
    return change


async def _check_rights(session: "Session") -> None:
    """See what may be done with another's mailbox that is open: it may be another thing now, or nothing."""
    selected, user = session.open_mailbox, session.owner.account
    account, mailbox_id = selected.account, selected.id
    rights = await session.door.store.read(lambda tx: acl.rights_of(tx, user, account, mailbox_id))
    if not rights & Rights.READ:
        session.end("Mailbox may not be read any more")
    if rights != selected.rights:  # RFC 4314 §5.1.1
        selected.rights = rights
        _tell_flags_there_are(session, selected)


async def tell_flags(session: "Session", uids: Sequence[Uid]) -> None:
    """Tell the flags that messages have now; with UIDs after a UID command, and always in IMAP4rev2.

    A client that is aware of mod-sequences hears UID and mod-sequence with each (RFC 7162 §3.1).
    """
    selected, recents = session.open_mailbox, session.recents
    for piece in selected.slices_of_uids(uids, _FLAGS_TOLD):
        states, texts = flag_states(piece, recents)
        if session.uid_only:
            form, columns = _ONLY_FLAGS, [piece.uids]
            if session.condstore:
                form, columns = _ONLY_FLAGS_MODSEQ, [piece.uids, piece.modseqs]
        elif session.condstore:
            form, columns = _UID_FLAGS_MODSEQ, [piece.numbers, piece.uids, piece.modseqs]
        elif session.tells_uids or session.watch is not None:  # RFC 5465 §5.1
            form, columns = _UID_FLAGS, [piece.numbers, piece.uids]
        else:
            form, columns = _FLAGS, [piece.numbers]
        session.write(form.lines_of_flags(columns, states, texts))
        if session.gathered_octets >= session.door.settings.write_chunk:
            await session.breathe()


async def tell_modseqs(session: "Session", uids: Sequence[Uid]) -> None:
    """Tell the mod-sequences that messages have now, and nothing else of them (RFC 7162 §3.1.3: a silent STORE)."""
    for piece in session.open_mailbox.slices_of_uids(uids):
        if session.uid_only:
            session.write(_ONLY_MODSEQ.lines(list(zip(piece.uids, piece.modseqs, strict=True))))
        else:
            session.write(_UID_MODSEQ.lines(list(zip(piece.numbers, piece.uids, piece.modseqs, strict=True))))
        if session.gathered_octets >= session.door.settings.write_chunk:
            await session.breathe()


def tell_settled(session: "Session") -> None:
    """Say where a client of QRESYNC stands when mod-sequences were told above that of an expunge which was not.

    It is below that expunge, or the client would never hear of it if the connection broke now (RFC 7162 §3.2).
    """
    selected = session.selected
    if selected is not None and session.qresync and selected.view.withholds:
        settled = codes.highestmodseq(selected.view.settled_modseq)
        session.write(untagged(Condition.OK, "Expunged messages are yet to be told", settled))


def tell_keywords(session: "Session") -> None:
    """Tell of keywords that came into use in the mailbox (RFC 9051 §7.3.5)."""
    selected = session.open_mailbox
    if selected.take_keywords():
        _tell_flags_there_are(session, selected)


def _tell_flags_there_are(session: "Session", selected: "Selected") -> None:
    session.write(mailbox.flags(fetch.available_flags(selected.known_keywords, may_make=False)))
    if not selected.read_only:
        session.write(untagged(Condition.OK, "Flags permitted", codes.permanentflags(selected.permanent_flags)))
