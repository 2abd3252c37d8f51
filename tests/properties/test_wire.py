"""The same octets give the same lines and faults for any cut, and the buffer stays bounded."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from pennypost.proto.wire import LineBuffer, LineFault

LIMIT = 8
OCTETS = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"\0", b"a", b"bc", b"."]), max_size=40).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(OCTETS, st.lists(st.integers(0, 60), max_size=12))
def test_lines_do_not_depend_on_the_cut(octets: bytes, cuts: list[int]) -> None:
    whole = LineBuffer(LIMIT)
    whole.feed(octets)
    expected: list[bytes | LineFault] = []
    while (line := whole.next_line()) is not None:
        expected.append(line)

    pieces = LineBuffer(LIMIT)
    seen: list[bytes | LineFault] = []
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    for start, end in itertools.pairwise(edges):
        pieces.feed(octets[start:end])
        while (line := pieces.next_line()) is not None:
            seen.append(line)
        assert len(pieces) <= LIMIT
    assert seen == expected
