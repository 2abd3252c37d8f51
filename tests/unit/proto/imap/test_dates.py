"""RFC 9051 §9, date and date-time."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from pennypost.proto.imap.dates import date_time, parse_date, parse_date_time


@pytest.mark.parametrize(
    ("octets", "expected"),
    [(b"1-Feb-1994", date(1994, 2, 1)), (b"01-FEB-1994", date(1994, 2, 1)), (b"29-Feb-2024", date(2024, 2, 29))],
)
def test_date(octets: bytes, expected: date) -> None:
    assert parse_date(octets) == expected


@pytest.mark.parametrize(
    "octets", [b"", b"1-Foo-1994", b"32-Jan-1994", b"29-Feb-2026", b"1-Jan-94", b"1-Jan-0000", b"1-Jan-1994x"]
)
def test_not_a_date(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(octets)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
        (b" 1-jul-1996 00:00:00 +0530", datetime(1996, 6, 30, 18, 30, tzinfo=UTC)),
        (b"31-Dec-2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_date_time(octets: bytes, expected: datetime) -> None:
    assert parse_date_time(octets) == expected


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"1-Jul-1996 00:00:00 +0000",
        b"17-Jul-1996 24:00:00 +0000",
        b"17-Jul-1996 00:60:00 +0000",
        b"17-Jul-1996 00:00:61 +0000",
        b"17-Jul-1996 00:00:00 GMT",
        b"17-Jul-1996 00:00:00 +2400",
        b"17-Jul-1996 00:00:00 +0060",
        b"31-Jun-1996 00:00:00 +0000",
        b" 1-Jan-0001 00:00:00 +0100",
    ],
)
def test_not_a_date_time(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date_time(octets)


def test_writing() -> None:
    there = timezone(timedelta(hours=-3, minutes=-30))
    assert date_time(datetime(2026, 3, 1, 4, 5, 6, tzinfo=there)) == b" 1-Mar-2026 04:05:06 -0330"
    assert date_time(datetime(2026, 11, 23, tzinfo=UTC)) == b"23-Nov-2026 00:00:00 +0000"
