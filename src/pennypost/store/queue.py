"""The queue: messages for other hosts, one row for the message and one delivery for each recipient (RFC 5321 §4.5.4).

What is here: putting messages in, looking at one. `dispatch` takes what is due and notes what came of it, `queue_view`
is what an administrator sees and does.

A delivery that is settled leaves; a message leaves with its last delivery. What happened to it is in the `timeline`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from pennypost.model.address import Address
from pennypost.model.envelope import (
    BodyType,
    DeliverBy,
    DeliverByMode,
    Envelope,
    Notify,
    Recipient,
    ReturnContent,
)
from pennypost.model.ids import AccountId, BlobId, DeliveryId, ModSeq, QueuedId
from pennypost.store.engine import Transaction, from_microseconds, to_microseconds
from pennypost.store.keys import split_key

QUEUE = AccountId(0)
"""Whose notices say that something in the queue is to be looked at: no account has this id."""


LOCAL_HOP = "local"
"""The next hop that is this server."""


def hop_of_domain(domain: str) -> str:
    """Name the next hop that is a domain's own mail hosts. `domain`: lower case, without a final dot."""
    return domain if domain != LOCAL_HOP else f"{domain}."


class DeliveryState(IntEnum):
    """How it stands with one recipient. The numbers are stored, and written out in the indexes: never change them."""

    READY = 0
    """It may be sent now."""
    LEASED = 1
    """Somebody sends it."""
    DEFERRED = 2
    """It waits for its time."""
    HELD = 3
    """An administrator said so."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message on its way to other hosts.

    `header`: octets up to and with the empty line. `blob`: its body, put already. `account`: who
    submitted it, None for what was forwarded or made here. `envelope.recipients`: those elsewhere. `trace`: the number
    its events in the timeline carry, 0 for none. `seen_at`: the present that `envelope.deliver_by` counts from, None:
    `created_at`. `released_at`: the time that its sender named (RFC 4865), None: it was not to wait.
    """

    account: AccountId | None
    blob: BlobId
    header: bytes
    body_size: int
    envelope: Envelope
    created_at: datetime
    trace: int = 0
    seen_at: datetime | None = None
    released_at: datetime | None = None

    @property
    def tried_since(self) -> datetime:
        """When it was to leave: from then on it waits, is warned of, and given up."""
        return self.created_at if self.released_at is None else max(self.created_at, self.released_at)

    @property
    def size(self) -> int:
        """Octets of header and body."""
        return len(self.header) + self.body_size

    def to(self, fields: bytes, recipients: tuple[Recipient, ...]) -> "QueuedMessage":
        """Give the same message for others, with fields on top of its header."""
        envelope = replace(self.envelope, recipients=recipients)
        return replace(self, header=fields + self.header, envelope=envelope)


@dataclass(frozen=True, slots=True)
class Place:
    """Where some recipients of a message stand in the queue: those that one transaction may send.

    `hop`: the next hop's name. `turn`: the order among what is ready for the hop, an instant in microseconds. `holder`:
    who sends them at once; None: whoever comes. `not_before`: when the sender wants them to leave (RFC 4865).
    `precedence`: microseconds by which their turn comes sooner, now and later (RFC 6710).
    """

    hop: str
    recipients: tuple[Recipient, ...]
    turn: int
    holder: str | None = None
    not_before: datetime | None = None
    precedence: int = 0


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A message that was put into the queue. `deliveries`: for each place, those of its recipients, in order."""

    queued: QueuedId
    deliveries: tuple[tuple[DeliveryId, ...], ...]


def by_domain(envelope: Envelope, now: datetime) -> list[Place]:
    """Give the places of a message whose next hops are the recipients' domains."""
    domains: dict[str, list[Recipient]] = {}
    for recipient in envelope.recipients:
        domains.setdefault(hop_of_domain(recipient.address.domain.lower()), []).append(recipient)
    turn = to_microseconds(now)
    return [Place(domain, tuple(recipients), turn) for domain, recipients in domains.items()]


_ENQUEUE = (
    "INSERT INTO queued (account, blob, header, size, reverse_path, body, smtputf8, require_tls, return_content, "
    "envelope_id, created_at, trace, priority, deliver_by, deliver_by_mode, deliver_by_trace, released_at, id) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD = (
    "INSERT INTO delivery (id, queued, recipient_local, recipient_domain, notify, original_recipient, hop, state, "
    "turn, precedence, next_attempt_at, attempts, warned, lease_holder) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)"
)
_LAST = "SELECT (SELECT MAX(id) FROM queued), (SELECT MAX(id) FROM delivery)"

_EPOCH_MILLISECONDS = 1767225600000
"""Numbers of queued messages count the milliseconds since 2026 began. Rows of the queue go, and what an administrator,
or a timeline, calls a message must never mean another one."""
_DELIVERIES_A_MILLISECOND = 1000


async def enqueue(tx: Transaction, message: QueuedMessage, places: Sequence[Place] | None = None) -> Enqueued:
    """Put a message into the queue. `places` have its recipients, each once; None: by their domains, due at once.

    A place with a holder is leased to it: it has to be a `sender` (`dispatch.stay`) in the same transaction or before.
    When the transaction is committed the message is durable, and 250 may be sent.
    """
    envelope = message.envelope
    deliver_by = envelope.deliver_by
    placed = by_domain(envelope, tx.now) if places is None else places
    released_at = max((p.not_before for p in placed if p.not_before is not None), default=message.released_at)
    queued, first = await _numbers(tx)
    await tx.execute(
        _ENQUEUE,
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
        message.trace,
        envelope.priority,
        None if deliver_by is None else to_microseconds(message.created_at + deliver_by.within),
        None if deliver_by is None else deliver_by.mode.value,
        int(deliver_by is not None and deliver_by.trace),
        None if released_at is None else to_microseconds(released_at),
        queued,
    )
    added = []
    for place in placed:
        added.append(await _add(tx, queued, place, first))
        first += len(place.recipients)
    return Enqueued(queued, tuple(added))


async def _numbers(tx: Transaction) -> tuple[QueuedId, int]:
    """Give the next message's number and its first delivery's: later than all that are there, and than all that
    were."""
    row = await tx.fetch_one(_LAST)
    assert row is not None
    last, last_delivery = row
    passed = to_microseconds(tx.now) // 1000 - _EPOCH_MILLISECONDS
    return (
        QueuedId(max(passed, (last or 0) + 1, 1)),
        max(passed * _DELIVERIES_A_MILLISECOND, (last_delivery or 0) + 1, 1),
    )


async def _add(tx: Transaction, queued: QueuedId, place: Place, first: int) -> tuple[DeliveryId, ...]:
    now = to_microseconds(tx.now)
    due = now if place.not_before is None else to_microseconds(place.not_before)
    if due > now:
        state = DeliveryState.DEFERRED
    else:
        state = DeliveryState.READY if place.holder is None else DeliveryState.LEASED
    holder = place.holder if state is DeliveryState.LEASED else None
    turn = place.turn - place.precedence
    added = []
    for number, recipient in enumerate(place.recipients, first):
        await tx.execute(
            _ADD,
            number,
            queued,
            recipient.address.local_part,
            recipient.address.domain,
            recipient.notify.value,
            recipient.original_recipient,
            place.hop,
            int(state),
            turn,
            place.precedence,
            due,
            holder,
        )
        added.append(DeliveryId(number))
    if state is DeliveryState.READY:
        await make_due(tx, place.hop)
    if state is not DeliveryState.LEASED:
        tx.changed(QUEUE, ModSeq(0))
    return tuple(added)


async def make_due(tx: Transaction, hop: str) -> None:
    """Let somebody look what is ready for a hop, as soon as its pace allows, unless somebody works on it already."""
    now = to_microseconds(tx.now)
    await tx.execute(
        "INSERT INTO destination (hop, due_at, failures, gap, held_until, changed_at) VALUES (?, ?, 0, 0, 0, ?) "
        "ON CONFLICT (hop) DO UPDATE SET due_at = CASE WHEN destination.held_until > excluded.due_at "
        "THEN destination.held_until ELSE excluded.due_at END WHERE destination.server IS NULL "
        "AND (destination.due_at IS NULL OR destination.due_at > excluded.due_at)",
        hop,
        now,
        now,
    )


_MESSAGE = (
    "SELECT account, blob, header, size, reverse_path, body, smtputf8, require_tls, return_content, envelope_id, "
    "created_at, trace, priority, deliver_by, deliver_by_mode, deliver_by_trace, "
    "released_at FROM queued WHERE id = ?"
)


async def message(tx: Transaction, queued: QueuedId, *, recipients: bool = True) -> QueuedMessage | None:
    """Give a queued message, with those of its recipients that are still to be sent to, or without any."""
    row = await tx.fetch_one(_MESSAGE, queued)
    if row is None:
        return None
    account, blob, header, size, reverse_path, body, smtputf8, require_tls, content, envelope_id, created_at = row[:11]
    trace, priority, deliver_by, mode, traced, released_at = row[11:]
    left: tuple[Recipient, ...] = ()
    if recipients:
        rows = await tx.fetch_all(
            "SELECT recipient_local, recipient_domain, notify, original_recipient FROM delivery "
            "WHERE queued = ? ORDER BY id",
            queued,
        )
        left = tuple(recipient_of(*one) for one in rows)
    envelope = Envelope(
        reverse_path_of(reverse_path),
        left,
        BodyType(body),
        bool(smtputf8),
        bool(require_tls),
        None if content is None else ReturnContent(content),
        envelope_id,
        None,
        deliver_by=None
        if deliver_by is None
        else DeliverBy(from_microseconds(deliver_by) - tx.now, DeliverByMode(mode), bool(traced)),
        priority=priority,
    )
    came = from_microseconds(created_at)
    released = None if released_at is None else from_microseconds(released_at)
    return QueuedMessage(account, blob, header, size - len(header), envelope, came, trace, tx.now, released)


# -- Rows


def _written(address: Address) -> str:
    """Give an address as one text: unquoted, so that the last "@" divides it."""
    return f"{address.local_part}@{address.domain}"


def reverse_path_of(text: str | None) -> Address | None:
    """Read a reverse-path as rows hold it."""
    return None if text is None else Address(*split_key(text))


def recipient_of(local_part: str, domain: str, notify: int, original_recipient: str | None) -> Recipient:
    """Read a recipient as rows hold it."""
    return Recipient(Address(local_part, domain), Notify(notify), original_recipient)
