"""`pennypost trace`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.cli.parameters import between
from pennypost.cli.running import read
from pennypost.model.ids import QueuedId
from pennypost.model.text import printable
from pennypost.store import queue_view, timeline
from pennypost.store.engine import Transaction
from pennypost.store.queue import DeliveryState
from pennypost.store.queue_view import Delivery, Filter
from pennypost.store.timeline import Event, EventKind

_TRACE_ID = re.compile(r"[0-9a-f]{16}")
_QUEUE_ID = re.compile(r"q?([0-9]{1,18})")
_FORMS = ', expected a Message-ID, a number in the queue, as "q17", a trace id of 16 hexadecimal digits, or an address'


@click.command("trace")
@configured
@click.argument("what", metavar="MESSAGE-ID|QUEUE-ID|TRACE-ID|ADDRESS")
@click.option(
    "--limit", type=between(1, 10_000), default=10, show_default=True, help="Messages to tell of: the newest."
)
@as_json
def trace(loaded: Loaded, what: str, limit: int, as_json: bool) -> None:
    """Tell what happened to a message, step by step, to its end.

    It is known by its Message-ID, its number in the queue ("q17"), the id that our Received field and our logs give it,
    or an address that it came from or went to.
    """

    async def look(tx: Transaction) -> tuple[list[Event], list[Delivery]]:
        if _TRACE_ID.fullmatch(what.lower()):
            traces = [timeline.trace_number(what.lower())]
        elif match := _QUEUE_ID.fullmatch(what):
            traces = await timeline.traces_of(tx, f"q{match[1]}", limit)
        else:
            traces = await timeline.traces_of(tx, what.strip().removeprefix("<").removesuffix(">"), limit)
        events = await timeline.story(tx, traces)
        waiting: list[Delivery] = []
        for number in sorted(_queue_numbers(events)):
            waiting += await queue_view.deliveries(tx, Filter(queued=QueuedId(number)))
        return events, waiting

    events, waiting = read(loaded, look)
    if not events:
        form = "" if "@" in what or _TRACE_ID.fullmatch(what.lower()) or _QUEUE_ID.fullmatch(what) else _FORMS
        fail(f"nothing is known of {printable(what)}{form}")
    if as_json:
        records = [
            {
                "at": e.at.isoformat(),
                "trace": timeline.trace_id(e.trace),
                "event": e.kind.name.lower(),
                **e.facts,
            }
            for e in events
        ]
        show_records(records, as_json=True)
        return
    _tell(events, waiting)


def _queue_numbers(events: Sequence[Event]) -> set[int]:
    names = [name for event in events for name in (*event.facts.get("stored", ()), event.facts.get("queue", ""))]
    return {int(name[1:]) for name in names if _QUEUE_ID.fullmatch(name) and name.startswith("q")}


def _tell(events: Sequence[Event], waiting: Sequence[Delivery]) -> None:
    """Write the stories one after the other, each under its trace id."""
    stories: dict[int, list[Event]] = {}
    for event in events:
        stories.setdefault(event.trace, []).append(event)
    for number, (key, story) in enumerate(stories.items()):
        if number:
            click.echo()
        click.echo(f"message {timeline.trace_id(key)}")
        for event in story:
            for line in _LINES[event.kind](event.facts):
                click.echo(f"  {event.at.isoformat(sep=' ', timespec='milliseconds')}  {printable(line)}")
        left = [delivery for delivery in waiting if delivery.trace == key]
        for delivery in left:
            click.echo(f"  now: {printable(_waits(delivery))}")
        here = {str(delivery.recipient.address).casefold() for delivery in left}
        for address, state in _ends(story).items():
            if address.casefold() not in here:
                click.echo(f"  now: {printable(address)} {state}")


def _waits(d: Delivery) -> str:
    what = {
        DeliveryState.READY: "is ready to be sent",
        DeliveryState.LEASED: "is being sent",
        DeliveryState.DEFERRED: f"waits until {d.next_attempt_at.isoformat(sep=' ', timespec='seconds')}",
        DeliveryState.HELD: "is held by the administrator",
    }[d.state]
    return f"q{d.queued} to {d.recipient.address} {what} ({d.attempts} attempts so far)"


_ENDS = {"sent": "was sent", "failed": "could not be delivered"}


def _ends(story: Sequence[Event]) -> Mapping[str, str]:
    """Give what has become of each recipient elsewhere, as far as it is known: what was heard later counts."""
    ends: dict[str, str] = {}
    for event in story:
        if event.kind is EventKind.ATTEMPTED:
            ends.update((address, _ENDS[state]) for address, state, *_ in event.facts["results"] if state in _ENDS)
        elif event.kind is EventKind.HEARD:
            ends.update((address, _LATER.get(action, action)) for address, action, *_ in event.facts["results"])
    return ends


# -- Each kind of event in words

Facts = Mapping[str, Any]


def _came(facts: Facts, how: str) -> Iterator[str]:
    tls = f", {facts['tls']}" if "tls" in facts else ", without TLS"
    yield f"{how} from {facts.get('user', facts['hello'])} [{facts['peer']}]{tls}"
    known = f", Message-ID <{facts['message-id']}>" if "message-id" in facts else ""
    yield f"from <{facts['from']}> to {', '.join(facts['to'])}, {facts['size']} octets{known}"
    for check, result in facts.get("verdicts", {}).items():
        yield f"{check}: {result}"
    for name in facts["stored"]:
        if "/" in name:
            account, _, message = name.partition("/")
            yield f"filed for account {account} as message {message}"
        else:
            yield f"put into the queue as {name}"


def _attempted(facts: Facts) -> Iterator[str]:
    for address, state, status, reply, remote in facts["results"]:
        by = f" by {remote}" if remote else f" via {facts['hop']}"
        tls = f" ({facts['tls']})" if "tls" in facts else ""
        yield f"{address} {state}{by}{tls}: {status} {reply}"
    if "next" in facts:
        yield f"the next attempt is due at {facts['next']}"


def _reported(facts: Facts) -> Iterator[str]:
    whom = ", ".join(facts["recipients"])
    if "to" in facts and not facts.get("problem"):
        yield f"a report ({facts['action']}) on {whom} was sent to {facts['to']}"
    else:
        yield f"no report ({facts['action']}) on {whom}: {facts.get('problem')}"


def _administered(facts: Facts) -> Iterator[str]:
    yield f"{facts['queue']} to {', '.join(facts['recipients'])} was {facts['done']} by the administrator"


_LATER = {
    "failed": "bounced later",
    "delayed": "is delayed further on",
    "delivered": "was delivered",
    "relayed": "was passed on to a host that does not report",
    "expanded": "was passed on to several addresses",
}
"""What another host's report says of a recipient (RFC 3464 §2.3.3)."""


def _recalled(facts: Facts) -> Iterator[str]:
    yield f"{facts['queue']} to {', '.join(facts['recipients'])} was taken back by its sender"


def _heard(facts: Facts) -> Iterator[str]:
    who = facts["from"]
    for address, action, status, diagnostic in facts["results"]:
        said = f"{status} {diagnostic}".strip()
        yield f"{address} {_LATER.get(action, action)}, {who} reports" + (f": {said}" if said else "")
    for address, action, status, diagnostic in facts.get("others", ()):
        yield f"{who} reports on {address}, to whom it was not sent: {action} {status} {diagnostic}".rstrip()
    for address in facts.get("returned", ()):
        yield f"something came back from {address} that says nothing readable: {facts['subject']}"


def _changed(facts: Facts) -> Iterator[str]:
    done = ", ".join(f"{key} {value}" for key, value in facts.items() if key != "message")
    yield f"message {facts['message']}: {done}"


def _turned_away(facts: Facts) -> Iterator[str]:
    yield f"from [{facts['peer']}], <{facts['from']}> to {', '.join(facts['to'])}, {facts['size']} octets"
    for check, result in facts["verdicts"].items():
        yield f"{check}: {result}"
    yield f"turned away: {facts['reason']}"


_LINES: Mapping[EventKind, Callable[[Facts], Iterator[str]]] = {
    EventKind.RECEIVED: lambda facts: _came(facts, "received"),
    EventKind.SUBMITTED: lambda facts: _came(facts, "submitted"),
    EventKind.ATTEMPTED: _attempted,
    EventKind.REPORTED: _reported,
    EventKind.ADMINISTERED: _administered,
    EventKind.HEARD: _heard,
    EventKind.CHANGED: _changed,
    EventKind.TURNED_AWAY: _turned_away,
    EventKind.RECALLED: _recalled,
}
