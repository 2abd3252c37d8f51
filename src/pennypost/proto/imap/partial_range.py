"""Stretches of a result: PARTIAL of SEARCH and FETCH (RFC 9394)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pennypost.proto.imap.limits import MAX_NUMBER
from pennypost.proto.imap.reader import BadSyntax, Reader

T = TypeVar("T")

# partial-range = nz-number ":" nz-number, or both with a minus
_RANGE = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class PartialRange:
    """From the `first` to the `last` result, counted from 1; `from_end`: from the last one backwards."""

    first: int
    last: int
    from_end: bool

    @property
    def octets(self) -> bytes:
        """Write it, the first result first: `4:2` is the same as `2:4` (RFC 9394 §4)."""
        return b"-%d:-%d" % (self.first, self.last) if self.from_end else b"%d:%d" % (self.first, self.last)

    def of(self, results: Sequence[T]) -> Sequence[T]:
        """Give the results that lie in it, in the order they have."""
        if not self.from_end:
            return results[self.first - 1 : self.last]
        count = len(results)
        return results[max(count - self.last, 0) : max(count - self.first + 1, 0)]


def read_partial_range(reader: Reader) -> PartialRange:
    """Read `1:100` or `-1:-100`, either end first (RFC 9394 §4)."""
    found = _RANGE.match(reader.octets, reader.at)
    if found is None or found.group(1) != found.group(3):
        raise BadSyntax("expected a range of results, as 1:100 or -1:-100")
    reader.at = found.end()
    one, other = int(found.group(2)), int(found.group(4))
    if max(one, other) > MAX_NUMBER:
        raise BadSyntax(f"expected a range of results up to {MAX_NUMBER}")
    return PartialRange(min(one, other), max(one, other), bool(found.group(1)))
