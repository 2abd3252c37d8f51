"""Counters that all workers share, for Prometheus.

Theory of operation. What is counted is a fixed table (`FAMILIES`), labels included, so every counter has a fixed place
in an array of 64-bit integers. Each worker maps a file of its own, `figures-N`, in the run folder and adds to its
places: an addition is one store into memory, and needs no lock, because a worker has one event loop. Whoever is asked
for the figures reads the files of all workers and adds them up. A worker that is restarted goes on with its file, so
counters never go back while the server runs; the supervisor starts with empty files. Durations are added up in
nanoseconds.

Only the event loop of a worker may add; a thread that has something to count hands it over.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from pennypost.clients.screening.guard import FAILED, SKIPPED
from pennypost.clients.screening.shape import Ruling
from pennypost.model.errors import MailError
from pennypost.model.verification import ArcResult, DkimResult, DmarcResult, IprevResult, SpfResult
from pennypost.store.stats import StoreStats

SECOND = 1_000_000_000

DOORS = ("smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s", "http")
INTAKES = ("smtp", "submission", "lmtp")
DELIVERY_STATES = ("sent", "deferred", "failed")
"""What comes of a recipient at another host: `model.relaying.RelayState`."""

AGE_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0, 86400.0)

VERIFICATIONS = {
    "spf": tuple(result.value for result in SpfResult),
    "dkim": tuple(result.value for result in DkimResult),
    "dmarc": tuple(result.value for result in DmarcResult),
    "arc": tuple(result.value for result in ArcResult),
    "iprev": tuple(result.value for result in IprevResult),
}
"""What each check of a sender can come to: the words of RFC 8601."""

SCREENER_KINDS = ("clamav", "rspamd", "dns-list", "http-hook", "milter")
SCREENING_OUTCOMES = (*(ruling.value for ruling in Ruling), FAILED, SKIPPED)
"""What a question to somebody else about a message came to. Skipped: not asked, having failed before."""

LOGIN_OUTCOMES = ("success", "failure", "refused")
"""Refused: turned away before the password was looked at, after too many failures or under load."""

DURATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
GROUP_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


def _causes(root: type[MailError] = MailError) -> list[str]:
    """Name every cause of failure: the classes below MailError."""
    names: list[str] = []
    for cls in root.__subclasses__():
        inner = _causes(cls)
        names += inner if cls.__dict__.get("status") is None else [cls.__name__, *inner]
    return names


@dataclass(frozen=True, slots=True)
class Family:
    """What is counted under one name. `labels`: every combination there is; () for a family without labels.

    `bounds`: of a histogram, ascending. `scale`: what one unit of the name is in the numbers that are kept.
    """

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    label_names: tuple[str, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ((),)
    bounds: tuple[float, ...] = ()
    scale: int = 1

    @property
    def places(self) -> int:
        """Integers one combination of labels takes: a histogram has its buckets, the one above them, and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


def _each(*names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    rows: list[tuple[str, ...]] = [()]
    for column in names:
        values = tuple(column)
        rows = [(*row, value) for row in rows for value in values]
    return tuple(rows)


FAMILIES = (
    Family("counter", "pennypost_connections", "Connections served", ("door",), _each(DOORS)),
    Family("gauge", "pennypost_connections_open", "Connections open now", ("door",), _each(DOORS)),
    Family("counter", "pennypost_messages_accepted", "Messages stored and answered 250", ("intake",), _each(INTAKES)),
    Family("counter", "pennypost_messages_octets", "Octets of these messages", ("intake",), _each(INTAKES)),
    Family("counter", "pennypost_recipients_accepted", "Recipients of these messages", ("intake",), _each(INTAKES)),
    Family(
        "counter",
        "pennypost_refusals",
        "Senders, recipients and messages refused, by cause",
        ("intake", "stage", "cause"),
        _each(INTAKES, ("sender", "recipient", "message"), sorted(set(_causes()))),
    ),
    Family(
        "histogram",
        "pennypost_accept_seconds",
        "From the last octet of a message to its commit",
        ("intake",),
        _each(INTAKES),
        DURATION_BOUNDS,
        SECOND,
    ),
    Family(
        "counter",
        "pennypost_verifications",
        "What checks of senders came to; of signatures, each one",
        ("method", "result"),
        tuple((method, result) for method, results in VERIFICATIONS.items() for result in results),
    ),
    Family(
        "counter",
        "pennypost_screenings",
        "Questions to other programs about mail, by what they ruled",
        ("screener", "outcome"),
        _each(SCREENER_KINDS, SCREENING_OUTCOMES),
    ),
    Family(
        "histogram",
        "pennypost_screening_seconds",
        "How long other programs took to answer",
        ("screener",),
        _each(SCREENER_KINDS),
        DURATION_BOUNDS,
        SECOND,
    ),
    Family(
        "gauge",
        "pennypost_screeners_open",
        "Programs that are left alone now, having failed, in all workers",
        ("screener",),
        _each(SCREENER_KINDS),
    ),
    Family(
        "counter",
        "pennypost_authentications",
        "Answers to logins",
        ("outcome",),
        _each(LOGIN_OUTCOMES),
    ),
    Family(
        "counter",
        "pennypost_deliveries",
        "Recipients at other hosts, by what came of an attempt",
        ("state",),
        _each(DELIVERY_STATES),
    ),
    Family(
        "histogram",
        "pennypost_relay_seconds",
        "From the arrival of a message to its acceptance by another host, for each recipient",
        bounds=AGE_BOUNDS,
        scale=SECOND,
    ),
    Family("histogram", "pennypost_commit_group", "Operations in one commit", bounds=GROUP_BOUNDS),
    Family("histogram", "pennypost_commit_seconds", "Time of one commit", bounds=DURATION_BOUNDS, scale=SECOND),
)


def _lay_out() -> tuple[dict[tuple[str, tuple[str, ...]], int], int]:
    """Give every family and combination of labels its first place, and the number of places in all."""
    places: dict[tuple[str, tuple[str, ...]], int] = {}
    position = 0
    for family in FAMILIES:
        for labels in family.labels:
            places[family.name, labels] = position
            position += family.places
    return places, position


_PLACES, _SIZE = _lay_out()
_FAMILY = {family.name: family for family in FAMILIES}


class Counter:
    """One counter or gauge of one worker."""

    __slots__ = ("_cells", "_place")

    def __init__(self, cells: memoryview, place: int) -> None:
        self._cells = cells
        self._place = place

    def add(self, amount: int = 1) -> None:
        self._cells[self._place] += amount


class Histogram:
    """One histogram of one worker."""

    __slots__ = ("_bounds", "_cells", "_place", "_scale")

    def __init__(self, cells: memoryview, place: int, family: Family) -> None:
        self._cells = cells
        self._place = place
        self._bounds = family.bounds
        self._scale = family.scale

    def observe(self, value: float) -> None:
        """Count a value, in the unit of the name."""
        place = self._place
        self._cells[place + bisect_left(self._bounds, value)] += 1
        self._cells[place + len(self._bounds) + 1] += int(value * self._scale)


class Figures:
    """The figures of one worker. `folder`: where all workers of a server have theirs; None: kept in memory only."""

    def __init__(self, folder: Path | None = None, worker: int = 0) -> None:
        self._folder = folder
        if folder is None:
            self._map = mmap.mmap(-1, _SIZE * 8)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"figures-{worker}").open("a+b") as file:
                if os.fstat(file.fileno()).st_size != _SIZE * 8:
                    file.truncate(0)
                    file.truncate(_SIZE * 8)
                self._map = mmap.mmap(file.fileno(), _SIZE * 8)
        self._cells = memoryview(self._map).cast("q")
        for family in FAMILIES:
            if family.kind == "gauge":  # what a worker that died had open is closed
                for labels in family.labels:
                    self._cells[_PLACES[family.name, labels]] = 0

    def counter(self, name: str, *labels: str) -> Counter:
        """Give a counter or gauge of the table. KeyError when it is not there."""
        return Counter(self._cells, _PLACES[name, labels])

    def histogram(self, name: str, *labels: str) -> Histogram:
        """Give a histogram of the table. KeyError when it is not there."""
        return Histogram(self._cells, _PLACES[name, labels], _FAMILY[name])

    def totals(self) -> list[int]:
        """Add up the figures of all workers."""
        if self._folder is None:
            return list(self._cells)
        sums = [0] * _SIZE
        for file in self._folder.glob("figures-*"):
            data = file.read_bytes()
            if len(data) == _SIZE * 8:
                sums = [a + b for a, b in zip(sums, memoryview(data).cast("q"), strict=True)]
        return sums


def store_gauges(stats: StoreStats, now: datetime) -> tuple[tuple[str, str, float], ...]:
    """Give what the store holds as (name, help, value)."""
    oldest = stats.queue.oldest
    return (
        ("pennypost_accounts", "Accounts", float(stats.accounts)),
        ("pennypost_mailboxes", "Mailboxes", float(stats.mailboxes)),
        ("pennypost_messages", "Messages stored", float(stats.messages)),
        ("pennypost_message_octets", "Octets of all messages as they are read", float(stats.message_octets)),
        (
            "pennypost_blob_octets",
            "Octets of all bodies, each counted once, before compression",
            float(stats.blob_octets),
        ),
        ("pennypost_queue_waiting", "Deliveries to other hosts that wait", float(stats.queue.waiting)),
        ("pennypost_queue_held", "Deliveries to other hosts that an administrator holds", float(stats.queue.held)),
        ("pennypost_queue_due", "Deliveries to other hosts that are due", float(stats.queue.due)),
        (
            "pennypost_queue_oldest_seconds",
            "Age of the oldest message that waits for delivery to another host",
            (now - oldest).total_seconds() if oldest is not None else 0.0,
        ),
    )


def forget_figures(folder: Path) -> None:
    """Begin with empty figures: what an earlier run left is removed."""
    for file in folder.glob("figures-*"):
        file.unlink(missing_ok=True)


def exposition(figures: Figures, gauges: Iterable[tuple[str, str, float]] = ()) -> bytes:
    """Write the figures of all workers as Prometheus reads them. `gauges`: (name, help, value) of what is so now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Totals(figures.totals(), gauges))
    return generate_latest(registry)


class _Totals(Collector):
    def __init__(self, totals: list[int], gauges: Iterable[tuple[str, str, float]]) -> None:
        self._totals = totals
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            yield self._metric(family)
        for name, text, value in self._gauges:
            yield GaugeMetricFamily(name, text, value=value)

    def _metric(self, family: Family) -> Metric:
        names, totals = family.label_names, self._totals
        if family.kind == "histogram":
            histogram = HistogramMetricFamily(family.name, family.help, labels=names)
            for labels in family.labels:
                place, buckets, count = _PLACES[family.name, labels], [], 0
                for offset, bound in enumerate((*map(str, family.bounds), "+Inf")):
                    count += totals[place + offset]
                    buckets.append((bound, float(count)))
                total = totals[place + len(family.bounds) + 1] / family.scale
                histogram.add_metric(labels, buckets, total)
            return histogram
        make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        metric = make(family.name, family.help, labels=names)
        for labels in family.labels:
            value = totals[_PLACES[family.name, labels]]
            if value or family.name != "pennypost_refusals":  # hundreds of combinations, nearly all of them empty
                metric.add_metric(labels, value)
        return metric
