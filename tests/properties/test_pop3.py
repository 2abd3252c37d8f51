"""The POP3 machine for any cut of any octets: the same events, only PeerError, bounded buffers; stuffing is undone."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.pop3 import answer, events_of

from pennypost.model.errors import PeerError
from pennypost.proto.pop3 import Offer, Ok, Pop3ServerSession, State, TextBegin
from pennypost.proto.pop3.session import COMMAND_LIMIT
from pennypost.proto.pop3.text import DotStuffer, dot_stuffed, first_lines

VERBS = b"USER PASS AUTH PLAIN STLS UTF8 CAPA LANG QUIT STAT LIST UIDL RETR TOP DELE RSET NOOP".split()
REST = [b" ", b" ", b"1", b"0", b"*", b"AGEAYg==", b"alice", b"\xff", b"\r", b"\n", b"\0", b"x" * COMMAND_LIMIT]
WORDS = st.sampled_from([*VERBS, *REST, b"\r\n", b"\r\n", b"\r\n", b"\r\n"])
OCTETS = st.lists(WORDS, max_size=30).map(b"".join)
TEXTS = st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a"]), max_size=40).map(b"".join)


def pieces_of(octets: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(OCTETS, st.lists(st.integers(0, 5000), max_size=10))
def test_events_do_not_depend_on_the_cut(octets, cuts):
    assert events_of(pieces_of(octets, cuts)) == events_of([octets])


@settings(max_examples=150, deadline=None)
@given(OCTETS)
def test_whatever_came_in_clear_is_forgotten_under_tls(octets):
    offer = Offer(mechanisms=("PLAIN",), user=True, stls=True)
    machine = Pop3ServerSession(offer)
    machine.receive_data(b"STLS\r\n" + octets)
    machine.next_event()
    machine.send(Ok())
    machine.receive_data(octets)
    machine.tls_started(offer)
    assert machine.next_event() is None
    assert machine.state is State.AUTHORIZATION


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=30))
def test_buffers_stay_bounded(pieces):
    machine = Pop3ServerSession(Offer(user=True))
    for piece in pieces:
        machine.receive_data(piece)
        try:
            while (event := machine.next_event()) is not None:
                machine.send(answer(event))
        except PeerError:
            return
        assert len(machine._buffer) <= COMMAND_LIMIT


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 60), max_size=8))
def test_pieces_are_stuffed_as_the_whole_is_and_can_be_read_back(text, cuts):
    stuffer = DotStuffer()
    sent = b"".join(stuffer.piece(piece) for piece in pieces_of(text, cuts)) + stuffer.end()
    assert sent == dot_stuffed(text)
    assert sent.startswith(b".\r\n") + sent.count(b"\r\n.\r\n") == 1
    lines = sent.removesuffix(b".\r\n").split(b"\r\n")
    read = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    assert read == (text if text.endswith(b"\r\n") or not text else text + b"\r\n")


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(0, 12))
def test_the_first_lines_are_a_beginning_with_as_many_lines(body, count):
    lines = first_lines(body, count)
    assert body.startswith(lines)
    assert lines == body or lines.count(b"\r\n") == count


def test_a_begun_text_holds_back_events():
    machine = Pop3ServerSession(Offer(user=True))
    machine.receive_data(b"CAPA\r\nCAPA\r\n")
    machine.next_event()
    machine.send(TextBegin(""))
    assert machine.next_event() is None
