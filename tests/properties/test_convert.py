"""Any message can be made one of seven bits, and stays what it was otherwise (RFC 6152 §3)."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.mime import PARTS, SEEDS
from tests.unit.message.test_convert import MIXED

from pennypost.message.convert import NotConvertible, has_bare_line_ends, headers_are_ascii, to_seven_bit
from pennypost.message.headers import split

PIECES = st.lists(st.sampled_from([*PARTS, b"\xe4\xf6", b"\0", b"\n", b"a line\r\n", MIXED, *SEEDS]), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*SEEDS, MIXED, b"Subject: x\r\n\r\n"]), PIECES, st.integers(0, 600))
def test_any_message(seed: bytes, pieces: list[bytes], at: int) -> None:
    octets = seed[:at] + b"".join(pieces) + seed[at:]
    headers_are_ascii(octets)
    try:
        converted = to_seven_bit(octets)
    except NotConvertible:
        return
    if has_bare_line_ends(converted):
        return  # in a header, or between parts: no encoding helps there, and it is not sent
    assert to_seven_bit(converted) == converted
    if headers_are_ascii(octets):
        assert split(converted)[1].isascii()
