"""What went and what changed while a client was away: QRESYNC (RFC 7162 §3.2.5, §3.2.6)."""

from collections.abc import Iterator, Sequence

from pennypost.model.ids import MAX_UID, ModSeq
from pennypost.model.mailbox import Mailbox
from pennypost.proto.imap.commands.fetch import Fetch
from pennypost.proto.imap.commands.select import Resync
from pennypost.proto.imap.responses import mailbox
from pennypost.proto.imap.responses.status import bad
from pennypost.proto.imap.sequence import Ranges, SequenceSet, intersect, merge, without
from pennypost.servers.imap import news
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session
from pennypost.store import changes, mailboxes


def require_enabled(session: Session) -> None:
    """Refuse what needs ENABLE QRESYNC before it (RFC 7162 §3.2.5, §3.2.6)."""
    if not session.qresync:
        raise Refused(bad("Enable QRESYNC first"))


async def tell(session: Session, known: Resync, found: Mailbox) -> None:
    """Tell a client that has just opened a mailbox what is new to it: VANISHED (EARLIER), then FETCH.

    Where it remembers another UIDVALIDITY it knows nothing, and is told nothing (RFC 7162 §3.2.5.1).
    """
    selected = session.open_mailbox
    if known.uid_validity != found.uid_validity:
        return
    asked: Ranges = ((1, MAX_UID),)
    if known.known_uids is not None:
        asked = merge(list(known.known_uids.ranges))
    await _tell_vanished(session, known.modseq, asked, _still_true(session, known))
    numbers = selected.numbers_of(SequenceSet(asked), uid=True)
    changed = selected.changed_since(numbers, known.modseq)
    await news.tell_flags(session, selected.uids_of(changed))


async def tell_vanished(session: Session, command: Fetch) -> None:
    """Tell which UIDs of a UID FETCH (CHANGEDSINCE … VANISHED) went since (RFC 7162 §3.2.6).

    `*` is the last UID that was ever given out here: what went may have been the last message, or all of them.
    """
    require_enabled(session)
    assert command.changed_since is not None
    if command.messages.saved:
        return  # what a SEARCH found was there
    await _tell_vanished(session, command.changed_since, command.messages.resolve(await _last_uid(session)), 0)


async def _tell_vanished(session: Session, since: ModSeq, asked: Ranges, certain: int) -> None:
    """Tell which of the UIDs asked for are gone; `certain`: up to this one the client knows itself.

    Where the log of changes does not go back that far, all UIDs are told that are not there (RFC 7162 §3.2.5.2).
    """
    selected, account = session.open_mailbox, session.open_mailbox.account
    gone: Sequence[tuple[int, int]] | None = await session.door.store.read(
        lambda tx: changes.vanished(tx, account, selected.id, since)
    )
    uids: Sequence[int] = selected.view.uids
    if gone is None:
        gone = [(certain + 1, await _last_uid(session))]
        await selected.view.snapshot.advance()
        gone = without(gone, selected.view.snapshot.uids)  # some may have come that the client does not count yet
    told = without(intersect(asked, gone), uids)
    if told:
        session.write(mailbox.vanished(told, earlier=True))


async def _last_uid(session: Session) -> int:
    """Give the last UID that the mailbox ever gave out."""
    selected, account = session.open_mailbox, session.open_mailbox.account
    found = await session.door.store.read(lambda tx: mailboxes.by_id(tx, account, selected.id))
    return found.uid_next - 1 if found is not None else 0


def _still_true(session: Session, known: Resync) -> int:
    """Give the greatest UID at whose message number the client is still right: none below it went (RFC 7162 §3.2.5.2).

    0 if there is none, or the two sets do not fit.
    """
    if known.numbers is None or known.uids is None:
        return 0
    uids = session.open_mailbox.view.uids
    right = 0
    for number, uid in zip(_each(known.numbers.ranges), _each(known.uids.ranges), strict=False):
        if number > len(uids) or uids[number - 1] != uid:
            break
        right = uid
    return right


def _each(ranges: Ranges) -> Iterator[int]:
    return (number for low, high in ranges for number in range(low, high + 1))
