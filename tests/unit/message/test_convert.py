import quopri
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.message.convert import (
    NotConvertible,
    has_bare_line_ends,
    headers_are_ascii,
    is_binary,
    quoted_printable,
    to_seven_bit,
)

HEAD = b"From: a@b\r\nMIME-Version: 1.0\r\n"
MIXED = (
    HEAD
    + b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: 8bit\r\n\r\npre\xe4mble\r\n--x\r\n"
    + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße=\r\n.\r\n".encode()
    + b"--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\x89\n\r\xff\r\n"
    + b"--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@d\r\nContent-Type: text/html; charset=latin1\r\n\r\n"
    + b"<b>\xfc</b>\r\n--x\r\nContent-Type: text/plain\r\n\r\nASCII stays\r\n--x--\r\n"
)


def test_every_leaf_keeps_its_content() -> None:
    """RFC 6152 §3, RFC 2045 §6."""
    converted = to_seven_bit(MIXED)
    assert converted.isascii()
    assert not is_binary(converted)
    before, after = (message_from_bytes(octets, policy=policy.compat32) for octets in (MIXED, converted))
    leaves = [
        [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
        for message in (before, after)
    ]
    assert leaves[1][0] == "Grüße=\r\n.".encode()
    assert leaves[1][1] == b"\x00\x89\n\r\xff"
    assert leaves[1][2] == b"<b>\xfc</b>"
    assert leaves[1][3] == leaves[0][3]
    assert after["content-transfer-encoding"] == "7bit"
    assert b"pre?mble" in converted
    assert b"ASCII stays\r\n--x--" in converted
    assert to_seven_bit(converted) == converted


def test_a_message_that_was_no_mime() -> None:
    converted = to_seven_bit(b"From: a@b\r\nSubject: x\r\n\r\n\xe4\r\n")
    assert converted == (
        b"From: a@b\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"
    )


def test_what_is_signed_must_not_be_changed() -> None:
    """RFC 1847 §2.1."""
    signed = HEAD + (
        b"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\n\xe4\r\n"
        b"--x\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--x--\r\n"
    )
    with pytest.raises(NotConvertible):
        to_seven_bit(signed)
    plain = signed.replace(b"\xe4", b"a")
    assert to_seven_bit(plain) == plain


def test_a_wrong_label_is_put_right() -> None:
    assert b"7bit" in to_seven_bit(HEAD + b"Content-Transfer-Encoding: 8bit\r\n\r\nplain\r\n")
    bad = HEAD + b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\xff\r\n"
    assert to_seven_bit(bad).endswith(b"base64\r\n\r\nAAAA?\r\n")


def test_binary_is_what_is_not_lines() -> None:
    assert is_binary(b"a\0")
    assert is_binary(b"a\nb\r\n")
    assert is_binary(b"x" * 1000)
    assert not is_binary(b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\n")
    assert has_bare_line_ends(b"a\rb")
    assert not has_bare_line_ends(b"a\r\nb\r\n")


def test_utf8_in_any_header_is_found() -> None:
    """RFC 6532."""
    assert headers_are_ascii(MIXED)
    assert not headers_are_ascii("From: ä@b\r\n\r\nx".encode())
    assert not headers_are_ascii(MIXED.replace(b"From: c@d", "From: ä@d".encode()))
    assert not headers_are_ascii(MIXED.replace(b"text/plain; charset=utf-8", "text/plain; name=ä".encode()))


@given(st.lists(st.binary(max_size=200), max_size=5).map(b"\r\n".join))
def test_quoted_printable(content: bytes) -> None:
    encoded = quoted_printable(content)
    assert encoded.isascii()
    lines = encoded.split(b"\r\n")
    assert all(len(line) <= 76 and not line.endswith((b" ", b"\t")) for line in lines)
    assert not has_bare_line_ends(encoded)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n") == content.replace(
        b"\r\n", b"\n"
    ).replace(b"\n", b"\r\n")
