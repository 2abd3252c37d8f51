"""Tokens (RFC 9051 §9) that no single command stands for."""

import time

import pytest

from pennypost.model.flags import Flags
from pennypost.proto.imap.flags import FlagList, flag_list
from pennypost.proto.imap.limits import AFTER_LOGIN
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import SequenceSet


def test_nstring() -> None:
    assert Reader(b"nil").nstring("it") is None
    assert Reader(b'"NIL"').nstring("it") == b"NIL"
    assert Reader(b"{3}\r\nNIL").nstring("it") == b"NIL"
    with pytest.raises(BadSyntax, match="expected it"):
        Reader(b"NILS").nstring("it")


def test_looking_ahead_reads_nothing() -> None:
    reader = Reader(b"(word)")
    assert reader.opens()
    assert reader.peek_word() == b""
    reader.expect(b"(", "it")
    assert reader.peek_word() == b"WORD"
    assert reader.at == 1
    assert reader.word("it") == b"WORD"
    assert not reader.skip(b"x")
    assert reader.skip(b")")
    assert reader.next_octet() == -1
    assert reader.at_end()


def test_sequence_sets_of_many_items() -> None:
    reader = Reader(b"1,2:4,9:7 x")
    assert reader.sequence_set() == SequenceSet(((1, 1), (2, 4), (7, 9)))
    assert reader.at == 9


def test_flag_lists() -> None:
    """RFC 9051 §2.3.2: keywords do not differ by case."""
    assert flag_list([b"b", b"\\SEEN", b"A", b"B"]) == FlagList(Flags.SEEN, ("A", "b"))
    with pytest.raises(ValueError, match=r"expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft, or a keyword"):
        flag_list([b"\\Nope"])


@pytest.mark.parametrize("octets", [b'"' + b"\\\\" * 30_000, b'"' + b"a" * 60_000, b'"' + b'a\\"' * 20_000])
def test_an_open_quote_costs_no_more_than_its_length(octets: bytes) -> None:
    assert len(octets) <= AFTER_LOGIN.line
    began = time.thread_time()
    with pytest.raises(BadSyntax, match="expected it: a quoted string has a closing quote, and no NUL, CR or LF"):
        Reader(octets).astring("it")
    assert time.thread_time() - began < 0.5
