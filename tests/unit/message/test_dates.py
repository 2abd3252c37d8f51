"""Dates in the forms that occur (RFC 5322 §3.3, §4.3), and the one that is written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pennypost.message.dates import format_date, parse_date

MOMENT = datetime(2026, 11, 23, 22, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"Mon, 23 Nov 2026 22:05:09 +0000",
        b"Mon, 23 Nov 2026 23:05:09 +0100",
        b"Mon,23 Nov 2026 17:05:09 -0500 (EST)",
        b"23 Nov 2026 22:05:09 GMT",
        b"  Mon,  23  NOV  2026  22:05:09  UT",
        b"Mon (first), 23 Nov 2026 (x) 22:05:09 +0000",
        b"Monday, 23-Nov-26 22:05:09 UTC",
        b"Mon, 23 November 2026 22:05:09 Z",
        b"Mon, 23 Nov 126 22:05:09 +0000",
        b"Mon, 23 Nov 2026 17:05:09 EST",
        b"Mon, 23 Nov 2026 14:05:09 PST",
        b"Mon, 23 Nov 2026 23:05:09 GMT+0100",
        b"Mon, 23 Nov 2026 23:05:09 +01:00",
        b"Mon, 23 Nov 2026 22.05.09 +0000",
        b"Mon, 23 Nov 2026 10:05:09 PM +0000",
        b"Mon, 23 Nov 2026 22:05:09.123 +0000",
        b"Mon, 23 Nov 2026 22:05:09",
        b"Mon, 23 Nov 2026 22:05:09 A",
        b"Mon Nov 23 22:05:09 2026",
        b"Mon Nov 23 22:05:09 UTC 2026",
        b"Mon Nov 23 23:05:09 CET 2026",
        b"Mon Nov 23 23:05:09 2026 +0100",
        b"Nov 23, 2026 22:05:09 +0000",
        b"November 23rd, 2026 22:05:09",
        b"2026-11-23T22:05:09Z",
        b"2026-11-23 23:05:09 +0100",
        b"2026-11-23T22:05:09.000+00:00",
        b"Lun., 23 nov. 2026 22:05:09 +0000",
    ],
)
def test_one_moment_in_many_forms(body: bytes) -> None:
    assert parse_date(body) == MOMENT


@pytest.mark.parametrize(
    ("body", "moment"),
    [
        (b"1 Jan 49 00:00 +0000", datetime(2049, 1, 1, tzinfo=UTC)),
        (b"1 Jan 50 00:00 +0000", datetime(1950, 1, 1, tzinfo=UTC)),
        (b"31 Dec 2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"29 Feb 2024 12:00:00 -0000", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        (b"1 Jan 2026", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_obsolete_and_odd(body: bytes, moment: datetime) -> None:
    assert parse_date(body) == moment


@pytest.mark.parametrize(
    "body",
    [b"", b"yesterday", b"30 Feb 2026 00:00:00 +0000", b"1 Foo 2026 00:00:00 +0000", b"1 Jan 0000 00:00:00 +0000",
     b"1 Jan 2026 25:00:00 +0000", b"31 Dec 9999 23:00:00 -9999", b"1 Jan 0001 00:00:00 +0100", b"\xff\0", b"99999999"],
)  # fmt: skip
def test_what_is_no_moment(body: bytes) -> None:
    assert parse_date(body) is None


def test_written() -> None:
    moment = datetime(2026, 3, 1, 4, 5, 6, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    assert format_date(moment) == b"Sun, 1 Mar 2026 04:05:06 -0330"
    assert parse_date(format_date(moment)) == moment
    with pytest.raises(ValueError, match="zone"):
        format_date(datetime(2026, 1, 1))
