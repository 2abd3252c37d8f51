"""How single values are written in the configuration: sizes, durations, addresses, and the way back.

Every `parse_*` raises ValueError with what was expected; the reader adds the key.
"""

import re
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

from pennypost.model.secret import Secret
from pennypost.model.units import OCTET_UNITS, TIME_UNITS, Octets, render_duration, render_octets

_OCTET_UNITS = {"octets": 1, "octet": 1, "B": 1, **OCTET_UNITS}
_TIME_UNITS = {**TIME_UNITS, "week": timedelta(weeks=1)}
_TIME_NAMES = {"sec": "s", "second": "s", "minute": "min", "hour": "h", "day": "d"}

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
MAX_OCTETS = 2**53
"""Eight pebibytes: whole numbers of octets up to there are exact everywhere."""

MAX_DURATION = timedelta(days=36_525)
"""What can be added to the present, whatever it is added to."""

_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def parse_octets(text: str) -> Octets:
    """Read a size: a number and octets, KiB, MiB, GiB or TiB. Kilo and mega (kB, MB) are refused, being ambiguous."""
    match = _QUANTITY.fullmatch(text.rstrip())
    if match is None or match[2] not in _OCTET_UNITS:
        raise ValueError('expected a size with its unit, as "25 MiB"')
    octets = float(match[1]) * _OCTET_UNITS[match[2]]
    if not octets.is_integer():
        raise ValueError("expected a whole number of octets")
    if octets > MAX_OCTETS:
        raise ValueError("expected less: there are no disks of that size")
    return Octets(int(octets))


def _time_unit(name: str) -> timedelta | None:
    for candidate in (name, _TIME_NAMES.get(name), name.removesuffix("s"), _TIME_NAMES.get(name.removesuffix("s"))):
        if candidate in _TIME_UNITS:
            return _TIME_UNITS[candidate]
    return None


def parse_duration(text: str) -> timedelta:
    """Read a duration: numbers with ms, s, min, h, d or week, added up ("1 h 30 min")."""
    total, position = timedelta(), 0
    while position < len(text.rstrip()):
        match = _QUANTITY.match(text, position)
        unit = _time_unit(match[2]) if match else None
        if match is None or unit is None:
            break
        if float(match[1]) > (MAX_DURATION - total) / unit:
            raise ValueError("expected less: a century at the most")
        total += float(match[1]) * unit
        position = match.end()
    if position == 0 or position < len(text.rstrip()):
        raise ValueError('expected a duration with its unit, as "5 min"')
    return total


def parse_ip(text: str) -> IPv4Address | IPv6Address:
    """Read an IP address."""
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError('expected an IP address, as "192.0.2.1" or "2001:db8::1"') from None


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read a network; one address is a network of one."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError('expected a network, as "192.0.2.0/24" or "2001:db8::/32"') from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(f'expected the first address of a network, as "{network}"')
    return network


def render_value(value: Any, *, octets: bool = False) -> str:
    """Write one value as TOML. `octets`: an int is a size. Secrets are never written."""
    match value:
        case Secret():
            return "(secret)"
        case None:
            return '"none"'
        case bool():
            return "true" if value else "false"
        case int():
            return _quote(render_octets(value)) if octets else str(value)
        case float():
            return repr(value)
        case timedelta():
            return _quote(render_duration(value))
        case Enum():
            return _quote(str(value.value))
        case str() | Path() | IPv4Address() | IPv6Address() | IPv4Network() | IPv6Network():
            return _quote(str(value))
        case tuple() | list():
            return "[" + ", ".join(render_value(item, octets=octets) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_key(str(key))} = {render_value(item)}" for key, item in value.items()) + "}"
        case set() | frozenset():
            return "[" + ", ".join(sorted(render_value(item, octets=octets) for item in value)) + "]"
        case _:
            return _quote(str(value))


def _key(name: str) -> str:
    """Write a TOML key: bare where it can be."""
    return name if _BARE_KEY.fullmatch(name) else _quote(name)


def _quote(text: str) -> str:
    """Write a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
