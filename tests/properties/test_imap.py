"""The IMAP machine for any cut of any octets: the same events, only PeerError, bounded buffers, nothing from before
TLS; what we write, we read."""

import itertools
from contextlib import suppress
from unicodedata import normalize

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.imap import PARTS, answer, events_of

from pennypost.model.errors import PeerError
from pennypost.proto.imap.commands.starttls import StartTls
from pennypost.proto.imap.events import Command
from pennypost.proto.imap.mailbox_name import decode_utf7, encode_utf7
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.responses.search import ranges_of, search, sequence_set
from pennypost.proto.imap.responses.status import ok
from pennypost.proto.imap.responses.text import astring, mailbox, string
from pennypost.proto.imap.sequence import STAR, SequenceSet
from pennypost.proto.imap.session import ImapServerSession
from pennypost.proto.imap.states import State

COMMANDS = (
    b"LOGIN|a b|SELECT|INBOX|FETCH|UID|1:*|(FLAGS)|BODY[]|SEARCH|NOT|OR|SEEN|STORE|+FLAGS|\\Seen|APPEND|{3}|{3+}|~{2+}|"
    b'abc|AUTHENTICATE|PLAIN|AGEAYg==|*|IDLE|DONE|STARTTLS|LOGOUT|NOOP|LIST|""|%|CREATE|STATUS|COPY|EXPUNGE|ENABLE|ID|NIL|x|'
    b"REPLACE|(CHANGEDSINCE 1)|(QRESYNC (1 1))|(UNCHANGEDSINCE 0)|UIDBATCHES|COMPRESS|DEFLATE|UNAUTHENTICATE"
).split(b"|")
WORDS = st.sampled_from([*COMMANDS, *COMMANDS, *PARTS, *[b"\r\na "] * 12, *[b" "] * 30])
OCTETS = st.lists(WORDS, max_size=40).map(b"".join)
LOGGED_IN = OCTETS.map(lambda octets: b"a LOGIN a b\r\na SELECT a\r\na " + octets) | OCTETS.map(
    lambda octets: b"a LOGIN a b\r\na APPEND a {3+}\r\nabc {3+}\r\nabc" + octets
)


def pieces_of(octets: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(OCTETS | LOGGED_IN, st.lists(st.integers(0, 3000), max_size=12))
def test_events_do_not_depend_on_the_cut(octets: bytes, cuts: list[int]) -> None:
    assert events_of(pieces_of(octets, cuts)) == events_of([octets])


@settings(max_examples=100, deadline=None)
@given(OCTETS, OCTETS)
def test_whatever_came_in_clear_is_forgotten_under_tls(before: bytes, between: bytes) -> None:
    machine = ImapServerSession()
    machine.receive_data(b"a STARTTLS\r\n" + before)
    assert machine.next_event() == Command(b"a", StartTls())
    machine.send(ok("begin"))
    machine.receive_data(between)
    machine.tls_started()
    assert machine.next_event() is None
    assert machine.buffered == 0
    assert machine.state is State.NOT_AUTHENTICATED
    machine.receive_data(b"b NOOP\r\n")
    event = machine.next_event()
    assert isinstance(event, Command)
    assert event.tag == b"b"


@settings(max_examples=100, deadline=None)
@given(st.booleans(), st.lists(OCTETS | st.binary(max_size=5000), max_size=30))
def test_buffers_stay_bounded(inside: bool, pieces: list[bytes]) -> None:
    machine = ImapServerSession()
    if inside:
        pieces = [b"a LOGIN a b\r\na SELECT a\r\n", *pieces]
    for piece in pieces:
        try:
            machine.receive_data(piece)
            while (event := machine.next_event()) is not None:
                answer(machine, event)
        except PeerError:
            return
        assert machine.buffered <= machine.limits.command + machine.limits.line + 2


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=5000).map(lambda octets: b"a " + octets))
def test_an_unanswered_client_is_bounded(octets: bytes) -> None:
    """One that is never answered cannot make the machine keep more than its limit."""
    machine = ImapServerSession()
    machine.receive_data(b"a NOOP\r\n")
    machine.next_event()
    try:
        for _ in range(200):
            machine.receive_data(octets)
    except PeerError:
        pass
    assert machine.next_event() is None
    assert machine.buffered <= machine.limits.buffered


BOUND = st.integers(1, 2**32 - 1) | st.just(STAR)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(BOUND, BOUND), min_size=1, max_size=20), st.integers(1, 2**32 - 1))
def test_sequence_sets(pairs: list[tuple[int, int]], largest: int) -> None:
    def octets(bound: int) -> bytes:
        return b"*" if bound == STAR else b"%d" % bound

    written = b",".join(octets(a) + b":" + octets(b) for a, b in pairs)
    read = Reader(written).sequence_set()
    assert read == SequenceSet(tuple((min(pair), max(pair)) for pair in pairs))
    resolved = read.resolve(largest)
    assert all(low <= high < STAR for low, high in resolved)
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(resolved)) or len(pairs) == 1
    for a, b in pairs:
        first, last = sorted((largest if a == STAR else a, largest if b == STAR else b))
        assert any(low <= first and last <= high for low, high in resolved)


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(1, 300), max_size=100))
def test_sets_of_numbers(numbers: set[int]) -> None:
    ranges = ranges_of(sorted(numbers))
    assert {n for low, high in ranges for n in range(low, high + 1)} == numbers
    assert search(sorted(numbers)) == b"".join([b"* SEARCH", *[b" %d" % n for n in sorted(numbers)], b"\r\n"])
    if ranges:
        assert Reader(sequence_set(ranges)).sequence_set().ranges == ranges


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_mailbox_names(name: str) -> None:
    assert decode_utf7(encode_utf7(name)) == name
    if name[:5].upper() != "INBOX":
        for utf8 in (False, True):
            written = mailbox(name, utf8)
            reader = Reader(written, 0, utf8)
            assert reader.mailbox() == normalize("NFC", name)
            assert reader.at_end()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60).map(lambda octets: octets.replace(b"\0", b"")))
def test_strings(value: bytes) -> None:
    for written in (string(value), astring(value)):
        reader = Reader(written)
        assert reader.astring("it") == value
        assert reader.at_end()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=30))
def test_any_name_or_none(octets: bytes) -> None:
    """A name has one spelling in modified UTF-7."""
    try:
        name = decode_utf7(octets)
    except ValueError:
        return
    assert encode_utf7(name) == octets


@settings(max_examples=150, deadline=None)
@given(OCTETS)
def test_a_reader_raises_nothing_else(octets: bytes) -> None:
    reader = Reader(octets)
    for read in (reader.sequence_set, reader.mailbox, reader.list_mailbox, reader.flag_list):
        reader.at = 0
        with suppress(BadSyntax):
            read()
