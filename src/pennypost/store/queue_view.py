"""The queue as an administrator sees it, and what he does to it. Reads go over the whole queue: for `scan`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pennypost.model.address import Address
from pennypost.model.envelope import Recipient
from pennypost.model.ids import AccountId, DeliveryId, ModSeq, QueuedId
from pennypost.store import dispatch
from pennypost.store.engine import Row, Transaction, Value, from_microseconds, to_microseconds
from pennypost.store.queue import QUEUE, DeliveryState, make_due, recipient_of, reverse_path_of


@dataclass(frozen=True, slots=True)
class Delivery:
    """One recipient of a queued message. `hop`: where it goes next. `last_reply`: of the next host, or why there was
    none. `holder`: who sends it now."""

    id: DeliveryId
    queued: QueuedId
    recipient: Recipient
    hop: str
    state: DeliveryState
    next_attempt_at: datetime
    attempts: int
    holder: str | None
    last_reply: str | None
    last_attempt_at: datetime | None
    reverse_path: Address | None
    size: int
    created_at: datetime
    trace: int
    priority: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries are meant: those that fit all that is given. `domain`: of the recipient, without regard to case,
    and so `sender` and `recipient`, which are whole addresses as they are written unquoted; sender "" is the null
    reverse-path. `account`: who submitted it."""

    queued: QueuedId | None = None
    sender: str | None = None
    recipient: str | None = None
    domain: str | None = None
    hop: str | None = None
    state: DeliveryState | None = None
    account: AccountId | None = None

    @property
    def conditions(self) -> tuple[str, list[Value]]:
        """Give what to write behind WHERE, and its values."""
        found: list[tuple[str, Value]] = []
        if self.queued is not None:
            found.append(("d.queued = ?", self.queued))
        if self.sender is not None:
            found.append(("COALESCE(LOWER(q.reverse_path), '') = LOWER(?)", self.sender))
        if self.recipient is not None:
            found.append(("LOWER(d.recipient_local || '@' || d.recipient_domain) = LOWER(?)", self.recipient))
        if self.domain is not None:
            found.append(("LOWER(d.recipient_domain) = LOWER(?)", self.domain))
        if self.hop is not None:
            found.append(("d.hop = ?", self.hop))
        if self.state is not None:
            found.append(("d.state = ?", int(self.state)))
        if self.account is not None:
            found.append(("q.account = ?", self.account))
        return " AND ".join(sql for sql, _ in found) or "1 = 1", [value for _, value in found]


@dataclass(frozen=True, slots=True)
class QueueCount:
    """What the queue holds. `waiting`: all that is to be sent by itself; `due`: now. `oldest`: when the oldest message
    came, None when there is none."""

    waiting: int
    held: int
    due: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class HopCount:
    """What waits for one next hop. `reason`: the last reply most of it has. `pace`: what slowed the hop down, and until
    when it is held."""

    hop: str
    deliveries: int
    ready: int
    deferred: int
    held: int
    oldest: datetime
    next_attempt_at: datetime | None
    reason: str | None
    connections: int | None
    held_until: datetime | None
    pace: str | None


_SELECT = (
    "SELECT d.id, d.queued, d.recipient_local, d.recipient_domain, d.notify, d.original_recipient, d.hop, d.state, "
    "d.next_attempt_at, d.attempts, d.lease_holder, d.last_reply, d.last_attempt_at, q.reverse_path, q.size, "
    "q.created_at, q.trace, q.priority FROM delivery d JOIN queued q ON q.id = d.queued "
)


async def deliveries(
    tx: Transaction, wanted: Filter | None = None, after: DeliveryId | None = None, limit: int = 1000
) -> list[Delivery]:
    """List deliveries in the order in which they came: the first `limit`, or those after one."""
    conditions, values = (wanted or Filter()).conditions
    sql = f"{_SELECT}WHERE d.id > ? AND {conditions} ORDER BY d.id LIMIT ?"
    return [_delivery(row) for row in await tx.fetch_all(sql, after or 0, *values, limit)]


async def count(tx: Transaction) -> QueueCount:
    """Count what is in the queue."""
    states: dict[int, int] = dict(await tx.fetch_all("SELECT state, COUNT(*) FROM delivery GROUP BY state"))
    oldest = await tx.fetch_one("SELECT MIN(created_at) FROM queued")
    came = None if oldest is None or oldest[0] is None else from_microseconds(oldest[0])
    ready = states.get(DeliveryState.READY, 0)
    waiting = ready + states.get(DeliveryState.LEASED, 0) + states.get(DeliveryState.DEFERRED, 0)
    return QueueCount(waiting, states.get(DeliveryState.HELD, 0), ready, came)


async def by_hop(tx: Transaction, limit: int = 1000) -> list[HopCount]:
    """Count what waits for each next hop, the fullest first."""
    rows = await tx.fetch_all(
        "SELECT d.hop, COUNT(*), SUM(CASE WHEN d.state IN (?, ?) THEN 1 ELSE 0 END), "
        "SUM(CASE WHEN d.state = ? THEN 1 ELSE 0 END), SUM(CASE WHEN d.state = ? THEN 1 ELSE 0 END), "
        "MIN(q.created_at), MIN(CASE WHEN d.state = ? THEN d.next_attempt_at END) "
        "FROM delivery d JOIN queued q ON q.id = d.queued GROUP BY d.hop ORDER BY COUNT(*) DESC, d.hop LIMIT ?",
        int(DeliveryState.READY),
        int(DeliveryState.LEASED),
        int(DeliveryState.DEFERRED),
        int(DeliveryState.HELD),
        int(DeliveryState.DEFERRED),
        limit,
    )
    counted = []
    for hop, total, ready, deferred, held, oldest, next_at in rows:
        reason = await tx.fetch_one(
            "SELECT last_reply FROM delivery WHERE hop = ? AND last_reply IS NOT NULL "
            "GROUP BY last_reply ORDER BY COUNT(*) DESC LIMIT 1",
            hop,
        )
        pace = await tx.fetch_one("SELECT connections, held_until, reason FROM destination WHERE hop = ?", hop)
        connections, until, why = pace or (None, 0, None)
        counted.append(
            HopCount(
                hop,
                total,
                ready,
                deferred,
                held,
                from_microseconds(oldest),
                None if next_at is None else from_microseconds(next_at),
                reason[0] if reason else None,
                connections,
                from_microseconds(until) if until > to_microseconds(tx.now) else None,
                why,
            )
        )
    return counted


async def by_reason(tx: Transaction, limit: int = 100) -> list[tuple[str, int, datetime]]:
    """Count what waits by its last reply, the most frequent first: (reply, deliveries, when the oldest came)."""
    rows = await tx.fetch_all(
        "SELECT COALESCE(d.last_reply, ''), COUNT(*), MIN(q.created_at) FROM delivery d "
        "JOIN queued q ON q.id = d.queued GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
        limit,
    )
    return [(reply, total, from_microseconds(oldest)) for reply, total, oldest in rows]


# -- What an administrator does
#
# Each gives the deliveries it has changed. What somebody is sending now is not among them.


async def hold(tx: Transaction, chosen: Sequence[DeliveryId]) -> list[DeliveryId]:
    """Let deliveries wait until they are released."""
    return await _change(tx, chosen, DeliveryState.HELD, (DeliveryState.READY, DeliveryState.DEFERRED))


async def release(tx: Transaction, chosen: Sequence[DeliveryId]) -> list[DeliveryId]:
    """Let what was held be sent now; what is to be sent later waits for its time (RFC 4865 §5)."""
    now = to_microseconds(tx.now)
    scheduled = [
        delivery
        for delivery in chosen
        if await tx.execute(
            "UPDATE delivery SET state = ? WHERE id = ? AND state = ? AND attempts = 0 AND next_attempt_at > ?",
            int(DeliveryState.DEFERRED),
            delivery,
            int(DeliveryState.HELD),
            now,
        )
    ]
    if scheduled:
        tx.changed(QUEUE, ModSeq(0))
    return scheduled + await _change(tx, chosen, DeliveryState.READY, (DeliveryState.HELD,))


async def retry(tx: Transaction, chosen: Sequence[DeliveryId]) -> list[DeliveryId]:
    """Let what waits for its time be sent now, whatever holds up its next hop."""
    return await _change(tx, chosen, DeliveryState.READY, (DeliveryState.READY, DeliveryState.DEFERRED), unheld=True)


async def take_for_bounce(tx: Transaction, holder: str, chosen: Sequence[DeliveryId]) -> list[DeliveryId]:
    """Lease deliveries that nobody sends now, so that they can be settled."""
    taken = []
    for delivery in chosen:
        changed = await tx.execute(
            "UPDATE delivery SET state = ?, lease_holder = ? WHERE id = ? AND state <> ?",
            int(DeliveryState.LEASED),
            holder,
            delivery,
            int(DeliveryState.LEASED),
        )
        if changed:
            taken.append(delivery)
    return taken


async def remove(tx: Transaction, chosen: Sequence[DeliveryId]) -> list[DeliveryId]:
    """Take deliveries out of the queue without telling anybody; what is being sent stays."""
    removed = []
    for delivery in chosen:
        row = await tx.fetch_one(
            "DELETE FROM delivery WHERE id = ? AND state <> ? RETURNING queued", delivery, int(DeliveryState.LEASED)
        )
        if row is not None:
            removed.append(delivery)
            await dispatch.drop_if_done(tx, row[0])
    return removed


async def drop(tx: Transaction, queued: QueuedId) -> None:
    """Take a whole message out of the queue, also what is leased: whoever has it must know before it is sent."""
    await tx.execute("DELETE FROM delivery WHERE queued = ?", queued)
    await dispatch.drop_if_done(tx, queued)


async def _change(
    tx: Transaction,
    chosen: Sequence[DeliveryId],
    to: DeliveryState,
    of: tuple[DeliveryState, ...],
    *,
    unheld: bool = False,
) -> list[DeliveryId]:
    now = to_microseconds(tx.now)
    changed: list[DeliveryId] = []
    hops = set()
    for delivery in chosen:
        row = await tx.fetch_one(
            f"UPDATE delivery SET state = ?, turn = CASE WHEN ? THEN ? - precedence ELSE turn END, "
            f"next_attempt_at = CASE WHEN ? THEN ? ELSE next_attempt_at END WHERE id = ? "
            f"AND state IN ({', '.join(str(int(state)) for state in of)}) RETURNING hop",
            int(to),
            to is DeliveryState.READY,
            now,
            to is DeliveryState.READY,
            now,
            delivery,
        )
        if row is not None:
            changed.append(delivery)
            hops.add(row[0])
    if to is DeliveryState.READY:
        for hop in hops:
            if unheld:
                await tx.execute("UPDATE destination SET held_until = 0 WHERE hop = ?", hop)
            await make_due(tx, hop)
        tx.changed(QUEUE, ModSeq(0))
    return changed


def _delivery(row: Row) -> Delivery:
    identifier, queued, local, domain, notify, original, hop, state, due, attempts, holder, reply, tried = row[:13]
    reverse_path, size, created_at, trace, priority = row[13:]
    return Delivery(
        identifier,
        queued,
        recipient_of(local, domain, notify, original),
        hop,
        DeliveryState(state),
        from_microseconds(due),
        attempts,
        holder,
        reply,
        None if tried is None else from_microseconds(tried),
        reverse_path_of(reverse_path),
        size,
        from_microseconds(created_at),
        trace,
        priority,
    )
