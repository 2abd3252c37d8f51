"""RFC 6376 §5, RFC 8463: signatures as others read them."""

import dkim as dkimpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.verify.dkim.keys import ED25519, NOW, RSA, published, verdicts

from pennypost.model.verification import DkimResult
from pennypost.verify.dkim import SigningKey, sign
from pennypost.verify.dkim.tags import parse_tags

MESSAGE_HEADER = b"From: Ann <ann@example.org>\r\nTo: b@example.net\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\n"


def field_of(key: SigningKey, header: bytes = MESSAGE_HEADER) -> bytes:
    return sign(header, b"Hi\r\n", [key], NOW)


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_lines_are_short_and_folded(key: SigningKey) -> None:
    field = field_of(key)
    lines = field.split(b"\r\n")
    assert lines[-1] == b""
    assert all(len(line) <= 78 for line in lines)
    assert all(line.startswith(b"\t") for line in lines[1:-1])


def test_what_is_signed() -> None:
    tags = parse_tags(field_of(RSA).partition(b":")[2])
    assert tags[b"v"] == b"1"
    assert tags[b"c"] == b"relaxed/relaxed"
    assert int(tags[b"t"]) == NOW
    names = [name.strip() for name in tags[b"h"].split(b":")]
    assert names.count(b"from") == names.count(b"to") == names.count(b"subject") == 2  # once more than there are
    assert names.count(b"cc") == names.count(b"reply-to") == 1  # so that none can be added
    assert b"received" not in names


def test_no_key_is_no_signature() -> None:
    assert sign(MESSAGE_HEADER, b"Hi\r\n", [], NOW) == b""


def test_another_implementation_agrees() -> None:
    """It reads RSA only; RFC 8463's own example, in tests/vectors, is for the other algorithm."""
    body = b"Hello  there \r\n\r\n\r\n"
    message = sign(MESSAGE_HEADER, body, [RSA], NOW) + MESSAGE_HEADER + body
    records = published(RSA, ED25519)

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")][0]

    assert dkimpy.verify(message, dnsfunc=look_up)
    assert not dkimpy.verify(message.replace(b"Hello", b"Hallo"), dnsfunc=look_up)


text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)
lines = st.lists(st.one_of(text, st.sampled_from(["", " ", "\t", ".", "From me", "a  b"])), max_size=12)


@given(st.lists(st.tuples(st.sampled_from(["To", "Cc", "Subject", "X-Other", "List-Id"]), text), max_size=6), lines)
@settings(max_examples=60, deadline=None)
def test_what_we_sign_holds(fields: list[tuple[str, str]], body_lines: list[str]) -> None:
    header = "From: ann@example.org\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
    body = "\r\n".join(body_lines)
    octets, content = header.encode(), body.encode()
    message = sign(octets, content, [ED25519], NOW) + octets + content
    assert [verdict.result for verdict in verdicts(message, published(ED25519))] == [DkimResult.PASS]
