import pytest

from pennypost.model.errors import PeerError
from pennypost.proto.wire import LineBuffer, LineFault
from pennypost.proto.wire.lines import MAX_SWALLOWED


def drain(buffer: LineBuffer) -> list[bytes | LineFault]:
    lines = []
    while (line := buffer.next_line()) is not None:
        lines.append(line)
    return lines


@pytest.mark.parametrize(
    ("octets", "lines"),
    [
        (b"", []),
        (b"NOOP", []),
        (b"NOOP\r", []),
        (b"NOOP\r\n", [b"NOOP"]),
        (b"\r\n\r\n", [b"", b""]),
        (b"a\r\nb\r\nc", [b"a", b"b"]),
        (b"a\nb\r\nc\r\n", [LineFault.BARE_LF, b"c"]),
        (b"a\n", [LineFault.BARE_LF]),
        (b"a\rb\r\nc\r\n", [LineFault.BARE_CR, b"c"]),
        (b"a\r\r\nc\r\n", [LineFault.BARE_CR, b"c"]),
        (b"\r\r\n\r\n", [LineFault.BARE_CR, b""]),
        (b"\n\r\nc\r\n", [LineFault.BARE_LF, b"c"]),
        (b"a\0b\n\r\nc\r\n", [LineFault.NUL, b"c"]),
        (b"0123456789ABCD\r\n", [b"0123456789ABCD"]),
        (b"0123456789ABCDE\r\nc\r\n", [LineFault.TOO_LONG, b"c"]),
        (b"0123456789ABCDEFG", [LineFault.TOO_LONG]),
        (b"0123456789ABCDEFG\n\r\n\r\n", [LineFault.TOO_LONG, b""]),
    ],
)
def test_only_crlf_ends_a_line(octets: bytes, lines: list[bytes | LineFault]) -> None:
    """RFC 5321 §2.3.8, in one piece and octet by octet."""
    whole = LineBuffer(16)
    whole.feed(octets)
    assert drain(whole) == lines

    single = LineBuffer(16)
    seen: list[bytes | LineFault] = []
    for octet in octets:
        single.feed(bytes([octet]))
        seen += drain(single)
    assert seen == lines


def test_a_fault_is_reported_before_its_line_ends() -> None:
    buffer = LineBuffer(16)
    buffer.feed(b"HELO x\n")
    assert buffer.next_line() is LineFault.BARE_LF
    buffer.feed(b"MAIL FROM:<a@b>\n")
    assert buffer.next_line() is None
    buffer.feed(b"\r\nNOOP\r\n")
    assert buffer.next_line() == b"NOOP"


def test_a_line_without_end_is_bounded() -> None:
    buffer = LineBuffer(16)
    buffer.feed(b"x" * 17)
    assert buffer.next_line() is LineFault.TOO_LONG
    assert len(buffer) == 0
    for _ in range(MAX_SWALLOWED // 1000):
        buffer.feed(b"x" * 1000)
        assert buffer.next_line() is None
        assert len(buffer) == 0
    buffer.feed(b"x" * 1000)
    with pytest.raises(PeerError):
        buffer.next_line()


def test_raw_octets_between_lines() -> None:
    buffer = LineBuffer(16)
    buffer.feed(b"one\r\n\0\n\0\ntwo\r\n")
    assert buffer.next_line() == b"one"
    assert buffer.take(4) == b"\0\n\0\n"
    assert buffer.next_line() == b"two"
    assert buffer.take(4) == b""
    buffer.feed(b"rest")
    assert buffer.take_all() == b"rest"
    buffer.feed(b"\r\n")
    buffer.put_back(b"tail")
    assert len(buffer) == 6
    assert buffer.next_line() == b"tail"


def test_clear_forgets() -> None:
    buffer = LineBuffer(16)
    buffer.feed(b"NOOP\r\nQUIT\r\nhalf\n")
    assert buffer.next_line() == b"NOOP"
    buffer.clear()
    assert len(buffer) == 0
    assert buffer.next_line() is None
    buffer.feed(b"QUIT\r\n")
    assert buffer.next_line() == b"QUIT"
