"""Dot-stuffing and the cut of TOP (RFC 1939 §3, §7)."""

import pytest

from pennypost.proto.pop3.text import DotStuffer, dot_stuffed, first_lines


@pytest.mark.parametrize(
    ("octets", "sent"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\n..\r\nb\r\n", b"a\r\n..\r\n...\r\nb\r\n.\r\n"),
        (b"no end", b"no end\r\n.\r\n"),
        (b"\r\n.", b"\r\n..\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
    ],
)
def test_a_text_is_stuffed_and_ended(octets, sent):
    assert dot_stuffed(octets) == sent
    in_pieces = DotStuffer()
    pieces = [in_pieces.piece(octets[at : at + 1]) for at in range(len(octets))]
    assert b"".join(pieces) + in_pieces.end() == sent


@pytest.mark.parametrize(
    ("count", "lines"),
    [(0, b""), (1, b"a\r\n"), (2, b"a\r\n\r\n"), (3, b"a\r\n\r\n.b"), (4, b"a\r\n\r\n.b"), (10**9, b"a\r\n\r\n.b")],
)
def test_the_first_lines_of_a_body(count, lines):
    assert first_lines(b"a\r\n\r\n.b", count) == lines


def test_a_body_of_empty_lines():
    assert first_lines(b"\r\n" * 5, 4) == b"\r\n" * 4
    assert first_lines(b"\r\n" * 5, 5) == b"\r\n" * 5
    assert first_lines(b"", 0) == b""
