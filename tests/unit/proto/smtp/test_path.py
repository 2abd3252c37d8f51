"""Paths, well and badly formed (RFC 5321 §4.1.2)."""

import pytest

from pennypost.model.address import Address
from pennypost.proto.smtp.path import parse_forward_path, parse_path, parse_reverse_path


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (b"<a@b>", Address("a", "b")),
        (b"<alice@example.org>", Address("alice", "example.org")),
        (b"<Alice.B+tag@Example.ORG>", Address("Alice.B+tag", "Example.ORG")),
        (b"<!#$%&'*+-/=?^_`{|}~@x-y.z1>", Address("!#$%&'*+-/=?^_`{|}~", "x-y.z1")),
        (b"<a@host_1.example>", Address("a", "host_1.example")),
        (b'<"alice"@example.org>', Address("alice", "example.org")),
        (b'<"al\\"ice b"@example.org>', Address('al"ice b', "example.org")),
        (b'<"a>b"@example.org>', Address("a>b", "example.org")),
        (b'<""@example.org>', Address("", "example.org")),
        (b'<"user@other"@example.org>', Address("user@other", "example.org")),
        (b"<user%other@example.org>", Address("user%other", "example.org")),
        (b"<a@[192.0.2.1]>", Address("a", "[192.0.2.1]")),
        (b"<a@[IPv6:2001:db8::1]>", Address("a", "[IPv6:2001:db8::1]")),
        (b"<@relay.example:a@b.example>", Address("a", "b.example")),
        (b"<@one.example,@two.example:a@b.example>", Address("a", "b.example")),
        ("<käse@example.org>".encode(), Address("käse", "example.org")),
        ("<a@bücher.example>".encode(), Address("a", "bücher.example")),
        (b"<" + b"l" * 64 + b"@" + b"d" * 63 + b">", Address("l" * 64, "d" * 63)),
    ],
)
def test_addresses(path: bytes, address: Address) -> None:
    assert parse_path(path) == (address, len(path))
    assert parse_path(path + b" SIZE=1")[1] == len(path)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"<",
        b"<>",
        b"a@b",
        b"<a@b",
        b"<a>",
        b"<@b>",
        b"<a@>",
        b"<a@b@c>",
        b"<a@b.>",
        b"<a@.b>",
        b"<a@b..c>",
        b"<a@-b>",
        b"<a@b->",
        b"<.a@b>",
        b"<a.@b>",
        b"<a..b@c>",
        b"<a b@c>",
        b"<a@b c>",
        b"<a\t@b>",
        b'<"a@b>',
        b'<a"b@c>',
        b'<"a"b@c>',
        b'<"a\\"@b>',
        b"<a@[]>",
        b"<a@[192.0.2]>",
        b"<a@[192.0.2.256]>",
        b"<a@[192.0.02.1]>",
        b"<a@[2001:db8::1]>",
        b"<a@[IPv6:192.0.2.1]>",
        b"<a@[IPv6:fe80::1%eth0]>",
        b"<a@[tag:content]>",
        b"<a@[192.0.2.1>",
        b"<@a,b:c@d>",
        b"<@:a@b>",
        b"<a@b\xff>",
        b"<\xffa@b>",
        "<a\u0085@b>".encode(),
        "<a@b\u00adc.example>".encode(),
        b"<<a@b>>",
        b"<" + b"l" * 65 + b"@d>",
        b"<a@" + b"d" * 64 + b">",
        b"<a@" + b".".join([b"d" * 60] * 5) + b">",
        b"<" + b"l" * 64 + b"@" + b".".join([b"d" * 62] * 3) + b".ddd>",
    ],
)
def test_what_is_no_path(path: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_path(path)


def test_the_null_reverse_path() -> None:
    """RFC 5321 §4.5.5."""
    assert parse_reverse_path(b"FROM:<>", 5) == (None, 7)
    assert parse_reverse_path(b"<a@b>", 0) == (Address("a", "b"), 5)


def test_postmaster_needs_no_domain() -> None:
    """RFC 5321 §4.1.1.3, §4.5.1."""
    assert parse_forward_path(b"TO:<postMaster>", 3) == (Address("postMaster", ""), 15)
    with pytest.raises(ValueError, match="no path"):
        parse_forward_path(b"<abuse>", 0)


def test_a_hostile_path_takes_linear_time() -> None:
    for hostile in (b"<" + b"a." * 6000, b'<"' + b"\\a" * 6000, b"<@a" + b",@a" * 4000, b"<a@" + b"a-" * 6000):
        with pytest.raises(ValueError, match="no path"):
            parse_path(hostile)
