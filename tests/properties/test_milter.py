"""The milter machine: the same replies for any cut of the octets, and nothing but PeerError for any octets at all."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import milter
from tests.fuzz.milter import replies_to

from pennypost.model.errors import PeerError
from pennypost.proto.milter.client import MilterClientSession
from pennypost.proto.milter.commands import Connect, Negotiate, packet
from pennypost.proto.milter.replies import MAX_PACKET, Progress

PACKETS = st.lists(
    st.builds(
        packet, st.sampled_from([b"c", b"p", b"h", b"i", b"m", b"b", b"q", b"y", b"s", b"+"]), st.binary(max_size=30)
    ),
    max_size=20,
).map(b"".join)
AGREED = packet(b"O", b"\0\0\0\6\0\0\1\xff\0\0\0\0")


@given(PACKETS, st.lists(st.integers(0, 600), max_size=10))
def test_the_cut_of_the_octets_does_not_matter(octets: bytes, cuts: list[int]) -> None:
    stream = AGREED + packet(b"c", b"") * 7 + octets
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert replies_to(pieces) == replies_to([stream]) == replies_to([stream[at : at + 1] for at in range(len(stream))])


@given(st.binary(max_size=200), st.booleans())
def test_nothing_but_peer_error_is_raised(octets: bytes, after: bool) -> None:
    replies_to([AGREED + octets if after else octets])


def test_the_buffer_is_bounded() -> None:
    machine = MilterClientSession()
    machine.send(Negotiate())
    machine.receive_data((MAX_PACKET + 1).to_bytes(4))
    with pytest.raises(PeerError, match=f"a packet of {MAX_PACKET + 1} octets"):
        machine.next_reply()


def test_progress_ends_no_wait() -> None:
    machine = MilterClientSession()
    machine.send(Negotiate())
    machine.receive_data(AGREED)
    machine.next_reply()
    machine.send(Connect(b"x", b"U"))
    machine.receive_data(packet(b"p", b"") * 3)
    assert [machine.next_reply() for _ in range(4)] == [Progress(), Progress(), Progress(), None]
    assert machine.reply_due


def test_the_fuzzer_runs() -> None:
    assert milter.main(0.2, seed=1) > 10
