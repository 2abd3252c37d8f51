"""Units that settings and limits carry in their types."""

from datetime import timedelta
from typing import NewType

Octets = NewType("Octets", int)
"""A size. Written "25 MiB" in the configuration; durations there are `timedelta` ("5 min")."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

OCTET_UNITS = {"TiB": 1024 * GIB, "GiB": GIB, "MiB": MIB, "KiB": KIB}
TIME_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
"""The units that values are written in, the largest first."""


def render_octets(octets: int) -> str:
    """Write a size in the largest unit that divides it."""
    for unit, size in OCTET_UNITS.items():
        if octets and octets % size == 0:
            return f"{octets // size} {unit}"
    return f"{octets} octet" if octets == 1 else f"{octets} octets"


def render_duration(duration: timedelta) -> str:
    """Write a duration as a sum of units, the largest first."""
    parts: list[str] = []
    for unit, length in TIME_UNITS.items():
        count, duration = divmod(duration, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
