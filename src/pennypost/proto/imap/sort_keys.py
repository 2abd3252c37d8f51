"""What SORT orders by (RFC 5256 §3, RFC 5957 §4, RFC 6203 §6)."""

from dataclasses import dataclass
from enum import Enum

from pennypost.proto.imap.limits import MAX_SORT_KEYS
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of


class SortCriterion(Enum):
    """One thing to order by; the value is how it is written."""

    ARRIVAL = b"ARRIVAL"
    CC = b"CC"
    DATE = b"DATE"
    DISPLAYFROM = b"DISPLAYFROM"
    DISPLAYTO = b"DISPLAYTO"
    FROM = b"FROM"
    RELEVANCY = b"RELEVANCY"  # RFC 6203 §6: the highest first
    SIZE = b"SIZE"
    SUBJECT = b"SUBJECT"
    TO = b"TO"


@dataclass(frozen=True, slots=True)
class SortKey:
    """A criterion and its direction; REVERSE leaves the order of what is equal alone (RFC 5256 §3)."""

    criterion: SortCriterion
    reverse: bool = False


_CRITERIA = {criterion.value: criterion for criterion in SortCriterion}


def read_sort_keys(reader: Reader) -> tuple[SortKey, ...]:
    """Read a sort program: `(SUBJECT REVERSE DATE)` (RFC 5256 §5, sort-criteria)."""
    reader.expect(b"(", "sort criteria")
    keys: list[SortKey] = []
    while True:
        word = reader.word("a sort criterion")
        reverse = word == b"REVERSE"
        if reverse:
            reader.space("a sort criterion")
            word = reader.word("a sort criterion")
        criterion = _CRITERIA.get(word)
        if criterion is None:
            raise BadSyntax(f"expected a sort criterion: {one_of(_CRITERIA)}, perhaps after REVERSE")
        keys.append(SortKey(criterion, reverse))
        if not reader.skip(b" "):
            reader.expect(b")", "a sort criterion or a closing parenthesis")
            return tuple(keys)
        if len(keys) == MAX_SORT_KEYS:
            raise BadSyntax(f"expected at most {MAX_SORT_KEYS} sort criteria")
