"""Dates of header fields (RFC 5322 §3.3, §4.3): read in the forms that occur, written in the one that is right."""

import re
from datetime import UTC, datetime, timedelta

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# RFC 5322 §3.3 date-time as it is nearly always written.
_USUAL = re.compile(
    rb"\s*+(?:[A-Za-z]{3}, ?+)?([0-9]{1,2}) ([A-Za-z]{3}) ([0-9]{4})"
    rb" ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)

_ZONE = rb"\s*+(?:(?:GMT|UTC|UT)?\s*+([+-])\s*+([0-9]{1,2}):?([0-9]{2})?|([A-Za-z]{1,5})(?![A-Za-z])|)"
_TIME = rb"([0-9]{1,2})[:.]([0-9]{1,2})(?:[:.]([0-9]{1,2}))?(?:[.,][0-9]{1,9})?\s*+([AaPp][Mm](?![A-Za-z]))?"

# Day before month, any separators, two to four digits of year, seconds or not, a weekday in any language (§4.3).
_DAY_FIRST = re.compile(
    rb"(?:[^0-9:]*?[,.\s])?\s*+([0-9]{1,2})(?:st|nd|rd|th|\.)?[\s,-]*+([A-Za-z]{3})[A-Za-z]*+\.?[\s,-]*+([0-9]{2,4})"
    rb"(?:[\s,T-]++(?:at\s++)?" + _TIME + _ZONE + rb")?"
)
# asctime and ctime: Wed Feb 22 10:00:00 2012, also with the zone before or behind the year.
_MONTH_FIRST = re.compile(
    rb"(?:[A-Za-z]{3,9},?\s++)?([A-Za-z]{3})[A-Za-z]*+\.?\s++([0-9]{1,2})(?:st|nd|rd|th)?,?\s++"
    rb"(?:([0-9]{4}),?\s++(?:at\s++)?"
    + _TIME
    + _ZONE
    + rb"|"
    + _TIME
    + rb"(?:\s*+(?:([+-])([0-9]{2}):?([0-9]{2})|([A-Z]{1,5})))?\s*+([0-9]{4})"
    rb"(?:\s*+([+-])([0-9]{2}):?([0-9]{2}))?)"
)
# ISO 8601 / RFC 3339, and the same with slashes.
_YEAR_FIRST = re.compile(
    rb"(?:[A-Za-z]{3,9},?\s++)?([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?:[T\s]\s*+" + _TIME + _ZONE + rb")?"
)

_COMMENT = re.compile(rb"\([^()]*+\)")

_ZONES = {
    b"ut": 0, b"utc": 0, b"gmt": 0, b"z": 0, b"wet": 0, b"edt": -240, b"est": -300, b"cdt": -300, b"cst": -360,
    b"mdt": -360, b"mst": -420, b"pdt": -420, b"pst": -480, b"bst": 60, b"cet": 60, b"met": 60, b"mez": 60, b"west":
    60, b"cest": 120, b"mest": 120, b"mesz": 120,
    b"eet": 120, b"eest": 180, b"msk": 180, b"jst": 540, b"kst": 540,
    b"aest": 600, b"aedt": 660,
}  # fmt: skip
"""Minutes east of UTC. Others mean -0000: the moment is UTC, the zone unknown (RFC 5322 §4.3)."""

MAX_DATE_OCTETS = 200


def parse_date(body: bytes) -> datetime | None:
    """Read an unfolded date as an aware UTC datetime; None if no moment can be read.

    Years of two digits are 1950–2049, of three 1900 more (RFC 5322 §4.3). A leap second counts as the second before.
    """
    match = _USUAL.match(body)
    if match is not None:
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
        number = _MONTHS.get(month.lower())
        if number is not None:
            minutes = int(zone_hours) * 60 + int(zone_minutes)
            return _moment(
                int(year), number, int(day), int(hour), int(minute), int(second), -minutes if sign == b"-" else minutes
            )
    return _parse_unusual(_COMMENT.sub(b" ", body[:MAX_DATE_OCTETS]).strip())


def _parse_unusual(body: bytes) -> datetime | None:
    match = _YEAR_FIRST.match(body)
    if match is not None:
        return _from_texts(match[1], int(match[2]), match[3], match.groups()[3:7], match.groups()[7:11])
    match = _MONTH_FIRST.match(body)
    if match is not None:
        month = _MONTHS.get(match[1].lower())
        groups = match.groups()
        if groups[2] is not None:
            return _from_texts(groups[2], month, groups[1], groups[3:7], groups[7:11])
        zone = groups[15:19] if groups[20] is None else (*groups[20:23], None)
        return _from_texts(groups[19], month, groups[1], groups[11:15], zone)
    match = _DAY_FIRST.match(body)
    if match is not None:
        return _from_texts(match[3], _MONTHS.get(match[2].lower()), match[1], match.groups()[3:7], match.groups()[7:11])
    return None


_Texts = tuple[bytes | None, ...]


def _from_texts(year: bytes, month: int | None, day: bytes, clock: _Texts, zone: _Texts) -> datetime | None:
    """`clock`: hour, minute, second, am or pm. `zone`: sign, hours, minutes, name."""
    if month is None:
        return None
    years = int(year)
    if len(year) == 2:
        years += 2000 if years < 50 else 1900
    elif len(year) == 3:
        years += 1900
    hour = int(clock[0] or 0)
    if clock[3] is not None and 1 <= hour <= 12:
        hour = hour % 12 + (12 if clock[3].lower() == b"pm" else 0)
    if zone[0] is not None:
        east = int(zone[1] or 0) * 60 + int(zone[2] or 0)
        if zone[0] == b"-":
            east = -east
    else:
        east = _ZONES.get((zone[3] or b"").lower(), 0)
    return _moment(years, month, int(day), hour, int(clock[1] or 0), int(clock[2] or 0), east)


def _moment(year: int, month: int, day: int, hour: int, minute: int, second: int, east: int) -> datetime | None:
    if second == 60:
        second = 59
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        return moment - timedelta(minutes=east) if east else moment
    except (ValueError, OverflowError):
        return None


def format_date(moment: datetime) -> bytes:
    """Write an aware datetime as RFC 5322 §3.3 date-time, in its own zone. Names are English, whatever the locale."""
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a date needs a time zone")
    minutes = round(offset.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    minutes = abs(minutes)
    return (
        f"{_DAY_NAMES[moment.weekday()]}, {moment.day} {_MONTH_NAMES[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} {sign}{minutes // 60:02d}{minutes % 60:02d}"
    ).encode("ascii")
