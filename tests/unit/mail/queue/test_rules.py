"""The schedule, the next hops and the pace, without a queue."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.mail.queue.pacing import HopPace, Slowed, complaint
from pennypost.mail.queue.routing import Router, hop_name
from pennypost.mail.queue.schedule import deadlines, next_attempt
from pennypost.mail.queue.settings import QueueSettings, Smarthost, SmarthostLanguage
from pennypost.model.address import Address
from pennypost.model.envelope import DeliverBy, DeliverByMode, Envelope, Recipient
from pennypost.model.relaying import HopKind, RecipientResult, RelayOutcome, RelayState
from pennypost.store.dispatch import Pace
from pennypost.store.queue import LOCAL_HOP, hop_of_domain

NOW = datetime(2026, 11, 27, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANNA = Address("anna", "penny.test")
SETTINGS = QueueSettings()


def hop(settings: QueueSettings, recipient: str, attempts: int = 0, sender: Address | None = ANNA) -> str:
    return Router(settings).find(sender, Address("x", recipient), attempts)[0]


def test_next_hops() -> None:
    settings = QueueSettings(
        smarthosts=(
            Smarthost("smart.example", 587, login="us", senders=("Penny.test",), recipients=("far.example",)),
            Smarthost("lists.example", protocol=SmarthostLanguage.LMTP, recipients=("lists.example",)),
            Smarthost("help.example", after_failures=3),
        ),
        sources={"penny.test": "192.0.2.5"},
    )
    assert hop(settings, "FAR.example") == "smarthost:smart.example:587 as us from 192.0.2.5"
    assert hop(settings, "far.example", sender=None) == "far.example"
    assert hop(settings, "lists.example") == "lmtp:lists.example from 192.0.2.5"
    assert hop(settings, "Bücher.example", sender=None) == "xn--bcher-kva.example"
    assert hop(settings, "other.example", 2, sender=None) == "other.example"
    assert hop(settings, "other.example", 3, sender=None) == "smarthost:help.example"
    assert hop(settings, "[192.0.2.1]", sender=None) == "[192.0.2.1]"
    assert hop(settings, "Local.", sender=None) == hop_of_domain("local") != LOCAL_HOP
    assert Router(settings).find(None, Address("x", "a.example"))[1].kind is HopKind.MX
    assert hop_name(Router(settings).find(None, Address("x", "a.example"))[1]) == "a.example"


@given(st.integers(1, 100), st.floats(0, 0.999), st.integers(0, 6 * 86400), st.booleans())
def test_attempts_come_in_time(attempts: int, chance: float, age: int, warned: bool) -> None:
    """RFC 5321 §4.5.4.1: never at once, never past the instants that are promised."""
    envelope, now = Envelope(ANNA), NOW + timedelta(seconds=age)
    limits = deadlines(SETTINGS, envelope, NOW, NOW)
    at = next_attempt(SETTINGS, attempts, now, limits, warned, lambda: chance)
    assert at > now
    if now < limits.expire_at:
        assert at <= limits.expire_at
        assert limits.warn_at is not None
        if not warned and now < limits.warn_at:
            assert at <= limits.warn_at
    assert at <= now + SETTINGS.retry_after[-1] * 1.1


def test_deadlines_of_those_who_asked() -> None:
    """RFC 2852 §4."""
    returned = Envelope(ANNA, deliver_by=DeliverBy(HOUR, DeliverByMode.RETURN))
    found = deadlines(SETTINGS, returned, NOW, NOW + HOUR)
    assert (found.expire_at, found.hard) == (NOW + 2 * HOUR, True)
    told = Envelope(ANNA, deliver_by=DeliverBy(HOUR, DeliverByMode.NOTIFY))
    assert deadlines(SETTINGS, told, NOW, NOW).warn_at == NOW + HOUR
    assert deadlines(SETTINGS, Envelope(None), NOW, NOW).warn_at is None


def outcome(state: RelayState, reply: str, remote: str, status: str = "4.4.2", *, whole: bool = True) -> RelayOutcome:
    result = RecipientResult(Recipient(ANNA), state, status, reply, remote, transaction_failed=whole)
    return RelayOutcome((result,))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (outcome(RelayState.SENT, "250 ok", "mx", whole=False), None),
        (outcome(RelayState.FAILED, "554 no", "mx"), None),
        (outcome(RelayState.DEFERRED, "450 4.2.1 grey", "mx", whole=False), None),
        (outcome(RelayState.DEFERRED, "421 4.7.0 slow", "mx", whole=False), (True, True)),
        (outcome(RelayState.DEFERRED, "451 4.7.0 slow", "mx"), (True, True)),
        (outcome(RelayState.DEFERRED, "connection lost", "mx"), (True, False)),
        (outcome(RelayState.DEFERRED, "timed out", "mx", "4.4.1"), (False, False)),
        (outcome(RelayState.DEFERRED, "no answer from the DNS", "", "4.4.3"), (False, False)),
    ],
)
def test_what_speaks_against_a_hop(found: RelayOutcome, expected: tuple[bool, bool] | None) -> None:
    slowed = complaint(found)
    assert (None if slowed is None else (slowed.reachable, slowed.said)) == expected


def test_a_pace_falls_and_rises() -> None:
    pace = HopPace(QueueSettings(hop_connections=8, hop_connections_at_first=4), Pace())
    assert pace.connections == 1
    pace.succeeded()
    assert pace.connections == 4
    for _ in range(100):
        pace.succeeded()
    assert pace.connections == 8
    assert pace.slowed(Slowed("421 slow", reachable=True), NOW, 0.5)
    assert (pace.connections, pace.state.failures, pace.state.reason) == (4, 1, "421 slow")
    assert pace.held(NOW)
    assert not pace.slowed(Slowed("421 slow", reachable=True), NOW, 0.5)  # known already
    now = NOW
    holds = []
    for _ in range(12):
        assert pace.state.held_until is not None
        holds.append(pace.state.held_until - now)
        now = pace.state.held_until
        assert pace.next_start(NOW) == now
        pace.slowed(Slowed("421 slow", reachable=True), now, 0.5)
    assert holds == sorted(holds)
    assert max(holds) == timedelta(minutes=10)
    assert pace.connections == 1
    assert pace.gap == timedelta(minutes=1)
    for _ in range(200):
        pace.succeeded()
    assert (pace.connections, pace.state) == (8, Pace())


def test_one_lost_connection_says_nothing_yet() -> None:
    pace = HopPace(SETTINGS, Pace())
    lost = Slowed("connection lost", reachable=True, said=False)
    assert not pace.slowed(lost, NOW, 0.5)
    pace.succeeded()
    assert not pace.slowed(lost, NOW, 0.5)
    assert pace.slowed(lost, NOW, 0.5)


def test_a_pace_that_is_known_is_kept() -> None:
    assert HopPace(SETTINGS, Pace(connections=3)).connections == 3
    failing = HopPace(SETTINGS, Pace(2, 3, held_until=NOW, reason="x"))
    assert (failing.connections, failing.failing, failing.held(NOW)) == (1, True, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry_after": ()},
        {"expire_after": timedelta(0)},
        {"lease_time": timedelta(seconds=1)},
        {"hop_connections": 0},
        {"sources": {"a.example": "not an address"}},
        {"max_future_release": timedelta(seconds=-1)},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        QueueSettings(**wrong)  # type: ignore[arg-type]
