"""What a peer may make us hold, read or recurse into. Each with its unit.

Two columns: what a stranger may send, and what an account's own client may. Nothing here depends on configuration;
the size of a message is bounded by the server, which may refuse a literal before it is read.
"""

from dataclasses import dataclass

from pennypost.model.units import KIB, MIB

MAX_TAG = 128
"""Octets of a command's tag. It is echoed, so it is kept."""

MAX_NESTING = 32
"""Levels of parentheses, NOT and left-nested OR in a SEARCH. An OR of an OR of … on the right costs no level."""

MAX_SEARCH_KEYS = 2_000
"""Search keys of one SEARCH. Clients that look for many Message-IDs chain hundreds."""

MAX_SORT_KEYS = 32
"""Criteria of one SORT."""

MAX_SEQUENCE_ITEMS = 16_384
"""Numbers and ranges of one sequence set."""

MAX_FETCH_ITEMS = 256
"""Data items of one FETCH."""

MAX_FETCH_SECTIONS = 64
"""Data items of one FETCH that ask for octets of the message: each may ask for all of it."""

MAX_HEADER_FIELDS = 256
"""Field names of one HEADER.FIELDS section."""

MAX_PART_DEPTH = 64
"""Numbers of one part specifier (1.2.3…)."""

MAX_LIST_ITEMS = 256
"""Items of any other list: flags, LIST patterns and options, STATUS items, ENABLE, SETQUOTA resources."""

MAX_WATCHED_NAMES = 4_096
"""Mailbox names of one group of events of NOTIFY."""

MAX_ENTRY_NAME = 1024
"""Octets of the name of an annotation (RFC 5464 §3.2)."""

MAX_URL = 8 * KIB
"""Octets of an IMAP URL."""

MAX_URLS = 64
"""URLs of one GENURLAUTH or URLFETCH."""

MAX_ID_PAIRS = 30
"""Fields of one ID (RFC 2971 §3.3)."""

MAX_ID_FIELD = 30
"""Octets of an ID field name (RFC 2971 §3.3)."""

MAX_ID_VALUE = 1024
"""Octets of an ID value (RFC 2971 §3.3)."""

MAX_NUMBER = 2**32 - 1
"""`number` and `nz-number` are 32 bits, unsigned (RFC 9051 §9)."""

MAX_NUMBER64 = 2**63 - 1
"""`number64` is 63 bits, unsigned (RFC 9051 §9)."""

LITERAL_MINUS = 4096
"""Octets of a literal that may come without being asked for (RFC 7888 §5, RFC 9051 §4.3)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection at one time; all in octets, but for `errors`.

    `line`: one line without its CRLF, also a line of a SASL exchange; at least 8192 (RFC 7162 §4). `literal`: a
    literal that is an argument (a message in APPEND is the server's matter). `command`: a command with all its lines
    and literals. `discard`: a literal that was refused and comes all the same is read and forgotten up to this size;
    past it the connection ends. `errors`: bad commands in a row until it ends. `buffered`: what may lie unread.
    """

    line: int
    literal: int
    command: int
    discard: int
    errors: int
    buffered: int


BEFORE_LOGIN = Limits(line=36 * KIB, literal=4 * KIB, command=16 * KIB, discard=64 * KIB, errors=10, buffered=320 * KIB)
AFTER_LOGIN = Limits(line=64 * KIB, literal=64 * KIB, command=256 * KIB, discard=128 * MIB, errors=50, buffered=1 * MIB)
