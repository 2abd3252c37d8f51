import pytest

from pennypost.proto.wire import dot_stuff


@pytest.mark.parametrize(
    ("plain", "stuffed"),
    [
        (b"", b""),
        (b".", b".."),
        (b"a.b\r\n", b"a.b\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
        (b".\r\n.\r\n..\r\n", b"..\r\n..\r\n...\r\n"),
    ],
)
def test_dots_are_doubled_at_the_beginning_of_lines(plain: bytes, stuffed: bytes) -> None:
    """RFC 5321 §4.5.2."""
    assert dot_stuff(plain) == stuffed
