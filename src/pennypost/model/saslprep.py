"""The form in which user names and passwords are compared: SASLprep (RFC 4013), a profile of stringprep (RFC 3454)."""

import stringprep
from unicodedata import ucd_3_2_0

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
"""RFC 4013 §2.3."""


def saslprep(text: str) -> str:
    """Prepare a user name or a password (RFC 4013 §2). Raises ValueError for what the profile prohibits.

    Code points that Unicode 3.2 did not assign are let through, as in the profile's queries (RFC 3454 §7): passwords
    hold emoji. Applied twice, it gives the same.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c) or c == "\u00a0"
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if any(table(c) for c in prepared for table in _PROHIBITED):
        raise ValueError("a character that SASLprep prohibits")
    _check_direction(prepared)
    return prepared


def _check_direction(prepared: str) -> None:
    """Refuse text that mixes directions (RFC 3454 §6)."""
    if not any(map(stringprep.in_table_d1, prepared)):
        return
    if any(map(stringprep.in_table_d2, prepared)):
        raise ValueError("a mixture of writing directions")
    if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
        raise ValueError("text from right to left that does not begin and end so")
