"""What can be wrong with a message. Reading never fails; it tells what it had to step over."""

from enum import Enum

import msgspec


class DefectKind(Enum):
    """The values are stable names for logs and tests."""

    NO_HEADER_END = "no-header-end"
    """A header is not ended by an empty line (RFC 5322 §2.1)."""
    HEADER_TOO_LARGE = "header-too-large"
    TOO_MANY_FIELDS = "too-many-fields"
    NOT_A_FIELD = "not-a-field"
    """A line of a header is neither a field nor its continuation (RFC 5322 §2.2)."""
    BAD_CONTENT_TYPE = "bad-content-type"
    BAD_ENCODING = "bad-encoding"
    """A Content-Transfer-Encoding that RFC 2045 §6.1 does not know."""
    NO_BOUNDARY = "no-boundary"
    """A multipart without a usable boundary parameter (RFC 2046 §5.1.1): all of it is preamble."""
    NO_PARTS = "no-parts"
    """A multipart in which no delimiter was found."""
    NO_CLOSE_DELIMITER = "no-close-delimiter"
    TOO_DEEP = "too-deep"
    TOO_MANY_PARTS = "too-many-parts"
    TOO_MANY_CANDIDATES = "too-many-candidates"
    DUPLICATE_FIELD = "duplicate-field"
    """A field that RFC 5322 §3.6 allows once is there again."""
    BAD_DATE = "bad-date"
    NO_FROM = "no-from"


class Defect(msgspec.Struct, frozen=True):
    """One thing wrong. `offset`: octets from the start of the whole message to the line, field or part concerned."""

    kind: DefectKind
    offset: int
