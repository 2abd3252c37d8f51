"""What happened to each message, step by step: rows that go into the transactions of what they tell.

A message is known by its trace id (the `id` of our Received field): its reception is one row, whatever it had to pass,
and each later step another. Look-ups by Message-ID, address or queue number read through the table: they are rare and
run as a `scan`; so a reception pays for one short row, and for no index.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

import msgspec

from pennypost.model.ids import AccountId, MessageId
from pennypost.store import aftermath
from pennypost.store.engine import Row, Transaction, Value, from_microseconds, to_microseconds

_INSERT = "INSERT INTO event (at, trace, kind, facts) VALUES (?, ?, ?, ?)"
_SELECT = "SELECT id, at, trace, kind, facts FROM event "

MAX_TRACES = 50
"""Messages that one look-up tells of: the newest."""
MAX_EVENTS = 5000

Step = tuple[int, "EventKind", Mapping[str, Any]]
"""A step that is to be added: the trace of its message, its kind and facts."""

_encode = msgspec.json.Encoder().encode


class EventKind(IntEnum):
    """What kind of step. The numbers are stored: never change them."""

    RECEIVED = 1
    """It came from elsewhere and was stored: connection, envelope, verdicts, what became of it."""
    SUBMITTED = 2
    """It came from one of our users."""
    ATTEMPTED = 3
    """It was sent to a next hop, or was meant to be: each recipient's result."""
    REPORTED = 4
    """A report about it was made for its sender: failure, delay or success."""
    ADMINISTERED = 5
    """An administrator did something to it in the queue."""
    HEARD = 6
    """A report about it came from another host."""
    CHANGED = 7
    """A client moved it, removed it, or set flags: what `story` reads out of the log of changes."""
    TURNED_AWAY = 8
    """A program that was asked about it did not want it, now or ever: nothing of it is stored."""
    RECALLED = 9
    """Its sender took it back before it left."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step. `facts`: by kind; texts, numbers, and lists of them."""

    id: int
    at: datetime
    trace: int
    kind: EventKind
    facts: Mapping[str, Any]


def trace_number(trace_id: str) -> int:
    """Give the number a trace id (16 hexadecimal digits) is stored as."""
    number = int(trace_id, 16)
    return number - 2**64 if number >= 2**63 else number


def trace_id(number: int) -> str:
    """Give the trace id that a number stands for."""
    return f"{number % 2**64:016x}"


async def record(tx: Transaction, trace: int, kind: EventKind, facts: Mapping[str, Any]) -> None:
    """Add a step. It is kept if the transaction is."""
    await tx.execute(_INSERT, to_microseconds(tx.now), trace, int(kind), _encode(facts).decode())


async def record_many(tx: Transaction, steps: Sequence[Step]) -> None:
    """Add steps of several messages."""
    at = to_microseconds(tx.now)
    await tx.execute_many(_INSERT, [(at, trace, int(kind), _encode(facts).decode()) for trace, kind, facts in steps])


# -- Reading


async def traces_of(tx: Transaction, text: str, limit: int = MAX_TRACES) -> list[int]:
    """Find the messages whose steps tell of `text`, the newest first: an address, a Message-ID without its brackets, a
    queue number as "q17". Without regard to case. Reads the whole table."""
    quoted = _encode(text.lower()).decode()[1:-1]
    rows = await tx.fetch_all(
        "SELECT trace, MAX(id) FROM event WHERE trace <> 0 AND INSTR(LOWER(facts), ?) > 0 "
        "GROUP BY trace ORDER BY 2 DESC LIMIT ?",
        quoted,
        limit,
    )
    return [row[0] for row in rows]


async def story(tx: Transaction, traces: Sequence[int]) -> list[Event]:
    """Tell all steps of messages in their order, with what clients did to the stored copies, which is read out of the
    log of changes: such a step has the number 0. Reads the whole table."""
    if not traces:
        return []
    marks = ", ".join("?" * len(traces))
    rows = await tx.fetch_all(f"{_SELECT}WHERE trace IN ({marks}) ORDER BY id LIMIT ?", *traces, MAX_EVENTS)
    events = [_event(row) for row in rows]
    copies: dict[int, dict[int, int]] = {}
    for event in events:
        for account, message in (name.split("/") for name in event.facts.get("stored", ()) if "/" in name):
            copies.setdefault(int(account), {})[int(message)] = event.trace
    if not copies:
        return events
    for account, messages in copies.items():
        for deed in await aftermath.deeds(tx, AccountId(account), [MessageId(message) for message in messages]):
            facts = {"message": f"{deed.account}/{deed.message}", **deed.facts}
            events.append(Event(0, deed.at, messages[deed.message], EventKind.CHANGED, facts))
    return sorted(events, key=lambda event: event.at)


_SLACK = timedelta(seconds=5)
"""What instants of steps that follow each other may differ by the wrong way round, between processes."""
_RECEPTION = timedelta(seconds=60)
"""A Received field is written before others are asked about the message; the step is when it is stored."""
_FIRST_STEPS = 20_000
"""Rows behind a reception in which its first attempts are looked for: milliseconds' work."""


async def reception(tx: Transaction, trace: int, at: datetime) -> Event | None:
    """Find the reception of a message that came at about `at`. Reads what came in the minute after that."""
    rows = await _between(tx, at - _SLACK, at + _RECEPTION, "trace = ? AND kind IN (?, ?)", trace, *_RECEPTIONS)
    return rows[0] if rows else None


async def submission(tx: Transaction, at: datetime, sender: str, message_id: str | None = None) -> Event | None:
    """Find the reception of a message that was stored at `at`, by its reverse-path, without regard to case, and its
    Message-ID, where that is known. None, too, where several fit."""
    rows = await _between(tx, at - _SLACK, at + _SLACK, "at = ? AND kind IN (?, ?)", to_microseconds(at), *_RECEPTIONS)
    found = [
        event
        for event in rows
        if event.facts.get("from", "").casefold() == sender and message_id in (None, event.facts.get("message-id"))
    ]
    return found[0] if len(found) == 1 else None


async def first_attempts(tx: Transaction, came: Event) -> list[Event]:
    """Give the attempts to send a message that were made soon after it came."""
    sql = f"{_SELECT}WHERE id > ? AND id <= ? AND trace = ? AND kind = ? ORDER BY id"
    rows = await tx.fetch_all(sql, came.id, came.id + _FIRST_STEPS, came.trace, int(EventKind.ATTEMPTED))
    return [_event(row) for row in rows]


_RECEPTIONS = (int(EventKind.RECEIVED), int(EventKind.SUBMITTED))


async def _between(tx: Transaction, start: datetime, end: datetime, condition: str, *values: Value) -> list[Event]:
    """Give the steps between two instants that fit a condition."""
    first, last = await _first_since(tx, start), await _first_since(tx, end)
    sql = f"{_SELECT}WHERE id >= ? AND id < ? AND {condition} ORDER BY id LIMIT ?"
    return [_event(row) for row in await tx.fetch_all(sql, first, last, *values, MAX_EVENTS)]


async def _first_since(tx: Transaction, instant: datetime) -> int:
    """Find the first step that is not older than an instant: ids and instants rise together, so by halving."""
    ends = await tx.fetch_one("SELECT MIN(id), MAX(id) FROM event")
    if ends is None or ends[0] is None:
        return 0
    wanted = to_microseconds(instant)
    low, high = int(ends[0]), int(ends[1]) + 1
    while low < high:
        middle = (low + high) // 2
        row = await tx.fetch_one("SELECT id, at FROM event WHERE id >= ? ORDER BY id LIMIT 1", middle)
        if row is not None and row[1] < wanted:
            low = int(row[0]) + 1
        else:
            high = middle
    return low


async def prune(tx: Transaction, age: timedelta, most: int, limit: int = 1000) -> int:
    """Forget at most `limit` steps: those older than `age`, and the oldest beyond `most`. Gives how many."""
    row = await tx.fetch_one("SELECT MIN(id), MAX(id) FROM event")
    if row is None or row[0] is None:
        return 0
    first, last = row
    beyond = min(last - most, first + limit - 1)
    removed = await tx.execute("DELETE FROM event WHERE id <= ?", beyond) if beyond >= first else 0
    return removed + await tx.execute(
        "DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT ?) AND at < ?",
        limit - removed,
        to_microseconds(tx.now - age),
    )


def _event(row: Row) -> Event:
    identifier, at, trace, kind, facts = row
    return Event(identifier, from_microseconds(at), trace, EventKind(kind), msgspec.json.decode(facts))
