"""Dates of SEARCH, APPEND and INTERNALDATE (RFC 9051 §9, date and date-time)."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {name.upper(): number for number, name in enumerate(MONTHS, 1)}

# date-text = date-day "-" date-month "-" date-year
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME = re.compile(
    rb"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


def parse_date(octets: bytes) -> date:
    """Read `1-Feb-1994`. Raises ValueError."""
    found = _DATE.fullmatch(octets)
    month = _MONTH_NUMBERS.get(found.group(2).upper()) if found is not None else None
    if found is None or month is None:
        raise ValueError("not a date")
    return date(int(found.group(3)), month, int(found.group(1)))


def parse_date_time(octets: bytes) -> datetime:
    """Read `17-Jul-1996 02:44:25 -0700`, without its quotes, as an aware UTC instant. Raises ValueError.

    A leap second counts as the second before it.
    """
    found = _DATE_TIME.fullmatch(octets)
    month = _MONTH_NUMBERS.get(found.group(2).upper()) if found is not None else None
    if found is None or month is None:
        raise ValueError("not a date and time")
    day, year = int(found.group(1)), int(found.group(3))
    hour, minute, second = int(found.group(4)), int(found.group(5)), min(int(found.group(6)), 59)
    zone_hours, zone_minutes = int(found.group(8)), int(found.group(9))
    if int(found.group(6)) > 60 or zone_hours > 23 or zone_minutes > 59:
        raise ValueError("not a date and time")
    offset = timedelta(hours=zone_hours, minutes=zone_minutes)
    if found.group(7) == b"-":
        offset = -offset
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset)).astimezone(UTC)
    except OverflowError:
        raise ValueError("not a date and time") from None


def date_time(instant: datetime) -> bytes:
    """Write an aware instant as a date-time without its quotes: `17-Jul-1996 02:44:25 -0700` (RFC 9051 §9)."""
    offset = instant.utcoffset()
    minutes = 0 if offset is None else round(offset.total_seconds() / 60)
    sign = b"-" if minutes < 0 else b"+"
    return b"%2d-%s-%04d %02d:%02d:%02d %s%02d%02d" % (
        instant.day,
        MONTHS[instant.month - 1],
        instant.year,
        instant.hour,
        instant.minute,
        instant.second,
        sign,
        *divmod(abs(minutes), 60),
    )
