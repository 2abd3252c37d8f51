"""The queue: messages for other hosts, one row for the message and one delivery for each recipient (RFC 5321 §4.5.4).

A delivery is taken by lease, so that a killed worker loses nothing and nothing is sent twice for long. What is settled
stays, with its last reply, until its message has no delivery left that waits (`remove_settled`): reports need it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Notify, Recipient, ReturnContent
from pennypost.model.ids import AccountId, BlobId, DeliveryId, QueuedId
from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds
from pennypost.store.keys import split_key


class DeliveryState(IntEnum):
    """How it stands with one recipient. The numbers are stored: never change them."""

    WAITING = 0
    """For its next attempt, or under way by the holder of the lease."""
    SENT = 1
    """Another host has taken the responsibility."""
    FAILED = 2
    """It is given up."""
    HELD = 3
    """An administrator said so."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message on its way to other hosts.

    `header`: octets up to and with the empty line. `blob`: its body, put already. `account`: who
    submitted it, None for what was forwarded or made here. `envelope.recipients`: those elsewhere.
    """

    account: AccountId | None
    blob: BlobId
    header: bytes
    body_size: int
    envelope: Envelope
    created_at: datetime

    @property
    def size(self) -> int:
        """Octets of header and body."""
        return len(self.header) + self.body_size


@dataclass(frozen=True, slots=True)
class Delivery:
    """One recipient of a queued message. `last_reply`: of the next host, or why there was none."""

    id: DeliveryId
    queued: QueuedId
    recipient: Recipient
    domain: str
    """Lower case, A-labels where it can be: what shares a connection."""
    state: DeliveryState
    next_attempt_at: datetime
    attempts: int
    lease_holder: str | None
    last_reply: str | None
    reverse_path: Address | None
    size: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class QueueCount:
    """What the queue holds. `oldest`: when the oldest message that waits came, None when none does."""

    waiting: int
    held: int
    due: int
    oldest: datetime | None


async def enqueue(tx: Transaction, message: QueuedMessage) -> list[DeliveryId]:
    """Put a message into the queue, due at once. Gives a delivery for each recipient, in order.

    When the transaction is committed the message is durable, and 250 may be sent.
    """
    envelope = message.envelope
    row = await tx.fetch_one(
        "INSERT INTO queued (account, blob, header, size, reverse_path, body, smtputf8, require_tls, return_content, "
        "envelope_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        message.account,
        message.blob,
        message.header,
        message.size,
        None if envelope.reverse_path is None else _written(envelope.reverse_path),
        envelope.body.value,
        int(envelope.smtputf8),
        int(envelope.require_tls),
        None if envelope.return_content is None else envelope.return_content.value,
        envelope.envelope_id,
        to_microseconds(message.created_at),
    )
    assert row is not None
    return [await _add_recipient(tx, row[0], recipient) for recipient in envelope.recipients]


async def _add_recipient(tx: Transaction, queued: QueuedId, recipient: Recipient) -> DeliveryId:
    row = await tx.fetch_one(
        "INSERT INTO delivery (queued, recipient_local, recipient_domain, domain, notify, original_recipient, state, "
        "next_attempt_at, attempts, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0) RETURNING id",
        queued,
        recipient.address.local_part,
        recipient.address.domain,
        recipient.address.domain.lower(),
        recipient.notify.value,
        recipient.original_recipient,
        int(DeliveryState.WAITING),
        to_microseconds(tx.now),
    )
    assert row is not None
    return DeliveryId(row[0])


# -- Looking

_SELECT = (
    "SELECT d.id, d.queued, d.recipient_local, d.recipient_domain, d.notify, d.original_recipient, d.domain, d.state, "
    "d.next_attempt_at, d.attempts, d.lease_holder, d.lease_until, d.last_reply, q.reverse_path, q.size, q.created_at "
    "FROM delivery d JOIN queued q ON q.id = d.queued "
)


async def deliveries(tx: Transaction, after: DeliveryId | None = None, limit: int = 1000) -> list[Delivery]:
    """List deliveries in the order in which they came: the first `limit`, or those after one."""
    sql = _SELECT + "WHERE d.id > ? ORDER BY d.id LIMIT ?"
    now = to_microseconds(tx.now)
    return [_delivery(row, now) for row in await tx.fetch_all(sql, after or 0, limit)]


async def count(tx: Transaction) -> QueueCount:
    """Count what is in the queue."""
    row = await tx.fetch_one(
        "SELECT COALESCE(SUM(CASE WHEN state = ? THEN 1 ELSE 0 END), 0), "
        "COALESCE(SUM(CASE WHEN state = ? THEN 1 ELSE 0 END), 0), "
        "COALESCE(SUM(CASE WHEN state = ? AND next_attempt_at <= ? THEN 1 ELSE 0 END), 0) FROM delivery",
        int(DeliveryState.WAITING),
        int(DeliveryState.HELD),
        int(DeliveryState.WAITING),
        to_microseconds(tx.now),
    )
    oldest = await tx.fetch_one(
        "SELECT MIN(q.created_at) FROM queued q JOIN delivery d ON d.queued = q.id WHERE d.state = ?",
        int(DeliveryState.WAITING),
    )
    assert row is not None
    came = None if oldest is None or oldest[0] is None else from_microseconds(oldest[0])
    return QueueCount(row[0], row[1], row[2], came)


async def message(tx: Transaction, queued: QueuedId) -> QueuedMessage | None:
    """Give a queued message with those of its recipients that still wait."""
    row = await tx.fetch_one(
        "SELECT account, blob, header, size, reverse_path, body, smtputf8, require_tls, return_content, envelope_id, "
        "created_at FROM queued WHERE id = ?",
        queued,
    )
    if row is None:
        return None
    account, blob, header, size, reverse_path, body, smtputf8, require_tls, content, envelope_id, created_at = row
    rows = await tx.fetch_all(
        "SELECT recipient_local, recipient_domain, notify, original_recipient FROM delivery "
        "WHERE queued = ? AND state = ? ORDER BY id",
        queued,
        int(DeliveryState.WAITING),
    )
    envelope = Envelope(
        None if reverse_path is None else Address(*split_key(reverse_path)),
        tuple(_recipient(*recipient) for recipient in rows),
        BodyType(body),
        bool(smtputf8),
        bool(require_tls),
        None if content is None else ReturnContent(content),
        envelope_id,
        None,
    )
    return QueuedMessage(account, blob, header, size - len(header), envelope, from_microseconds(created_at))


# -- Working on it


async def lease(tx: Transaction, holder: str, duration: timedelta, limit: int = 100) -> list[Delivery]:
    """Take at most `limit` deliveries that are due, the longest due first, for a time. Nobody else gets them then."""
    now = to_microseconds(tx.now)
    rows = await tx.fetch_all(
        "UPDATE delivery SET lease_holder = ?, lease_until = ? WHERE id IN (SELECT id FROM delivery "
        "WHERE state = ? AND next_attempt_at <= ? AND lease_until <= ? ORDER BY next_attempt_at, id LIMIT ?) "
        "RETURNING id",
        holder,
        to_microseconds(tx.now + duration),
        int(DeliveryState.WAITING),
        now,
        now,
        limit,
    )
    taken = []
    for (identifier,) in sorted(rows):
        row = await tx.fetch_one(_SELECT + "WHERE d.id = ?", identifier)
        if row is not None:
            taken.append(_delivery(row, now))
    return taken


async def defer(tx: Transaction, delivery: DeliveryId, holder: str, next_attempt_at: datetime, reply: str) -> bool:
    """Give a delivery back after an attempt that may be repeated. False: the lease was lost meanwhile."""
    return (
        await tx.execute(
            "UPDATE delivery SET next_attempt_at = ?, attempts = attempts + 1, last_reply = ?, lease_holder = NULL, "
            "lease_until = 0 WHERE id = ? AND lease_holder = ?",
            to_microseconds(next_attempt_at),
            reply,
            delivery,
            holder,
        )
        > 0
    )


async def settle(tx: Transaction, delivery: DeliveryId, holder: str, state: DeliveryState, reply: str) -> bool:
    """Note how a delivery ended. False: the lease was lost meanwhile."""
    return (
        await tx.execute(
            "UPDATE delivery SET state = ?, attempts = attempts + 1, last_reply = ?, lease_holder = NULL, "
            "lease_until = 0 WHERE id = ? AND lease_holder = ?",
            int(state),
            reply,
            delivery,
            holder,
        )
        > 0
    )


async def release(tx: Transaction, holder: str) -> int:
    """Give back all that a holder has leased, as at a shutdown. Gives how many."""
    return await tx.execute("UPDATE delivery SET lease_holder = NULL, lease_until = 0 WHERE lease_holder = ?", holder)


async def remove(tx: Transaction, queued: QueuedId) -> bool:
    """Take a message out of the queue, whatever its deliveries are doing. Gives whether it was there."""
    await tx.execute("DELETE FROM delivery WHERE queued = ?", queued)
    return await tx.execute("DELETE FROM queued WHERE id = ?", queued) > 0


async def remove_settled(tx: Transaction, limit: int = 1000) -> int:
    """Remove at most `limit` messages that have no delivery left to do. Gives how many."""
    rows = await tx.fetch_all(
        "SELECT q.id FROM queued q WHERE NOT EXISTS "
        "(SELECT 1 FROM delivery d WHERE d.queued = q.id AND d.state IN (?, ?)) ORDER BY q.id LIMIT ?",
        int(DeliveryState.WAITING),
        int(DeliveryState.HELD),
        limit,
    )
    for (queued,) in rows:
        await remove(tx, queued)
    return len(rows)


# -- Rows


def _written(address: Address) -> str:
    """Give an address as one text: unquoted, so that the last "@" divides it."""
    return f"{address.local_part}@{address.domain}"


def _recipient(local_part: str, domain: str, notify: int, original_recipient: str | None) -> Recipient:
    return Recipient(Address(local_part, domain), Notify(notify), original_recipient)


def _delivery(row: Row, now: int) -> Delivery:
    identifier, queued, local, written_domain, notify, original, domain, state, due, attempts, holder, until = row[:12]
    reply, reverse_path, size, created_at = row[12:]
    return Delivery(
        identifier,
        queued,
        _recipient(local, written_domain, notify, original),
        domain,
        DeliveryState(state),
        from_microseconds(due),
        attempts,
        holder if until > now else None,
        reply,
        None if reverse_path is None else Address(*split_key(reverse_path)),
        size,
        from_microseconds(created_at),
    )
