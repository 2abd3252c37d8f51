"""STORE and UID STORE (RFC 9051 §6.4.6)."""

from collections.abc import Collection, Iterable, Sequence
from typing import cast

from pennypost.model.errors import MailError, NotPermitted
from pennypost.model.ids import Uid
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.store import Store, StoreAction
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap import message_limit, news
from pennypost.servers.imap.errors import Refused, require_writable
from pennypost.servers.imap.flag_change import change_flags
from pennypost.servers.imap.news import News
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session
from pennypost.store import flags
from pennypost.store.acl import changeable_flags
from pennypost.store.entry_columns import Stored, StoredMany
from pennypost.store.flag_change import StoreMode

_MODES = {
    StoreAction.REPLACE: StoreMode.SET,
    StoreAction.ADD: StoreMode.ADD,
    StoreAction.REMOVE: StoreMode.REMOVE,
}


async def store(session: Session, command: Store) -> Tagged:
    """Change flags of messages, in one transaction; then tell the flags they have now, unless asked to be silent.

    A silent STORE stays silent only of what the client can know: where another session changed the same message in
    between, the outcome is told (RFC 9051 §6.4.6).
    """
    selected = session.open_mailbox
    require_writable(selected.read_only)
    held = await news.hold_flags(session)
    selected.missed = False
    if command.unchanged_since is not None:
        session.use_condstore()
    try:
        _require_rights(selected, command)  # which the look at what is new has brought up to date
        refused = await _change(session, command, held)
    except (MailError, Refused):
        await news.tell_flags(session, held)
        raise
    if refused:  # RFC 7162 §3.1.3
        left = refused if command.uid else [selected.view.number_of(uid) for uid in refused]
        answer = no if selected.missed and not command.uid else ok
        return answer("Conditional STORE failed", codes.modified(ranges_of(left)))
    if selected.missed and not command.uid:
        return ok("Some messages are gone", codes.EXPUNGEISSUED)  # RFC 5530 §3
    return ok("STORE completed")


def _require_rights(selected: Selected, command: Store) -> None:
    """Refuse a STORE of which rights allow nothing; of what they allow some the rest is left out (RFC 4314 §4)."""
    if not selected.foreign:
        return
    asked, changeable = command.flags, changeable_flags(selected.rights)
    if asked.flags & changeable or (asked.keywords and selected.rights & Rights.WRITE):
        return
    if not changeable or asked.flags or asked.keywords:
        raise NotPermitted


async def _change(session: Session, command: Store, held: Sequence[Uid]) -> Sequence[Uid]:
    """Make the change, and tell what is to be told of flags: also the news that were `held` back for it.

    Gives the messages that were left alone since others changed them (UNCHANGEDSINCE).
    """
    selected = session.open_mailbox
    numbers = message_limit.trim(session, selected.numbers_of(command.messages, command.uid))
    column = selected.uid_column(numbers)
    uids, rows = cast(Sequence[Uid], column), len(column)
    mode, asked = _MODES[command.action], command.flags
    before, stood_at = selected.snapshot.number, selected.snapshot.modseq
    known = selected.snapshot.known(column) if not selected.foreign else None
    if known is not None:
        glance = session.door.store.glance
        rows = await glance(lambda tx: flags.rows_written(tx, selected.account, selected.id, len(column)))
    result = await session.door.store.write_rows(
        lambda tx: change_flags(tx, selected, uids, mode, asked.flags, asked.keywords, command.unchanged_since, known),
        rows,
    )
    unmoved = selected.snapshot.number == before
    if not selected.foreign:
        selected.snapshot.note(result)
    if command.silent:
        quiet: Collection[Uid]
        if not result.changed:
            quiet = ()
        elif result.modseq == stood_at + 1 and not selected.foreign:
            quiet = _uids(result.changed)  # nobody else changed anything since the client was told
        elif unmoved:
            quiet = _as_expected(result.changed, _expected(selected, uids, mode, asked))
        else:
            quiet = set()  # what they had is not known any more
        await news.tell(session, News.NO_EXPUNGE, quiet, result.modseq, held)
        if session.condstore:
            await news.tell_modseqs(session, _uids(result.changed))
        return result.refused
    await news.tell(session, News.NO_EXPUNGE, uids, also=frozenset(held).difference(uids) if held else ())
    news.tell_keywords(session)
    await news.tell_flags(session, uids)
    return result.refused


def _uids(stored: Sequence[Stored]) -> Sequence[Uid]:
    """Give the UIDs, ascending, of what was stored."""
    if isinstance(stored, StoredMany):
        return cast(Sequence[Uid], stored.uids)
    return [one.uid for one in stored]


def _expected(
    selected: Selected, uids: Iterable[Uid], mode: StoreMode, asked: FlagList
) -> dict[Uid, tuple[int, frozenset[str]]]:
    """Work out, as the client does, what flags the messages will have."""
    snapshot, given = selected.snapshot, int(asked.flags)
    words_of = snapshot.keywords
    named = frozenset(keyword.casefold() for keyword in asked.keywords)
    expected = {}
    for uid in uids:
        index = snapshot.index(uid)
        had = snapshot.flags[index] if index >= 0 else 0
        packed = words_of[index] if words_of is not None and index >= 0 else None
        words = frozenset(packed.casefold().split(" ")) if packed else frozenset()
        match mode:
            case StoreMode.SET:
                expected[uid] = given, named
            case StoreMode.ADD:
                expected[uid] = had | given, words | named
            case StoreMode.REMOVE:
                expected[uid] = had & ~given, words - named
    return expected


def _as_expected(changed: Iterable[Stored], expected: dict[Uid, tuple[int, frozenset[str]]]) -> set[Uid]:
    """Give the messages that came out as the client thinks."""
    return {
        stored.uid
        for stored in changed
        if expected.get(stored.uid) == (int(stored.flags), frozenset(keyword.casefold() for keyword in stored.keywords))
    }
