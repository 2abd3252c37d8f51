"""Instants as rows hold them."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from pennypost.store.engine import from_microseconds, to_microseconds, utc_now


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])))
def test_an_instant_comes_back(instant: datetime) -> None:
    back = from_microseconds(to_microseconds(instant))
    assert back == instant
    assert back.utcoffset() == timedelta(0)


def test_microseconds() -> None:
    assert to_microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, UTC)) == 1_000_005
    assert to_microseconds(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -1_000_000
    assert utc_now().tzinfo is UTC
