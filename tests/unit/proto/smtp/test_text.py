"""The text of a message: its dots, its end, and the sequences that must not end it."""

import pytest

from pennypost.model.errors import BadMessage, BareLineEnding, MailError, MessageTooLarge, PeerError
from pennypost.proto.smtp.limits import MAX_OVERRUN
from pennypost.proto.smtp.text import ChunkText, DotText


def read(octets: bytes, cut: int, limit: int = 1000) -> tuple[bytes, DotText]:
    """Read a text in pieces of `cut` octets; what follows its end is gathered in `rest`."""
    text = DotText(limit)
    given = b""
    for start in range(0, len(octets), cut):
        if text.ended:
            text.rest += octets[start:]
            break
        given += text.receive(octets[start : start + cut])
    return given, text


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 7, 1000])
@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n\r\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"..a\r\n....\r\n.\r\n", b".a\r\n...\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a.\r\n..\r\n.b\r\n.\r\n", b"a.\r\n.\r\nb\r\n"),
    ],
)
def test_dots(octets: bytes, message: bytes, cut: int) -> None:
    """RFC 5321 §4.5.2."""
    given, text = read(octets + b"QUIT\r\n", cut)
    assert text.ended
    assert (given, text.problem, text.size) == (message, None, len(message))
    assert text.rest == b"QUIT\r\n"


SMUGGLED = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\r\n.\r\r\n",
    b"\n\n.\n\n",
    b"\r\n.\r\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\x00\r\n.\n",
    b"\r\n.\n\r\n",
    b"\n\r\n.\n\r",
]


@pytest.mark.parametrize("cut", [1, 2, 3, 1000])
@pytest.mark.parametrize("false_end", SMUGGLED)
def test_only_crlf_dot_crlf_ends_a_text(false_end: bytes, cut: int) -> None:
    """RFC 5321 §2.3.8, §4.1.1.4: the text goes on behind the false end, and is refused at its true one."""
    smuggled = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nhello\r\n"
    given, text = read(b"Subject: one\r\n\r\nbody" + false_end + smuggled + b".\r\nNOOP\r\n", cut)
    assert text.ended
    assert isinstance(text.problem, BareLineEnding | BadMessage)
    assert text.rest == b"NOOP\r\n"
    assert b"MAIL FROM" not in given


@pytest.mark.parametrize("cut", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"a\nb\r\n", BareLineEnding),
        (b"a\rb\r\n", BareLineEnding),
        (b"\r\r\n", BareLineEnding),
        (b"\n\r\n", BareLineEnding),
        (b"a\r\n\n", BareLineEnding),
        (b"a\0b\r\n", BadMessage),
    ],
)
def test_faults(octets: bytes, problem: type[MailError], cut: int) -> None:
    _, text = read(octets + b"\r\n.\r\n", cut)
    assert text.ended
    assert type(text.problem) is problem


def test_a_text_that_is_too_large_is_read_to_its_end() -> None:
    """RFC 1870 §6.3."""
    given, text = read((b"x" * 98 + b"\r\n") * 20 + b".\r\n", 64)
    assert text.ended
    assert isinstance(text.problem, MessageTooLarge)
    assert text.size == 2000
    assert len(given) <= 1000


def test_a_text_of_just_the_size() -> None:
    assert read((b"x" * 98 + b"\r\n") * 10 + b".\r\n", 1000)[1].problem is None
    assert read((b"x" * 98 + b"\r\n") * 10 + b"\r\n.\r\n", 1000)[1].problem is not None


def test_a_text_that_does_not_end_is_given_up() -> None:
    text = DotText(1000)
    piece = b"x" * (1024 * 1024)
    for _ in range(MAX_OVERRUN // len(piece)):
        text.receive(piece)
    with pytest.raises(PeerError):
        text.receive(piece)


class TestChunks:
    """RFC 3030 §2."""

    def test_line_endings_may_be_cut(self) -> None:
        text = ChunkText(1000, binary=False)
        text.begin_chunk(3, last=False)
        given = text.receive(b"a\r\n"[:2]) + text.receive(b"\n")
        text.begin_chunk(2, last=False)
        given += text.receive(b"b\r")
        text.begin_chunk(3, last=True)
        given += text.receive(b"\n..")
        text.finish()
        assert (given, text.problem, text.size) == (b"a\r\nb\r\n..", None, 8)

    @pytest.mark.parametrize("octets", [b"a\nb", b"a\rb", b"ab\r", b"a\0b"])
    def test_faults(self, octets: bytes) -> None:
        text = ChunkText(1000, binary=False)
        text.begin_chunk(len(octets), last=True)
        assert text.receive(octets) == b""
        assert text.problem is not None

    def test_a_cr_before_an_empty_last_chunk(self) -> None:
        text = ChunkText(1000, binary=False)
        text.begin_chunk(2, last=False)
        text.receive(b"a\r")
        text.begin_chunk(0, last=True)
        text.finish()
        assert isinstance(text.problem, BareLineEnding)

    def test_binary_is_what_it_is(self) -> None:
        text = ChunkText(1000, binary=True)
        text.begin_chunk(6, last=True)
        assert text.receive(b"\0\n\r\r.\r") == b"\0\n\r\r.\r"
        assert text.problem is None


class TestBareCrKept:
    """What the administrator may ask for, and what stays refused."""

    @pytest.mark.parametrize("cut", [1, 2, 3, 1000])
    def test_a_cr_is_an_octet(self, cut: int) -> None:
        octets = b"a\r\r\n\r.\r\r\n.\r\r\nb\r\n.\r\n"
        text = DotText(1000, keep_bare_cr=True)
        given = b"".join(text.receive(octets[i : i + cut]) for i in range(0, len(octets), cut) if not text.ended)
        assert (given, text.problem) == (b"a\r\r\n\r.\r\r\n\r\r\nb\r\n", None)

    def test_a_lf_is_not(self) -> None:
        text = DotText(1000, keep_bare_cr=True)
        text.receive(b"a\nb\r\n.\r\n")
        assert isinstance(text.problem, BareLineEnding)

    def test_at_the_end_of_a_chunk(self) -> None:
        text = ChunkText(1000, binary=False, keep_bare_cr=True)
        text.begin_chunk(2, last=False)
        given = text.receive(b"a\r")
        text.begin_chunk(0, last=True)
        given += text.finish()
        assert (given, text.problem) == (b"a\r", None)
