"""Results that are kept up to date: UPDATE of SEARCH and SORT, CANCELUPDATE (RFC 5267 §4.3).

Theory of operation
-------------------
A context keeps what was found as UIDs, in order. `news` notes which messages of the open mailbox came or changed, as it
tells of them (`Selected.touched`); those are searched anew, and what differs is told as ADDTO and REMOVEFROM. What is
expunged leaves the results right before EXPUNGE is said, while its number is still true.

Places (RFC 5267 §4.3.3) are told of sorted results only; those of SEARCH are in mailbox order. Among sorted results
removals are told from the last to the first, and additions from the first to the last, so that each place is what the
client counts when it comes to it. A message that is expunged keeps its place until that is told, though nothing is left
that it could be sorted by. Of new messages there may be data to tell: before it is said that they are results (RFC 5465
§7).

CONTEXT is a hint (RFC 5267 §4.2) of which we have no need: what searches look at is kept anyway.
"""

from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pennypost.model.ids import Uid
from pennypost.proto.imap.commands.cancelupdate import CancelUpdate
from pennypost.proto.imap.commands.search import Search, SearchReturn
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.search import Placed, esearch_update, ranges_of
from pennypost.proto.imap.responses.status import Condition, Tagged, bad, ok, untagged
from pennypost.proto.imap.search_keys import AgeKey, And, SearchKey, SequenceKey, UidKey, inner_keys, replaced
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.proto.imap.sort_keys import SortKey
from pennypost.servers.imap import finding
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.finding import Found
from pennypost.servers.imap.ordering import Order, by_lasting, columns_for
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session
from pennypost.store.view import ViewChange

MAX_CONTEXTS = 8
"""Contexts of one open mailbox."""

MAX_RESULTS = 500_000
"""Results in all of them: two megabytes."""


TellNew = Callable[[Sequence[int]], Awaitable[None]]


@dataclass(slots=True)
class Context:
    """One search that goes on. `results`: UIDs, in order.

    `keys`: what they are sorted by; none: mailbox order. `uid`: results are told as UIDs. `tell_new`: tells data of new
    messages, by their numbers; a message is new above `last_uid`.
    """

    tag: bytes
    uid: bool
    key: SearchKey
    keys: Sequence[SortKey]
    results: "array[int]"
    last_uid: int
    tell_new: TellNew | None


# -- Their beginning and end


def refuse_second(session: Session, command: Search) -> None:
    """Refuse an UPDATE whose tag one has already (RFC 5267 §4.3)."""
    there = session.selected.contexts if session.selected is not None and _is_asked(command) else ()
    if any(context.tag == session.tag for context in there):
        raise Refused(bad("Tag is used by another search that is kept up to date"))


def begin(
    session: Session,
    command: Search,
    key: SearchKey,
    uids: Sequence[int],
    keys: Sequence[SortKey] = (),
    tell_new: TellNew | None = None,
) -> None:
    """Keep what was found, if UPDATE asked for it; say NOUPDATE where that cannot be (RFC 5267 §4.3.1).

    What depends on the time, or on how relevant messages are to each other, is not kept.
    """
    if not _is_asked(command):
        return
    selected = session.open_mailbox
    held = sum(len(context.results) for context in selected.contexts)
    if len(selected.contexts) >= MAX_CONTEXTS or held + len(uids) > MAX_RESULTS:
        session.write(untagged(Condition.NO, "Too many contexts", codes.noupdate(session.tag)))
    elif _depends_on_time(key) or not by_lasting(keys):
        session.write(untagged(Condition.NO, "Results of this kind are not updated", codes.noupdate(session.tag)))
    else:
        lasting = replaced(key, _numbers_as_uids(selected))
        results, last_uid = array("I", uids), _last_uid(selected)
        selected.contexts.append(Context(session.tag, command.uid, lasting, keys, results, last_uid, tell_new))


async def cancelupdate(session: Session, command: CancelUpdate) -> Tagged:
    """End contexts, all or none."""
    selected = session.open_mailbox
    if not {context.tag for context in selected.contexts}.issuperset(command.tags):
        return bad("No such context")
    selected.contexts[:] = [context for context in selected.contexts if context.tag not in command.tags]
    return ok("CANCELUPDATE completed")


def _is_asked(command: Search) -> bool:
    return command.returns is not None and bool(command.returns & SearchReturn.UPDATE)


def _depends_on_time(key: SearchKey) -> bool:
    return isinstance(key, AgeKey) or any(map(_depends_on_time, inner_keys(key)))


def _numbers_as_uids(selected: Selected) -> Callable[[SearchKey], SearchKey]:
    """Message numbers mean what they mean now (RFC 5267 §4.3), and so does `$`."""

    def change(simple: SearchKey) -> SearchKey:
        if not isinstance(simple, SequenceKey):
            return simple
        uids: Sequence[int] = selected.saved
        if not simple.messages.saved:
            ranges = simple.messages.resolve(selected.count)
            uids = [uid for first, last in ranges for uid in selected.view.uids[first - 1 : last]]
        return UidKey(SequenceSet(ranges_of(uids)))

    return change


# -- What becomes of them


def tell_expunged(session: Session, selected: Selected, change: ViewChange) -> None:
    """Take out what is about to be told as expunged. Numbers are those from before (RFC 5267 §4.3.4)."""
    numbers: dict[int, int] = dict(zip(change.expunged, change.expunged_numbers, strict=True))
    for context in selected.contexts:
        gone = set(numbers).intersection(context.results)
        if gone:
            removed = _remove(context, gone, lambda uid: numbers[uid])
            session.write(esearch_update(context.tag, context.uid, removed, ()))


async def tell(session: Session) -> None:
    """Tell what came and went through messages that are new or have changed."""
    selected = session.selected
    if selected is None or not selected.touched:
        return
    touched, selected.touched = selected.touched, set()
    try:
        for context in tuple(selected.contexts):
            await _tell_one(session, selected, context, touched)
    except BaseException:
        selected.touched |= touched  # what was told already is found to be as it was told
        raise


async def _tell_one(session: Session, selected: Selected, context: Context, changed: set[int]) -> None:
    among = UidKey(SequenceSet(ranges_of(sorted(changed))))
    found = await finding.find(session, selected, And((among, context.key)))
    matching = set(found.uids)
    before = changed.intersection(context.results)
    gone, come = before - matching, matching - before

    def number(uid: int) -> int:
        return selected.view.number_of(Uid(uid))

    new = [number(uid) for uid in sorted(come) if uid > context.last_uid]
    if new and context.tell_new is not None:
        await context.tell_new(new)
    context.last_uid = _last_uid(selected)
    removed = _remove(context, gone, number) if gone else []
    added = await _add(session, selected, context, come, found, number) if come else []
    if removed or added:
        session.write(esearch_update(context.tag, context.uid, removed, added))


def _last_uid(selected: Selected) -> int:
    return selected.view.uids[-1] if selected.count else 0


def _remove(context: Context, gone: set[int], number: Callable[[int], int]) -> list[Placed]:
    """Take results out, and give their places from the last to the first."""
    results = context.results
    runs = _runs(results, gone)
    context.results = array("I", [uid for uid in results if uid not in gone])
    return _placed(context, list(reversed(runs)), number)


async def _add(
    session: Session,
    selected: Selected,
    context: Context,
    come: set[int],
    found: Found,
    number: Callable[[int], int],
) -> list[Placed]:
    """Put results where they belong, and give their places from the first to the last."""
    if not context.keys:
        context.results = array("I", sorted(come.union(context.results)))
    else:
        columns = await columns_for(session, selected, found, context.keys)
        uids, order = found.piece.uids, Order(columns)
        some_gone = len(uids) < selected.count
        there = _among(context.results, uids) if some_gone else context.results
        for uid in sorted(come):
            place = order.place_of(bisect_left(uids, uid), there, lambda other: bisect_left(uids, other))
            there.insert(place, uid)
        if some_gone:
            context.results = _put_between(context.results, there)
    return _placed(context, _runs(context.results, come), number)


def _among(results: Sequence[int], uids: Sequence[int]) -> "array[int]":
    """Leave out results that are expunged, of which the client is still to hear: nothing is known of them any more."""
    return array("I", filter(set(uids).__contains__, results))


def _put_between(before: "array[int]", there: "array[int]") -> "array[int]":
    """Put what is new in `there` into results; each stands right behind what it stands behind in `there`."""
    old, known = iter(before), set(before)
    results = array("I")
    for uid in there:
        if uid not in known:
            results.append(uid)
            continue
        for one in old:
            results.append(one)
            if one == uid:
                break
    results.extend(old)
    return results


def _runs(results: Sequence[int], chosen: set[int]) -> list[tuple[int, list[int]]]:
    """Give the chosen results that stand side by side, with the place of the first, from 1."""
    runs: list[tuple[int, list[int]]] = []
    for place, uid in enumerate(results, 1):
        if uid not in chosen:
            continue
        if runs and runs[-1][0] + len(runs[-1][1]) == place:
            runs[-1][1].append(uid)
        else:
            runs.append((place, [uid]))
    return runs


def _placed(context: Context, runs: list[tuple[int, list[int]]], number: Callable[[int], int]) -> list[Placed]:
    def names(uids: Sequence[int]) -> Sequence[int]:
        return uids if context.uid else list(map(number, uids))

    if context.keys:
        return [(place, ranges_of(names(uids))) for place, uids in runs]
    return [(0, ranges_of(names(sorted(uid for _, uids in runs for uid in uids))))]
