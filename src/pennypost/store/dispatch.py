"""Taking what is due out of the queue, and noting what came of it.

*Theory of operation.* Senders (one in each worker, on each machine) share the queue. What a sender takes is leased to
it by name; the lease holds for as long as the sender says now and then that it is alive (`stay`), one row however many
deliveries it has. When it is dead for a while, whoever looks next frees what it had (`recover`).

What is ready lies in an index by next hop, and by turn in each. Which hops to look at is in `destination`: one whose
`due_at` has come has deliveries ready. The sender that takes the first of them becomes the hop's `server` if more are
left: it goes on until it finds, in a transaction, that nothing is. So of every hop with something ready it holds that
somebody looks soon (`due_at`) or somebody is at it (`server`): nothing is ever stuck, and nobody polls. A server is not
alone at its hop: other senders may send to it what was leased to them when it came in.

Each look takes a few deliveries of each hop, the hop that is due for longest first: a hop with half a million waiting
gets no more of a look than one with a single delivery. What is deferred becomes ready when its time comes (`promote`).

Nothing here knows the reasons: `mail.queue` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pennypost.model.envelope import Recipient
from pennypost.model.ids import DeliveryId, ModSeq, QueuedId
from pennypost.store import blobs
from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds
from pennypost.store.queue import QUEUE, DeliveryState, make_due, recipient_of

_READY = f"state = {DeliveryState.READY:d}"
_LEASED = f"state = {DeliveryState.LEASED:d}"
_DEFERRED = f"state = {DeliveryState.DEFERRED:d}"
"""Written out in the statements: the partial indexes are used for no other text."""


_ALL = 2**31

_DONE = "queued WHERE id = ? AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.queued = queued.id)"


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that is ours to send. `attempts`: those made before; `warned`: see `Deferral`; `turn`: see `Place`."""

    id: DeliveryId
    queued: QueuedId
    recipient: Recipient
    attempts: int
    warned: bool
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How a next hop is to be treated, as all senders agree on it.

    `failures`: in a row. `connections`: how many there may be, None: as configured. `gap`: between two messages.
    `held_until`: nothing is sent before, None: it is not held. `reason`: what slowed it down.
    """

    failures: int = 0
    connections: int | None = None
    gap: timedelta = timedelta(0)
    held_until: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class HopWork:
    """What was taken for one hop. `more`: there is more ready, and we are its server now."""

    hop: str
    pace: Pace
    deliveries: tuple[Leased, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Deferral:
    """A delivery that is to be tried again. `hop`: the one to go by then. `warned`: no report of delay is due any more.
    `attempted`: whether this counts as an attempt."""

    id: DeliveryId
    next_attempt_at: datetime
    reply: str
    hop: str
    warned: bool
    attempted: bool = True


# -- Being a sender


async def stay(tx: Transaction, holder: str, duration: timedelta) -> None:
    """Say that a sender is alive: what is leased to it stays so for `duration` from now."""
    await tx.execute(
        "INSERT INTO sender (holder, expires_at) VALUES (?, ?) "
        "ON CONFLICT (holder) DO UPDATE SET expires_at = excluded.expires_at",
        holder,
        to_microseconds(tx.now + duration),
    )


async def leave(tx: Transaction, holder: str) -> int:
    """Give back all that a sender has, as at its end. Gives how many deliveries that were."""
    return await _free(tx, holder, None)


async def recover(tx: Transaction, limit: int = 500) -> bool:
    """Free what senders have that are not alive any more: about `limit` deliveries. Gives whether there may be more."""
    now = to_microseconds(tx.now)
    row = await tx.fetch_one("SELECT holder FROM sender WHERE expires_at <= ? LIMIT 1", now)
    if row is None:
        return False
    await _free(tx, row[0], limit)
    return True


async def leased_to(tx: Transaction, holder: str) -> list[DeliveryId]:
    """List what is leased to a sender."""
    rows = await tx.fetch_all(f"SELECT id FROM delivery WHERE {_LEASED} AND lease_holder = ?", holder)
    return [row[0] for row in rows]


async def reclaim(tx: Transaction, holder: str, unknown: Sequence[DeliveryId]) -> None:
    """Free what is leased to a sender that does not know of it: whoever was to tell it was cut off."""
    for delivery in unknown:
        row = await tx.fetch_one(
            f"UPDATE delivery SET state = {DeliveryState.READY:d}, lease_holder = NULL "
            f"WHERE id = ? AND lease_holder = ? AND {_LEASED} RETURNING hop",
            delivery,
            holder,
        )
        if row is not None:
            await make_due(tx, row[0])
            tx.changed(QUEUE, ModSeq(0))


async def _free(tx: Transaction, holder: str, limit: int | None) -> int:
    """Free what a sender has; when that is all, it is no sender any more."""
    rows = await tx.fetch_all(
        f"UPDATE delivery SET state = {DeliveryState.READY:d}, lease_holder = NULL WHERE id IN "
        f"(SELECT id FROM delivery WHERE {_LEASED} AND lease_holder = ? LIMIT ?) RETURNING hop",
        holder,
        _ALL if limit is None else limit,
    )
    await stop_serving(tx, holder)
    for (hop,) in set(rows):
        await make_due(tx, hop)
    if limit is None or len(rows) < limit:
        await tx.execute("DELETE FROM sender WHERE holder = ?", holder)
    return len(rows)


async def serves(tx: Transaction, holder: str) -> bool:
    """Whether a sender is the server of any hop."""
    return await tx.fetch_one("SELECT 1 FROM destination WHERE server = ? LIMIT 1", holder) is not None


async def stop_serving(tx: Transaction, holder: str) -> None:
    """Let others serve the hops that a sender serves; what it has leased stays its own."""
    for (hop,) in await tx.fetch_all("UPDATE destination SET server = NULL WHERE server = ? RETURNING hop", holder):
        await make_due(tx, hop)


# -- Taking


async def promote(tx: Transaction, limit: int) -> int:
    """Make at most `limit` deliveries ready whose time has come, the longest due first. Gives how many."""
    rows = await tx.fetch_all(
        f"UPDATE delivery SET state = {DeliveryState.READY:d}, turn = next_attempt_at - precedence WHERE id IN "
        f"(SELECT id FROM delivery WHERE {_DEFERRED} AND next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?) "
        "RETURNING hop",
        to_microseconds(tx.now),
        limit,
    )
    for (hop,) in set(rows):
        await make_due(tx, hop)
    return len(rows)


async def take_due(tx: Transaction, holder: str, hops: int, each: int) -> list[HopWork]:
    """Take up to `each` deliveries for each of at most `hops` next hops that are due, the longest due first."""
    rows = await tx.fetch_all(
        "SELECT hop, failures, connections, gap, held_until, reason FROM destination "
        "WHERE due_at <= ? ORDER BY due_at LIMIT ?",
        to_microseconds(tx.now),
        hops,
    )
    found = []
    for hop, *columns in rows:
        pace = _pace(columns)
        taken, more = await take(tx, holder, hop, each)
        await tx.execute(
            "UPDATE destination SET due_at = NULL, server = ? WHERE hop = ?", holder if more else None, hop
        )
        found.append(HopWork(hop, pace, taken, more))
    return found


async def take_more(
    tx: Transaction, holder: str, hop: str, limit: int, *, serving: bool
) -> tuple[tuple[Leased, ...], bool]:
    """Take up to `limit` further deliveries for a hop that we send to. `serving`: we are its server.

    Gives them, and whether we are its server now: there is more. Costs a look into an index when there is nothing.
    """
    taken, more = await take(tx, holder, hop, limit)
    if more and not serving:
        serving = (
            await tx.execute(
                "UPDATE destination SET server = ?, due_at = NULL WHERE hop = ? AND server IS NULL", holder, hop
            )
            > 0
        )
    elif serving and not more:
        await tx.execute("UPDATE destination SET server = NULL WHERE hop = ? AND server = ?", hop, holder)
        serving = False
    return taken, serving


async def take(tx: Transaction, holder: str, hop: str, limit: int) -> tuple[tuple[Leased, ...], bool]:
    """Lease what is ready for a hop, by turn. Gives whether there is more."""
    ids = await tx.fetch_all(
        f"SELECT id FROM delivery WHERE {_READY} AND hop = ? ORDER BY turn, id LIMIT ?", hop, limit + 1
    )
    taken = []
    for (identifier,) in ids[:limit]:
        row = await tx.fetch_one(
            f"UPDATE delivery SET state = {DeliveryState.LEASED:d}, lease_holder = ? WHERE id = ? AND {_READY} "
            "RETURNING id, queued, recipient_local, recipient_domain, notify, original_recipient, attempts, warned, "
            "turn",
            holder,
            identifier,
        )
        if row is not None:
            taken.append(Leased(row[0], row[1], recipient_of(*row[2:6]), row[6], bool(row[7]), row[8]))
    return tuple(taken), len(ids) > limit


async def give_back(tx: Transaction, holder: str, deliveries: Sequence[DeliveryId]) -> None:
    """Give deliveries back that were not tried. Their hops are not made due: `set_pace` or `make_due` says when."""
    await tx.execute_many(
        f"UPDATE delivery SET state = {DeliveryState.READY:d}, lease_holder = NULL "
        f"WHERE id = ? AND lease_holder = ? AND {_LEASED}",
        [(delivery, holder) for delivery in deliveries],
    )


async def next_due(tx: Transaction, holder: str) -> tuple[datetime | None, datetime | None]:
    """Give when there will be something to look at: a hop that is due, or another sender that may have died; and when
    the time of a delivery comes that waits for it. None: never."""
    hop = await tx.fetch_one("SELECT MIN(due_at) FROM destination WHERE due_at IS NOT NULL")
    sender = await tx.fetch_one("SELECT MIN(expires_at) FROM sender WHERE holder <> ?", holder)
    deferred = await tx.fetch_one(f"SELECT MIN(next_attempt_at) FROM delivery WHERE {_DEFERRED}")
    assert hop is not None
    assert sender is not None
    assert deferred is not None
    instants = [row[0] for row in (hop, sender) if row[0] is not None]
    return (
        from_microseconds(min(instants)) if instants else None,
        from_microseconds(deferred[0]) if deferred[0] is not None else None,
    )


# -- Noting what came of it


async def holds(tx: Transaction, holder: str, delivery: DeliveryId) -> bool:
    """Whether a delivery is leased to a sender."""
    sql = f"SELECT 1 FROM delivery WHERE id = ? AND lease_holder = ? AND {_LEASED}"
    return await tx.fetch_one(sql, delivery, holder) is not None


async def finish(tx: Transaction, holder: str, delivery: DeliveryId) -> bool:
    """Take a delivery out that is done, one way or the other. False: the lease was lost, it is another's to settle."""
    return (
        await tx.execute(f"DELETE FROM delivery WHERE id = ? AND lease_holder = ? AND {_LEASED}", delivery, holder) > 0
    )


async def finish_many(tx: Transaction, leased: Sequence[tuple[DeliveryId, str]]) -> None:
    """Take deliveries out that are done, each with who has it leased. One whose lease was lost is another's to
    settle."""
    await tx.execute_many(f"DELETE FROM delivery WHERE id = ? AND lease_holder = ? AND {_LEASED}", leased)


async def defer(tx: Transaction, holder: str, deferral: Deferral) -> bool:
    """Let a delivery wait for its next attempt. False: the lease was lost."""
    now = to_microseconds(tx.now)
    return (
        await tx.execute(
            f"UPDATE delivery SET state = {DeliveryState.DEFERRED:d}, next_attempt_at = ?, attempts = attempts + ?, "
            f"last_reply = ?, last_attempt_at = ?, hop = ?, warned = ?, lease_holder = NULL "
            f"WHERE id = ? AND lease_holder = ? AND {_LEASED}",
            to_microseconds(deferral.next_attempt_at),
            int(deferral.attempted),
            deferral.reply,
            now,
            deferral.hop,
            int(deferral.warned),
            deferral.id,
            holder,
        )
        > 0
    )


async def set_aside(tx: Transaction, holder: str, delivery: DeliveryId, reply: str) -> None:
    """Let a delivery wait until an administrator has looked at it."""
    await tx.execute(
        f"UPDATE delivery SET state = ?, last_reply = ?, last_attempt_at = ?, lease_holder = NULL "
        f"WHERE id = ? AND lease_holder = ? AND {_LEASED}",
        int(DeliveryState.HELD),
        reply,
        to_microseconds(tx.now),
        delivery,
        holder,
    )


async def reroute(tx: Transaction, holder: str, deliveries: Sequence[DeliveryId], hop: str) -> None:
    """Let deliveries go by another hop, now."""
    for delivery in deliveries:
        await tx.execute(
            f"UPDATE delivery SET state = {DeliveryState.READY:d}, hop = ?, lease_holder = NULL "
            f"WHERE id = ? AND lease_holder = ? AND {_LEASED}",
            hop,
            delivery,
            holder,
        )
    await make_due(tx, hop)


async def drop_if_done(tx: Transaction, queued: QueuedId) -> None:
    """Remove a message that has no delivery any more."""
    await blobs.note_dropped(tx, _DONE, queued)
    await tx.execute(f"DELETE FROM {_DONE}", queued)


async def drop_done(tx: Transaction, messages: Sequence[QueuedId]) -> None:
    """Remove those of some messages that have no delivery any more."""
    for queued in messages:
        await drop_if_done(tx, queued)


async def set_pace(tx: Transaction, holder: str, hop: str, pace: Pace) -> None:
    """Write down how a hop is to be treated. One that is held is given up by its server, if that is us: it is due again
    when the hold ends, for whoever comes then."""
    now = to_microseconds(tx.now)
    held = 0 if pace.held_until is None else to_microseconds(pace.held_until)
    gap = pace.gap // timedelta(microseconds=1)
    await tx.execute(
        "INSERT INTO destination (hop, failures, connections, gap, held_until, reason, changed_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hop) DO UPDATE SET failures = excluded.failures, "
        "connections = excluded.connections, gap = excluded.gap, held_until = excluded.held_until, "
        "reason = excluded.reason, changed_at = excluded.changed_at",
        hop,
        pace.failures,
        pace.connections,
        gap,
        held,
        pace.reason,
        now,
    )
    if held > now:
        await tx.execute("UPDATE destination SET server = NULL WHERE hop = ? AND server = ?", hop, holder)
        await tx.execute(
            f"UPDATE destination SET due_at = ? WHERE hop = ? AND server IS NULL "
            f"AND EXISTS (SELECT 1 FROM delivery WHERE {_READY} AND delivery.hop = destination.hop)",
            held,
            hop,
        )


async def pace_of(tx: Transaction, hop: str) -> Pace:
    """Give how a hop is to be treated."""
    row = await tx.fetch_one(
        "SELECT failures, connections, gap, held_until, reason FROM destination WHERE hop = ?", hop
    )
    return Pace() if row is None else _pace(row)


async def forget_idle(tx: Transaction, age: timedelta, limit: int = 1000) -> int:
    """Remove destinations that nothing waits for and that were treated as usual, or not at all for `age`."""
    return await tx.execute(
        "DELETE FROM destination WHERE hop IN (SELECT hop FROM destination WHERE due_at IS NULL AND server IS NULL "
        "AND changed_at <= ? LIMIT ?)",
        to_microseconds(tx.now - age),
        limit,
    )


def _pace(row: Row | list[object]) -> Pace:
    failures, connections, gap, held, reason = row
    assert isinstance(failures, int)
    assert isinstance(gap, int)
    assert isinstance(held, int)
    assert connections is None or isinstance(connections, int)
    assert reason is None or isinstance(reason, str)
    return Pace(failures, connections, timedelta(microseconds=gap), from_microseconds(held) if held else None, reason)
