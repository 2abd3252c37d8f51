"""Units that settings and limits carry in their types."""

from typing import NewType

Octets = NewType("Octets", int)
"""A size. Written "25 MiB" in the configuration; durations there are `timedelta` ("5 min")."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
