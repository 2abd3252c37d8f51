"""Address lists in all the forms that occur (RFC 5322 §3.4, §4.4; RFC 6532 §3.2)."""

import pytest

from pennypost.message.addresses import HeaderAddress, addresses, parse_addresses
from pennypost.message.limits import MAX_ADDRESSES
from pennypost.model.address import Address

Entry = tuple[bytes | None, bytes | None, bytes | None, bytes | None]


def entries(body: bytes) -> list[Entry]:
    return [(one.name, one.route, one.local_part, one.domain) for one in parse_addresses(body)]


def one(name: bytes | None, local: bytes, domain: bytes) -> Entry:
    return (name, None, local, domain)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a@b.example", [one(None, b"a", b"b.example")]),
        (b"<a@b.example>", [one(None, b"a", b"b.example")]),
        (b"John X. Doe <j@d.example>", [one(b"John X. Doe", b"j", b"d.example")]),
        (b'"Doe, J." <j@d.example>, k@d.example', [one(b"Doe, J.", b"j", b"d.example"), one(None, b"k", b"d.example")]),
        (b'"a \\"b\\" c" <j@d.example>', [one(b'a "b" c', b"j", b"d.example")]),
        (b"=?utf-8?q?J=C3=B6rg?= Doe <j@d.example>", [one(b"=?utf-8?q?J=C3=B6rg?= Doe", b"j", b"d.example")]),
        (b"J\xc3\xb6rg <j\xc3\xb6@d\xc3\xb6.example>", [one(b"J\xc3\xb6rg", b"j\xc3\xb6", b"d\xc3\xb6.example")]),
        (b"a@b.example (The Name)", [one(b"The Name", b"a", b"b.example")]),
        (b"Real (not this) <a@b.example>", [one(b"Real", b"a", b"b.example")]),
        (b"(c (nested \\) x)) a@b.example", [one(b"c (nested ) x)", b"a", b"b.example")]),
        (b'"a b"@c.example', [one(None, b"a b", b"c.example")]),
        (b'x."a b".y@c.example', [one(None, b"x.a b.y", b"c.example")]),
        (b"a . b @ c . example", [one(None, b"a.b", b"c.example")]),
        (b"a@[192.0.2.1]", [one(None, b"a", b"[192.0.2.1]")]),
        (b"A <a@[IPv6:::1]>", [one(b"A", b"a", b"[IPv6:::1]")]),
        (b"A <@r.example,@s.example:a@b.example>", [(b"A", b"@r.example,@s.example", b"a", b"b.example")]),
        (b"a@b.example,,, c@d.example,", [one(None, b"a", b"b.example"), one(None, b"c", b"d.example")]),
        (b"alice", [one(None, b"alice", b"")]),
        (b"Alice Smith", [one(None, b"Alice Smith", b"")]),
        (b"A <alice>", [one(b"A", b"alice", b"")]),
        (b"A <>", [one(b"A", b"", b"")]),
        (b"<>", []),
        (b"", []),
        (b" , ,", []),
        (b"A <a@b.example", [one(b"A", b"a", b"b.example")]),
        (b"A <a@b.example>> , <c@d.example>", [one(b"A", b"a", b"b.example"), one(None, b"c", b"d.example")]),
        (b'"A <a@b.example>', [one(b"A", b"a", b"b.example")]),
        (b"a@b.example <c@d.example>", [one(None, b"a", b"b.example"), one(None, b"c", b"d.example")]),
        (b"<a@b.example@c.example>", [one(None, b"a@b.example", b"c.example")]),
        (b"A B <a@b.example> C D <c@d.example>", [one(b"A B", b"a", b"b.example"), one(b"C D", b"c", b"d.example")]),
        (b"two  blanks\there <a@b.example>", [one(b"two blanks here", b"a", b"b.example")]),
    ],
)
def test_forms(body: bytes, expected: list[Entry]) -> None:
    assert entries(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"undisclosed-recipients:;", [(None, None, b"undisclosed-recipients", None), (None,) * 4]),
        (
            b'My "Dear" Friends: a@b.example, C <c@d.example>; e@f.example',
            [
                (None, None, b"My Dear Friends", None),
                one(None, b"a", b"b.example"),
                one(b"C", b"c", b"d.example"),
                (None,) * 4,
                one(None, b"e", b"f.example"),
            ],
        ),
        (b"open: a@b.example", [(None, None, b"open", None), one(None, b"a", b"b.example"), (None,) * 4]),
        (b"a@b.example;", [one(None, b"a", b"b.example")]),
        (
            b"one: two: a@b.example;",
            [
                (None, None, b"one", None), (None,) * 4,
                (None, None, b"two", None), one(None, b"a", b"b.example"), (None,) * 4,
            ],
        ),
    ],
)  # fmt: skip
def test_groups(body: bytes, expected: list[Entry]) -> None:
    """RFC 5322 §3.4 groups, marked as RFC 9051 §7.5.2 has them."""
    assert entries(body) == expected


def test_who_is_written_to() -> None:
    found = parse_addresses(b'G: "a b"@c.example;, x, J <j\xff@d.example>')
    assert list(addresses(found)) == [Address("a b", "c.example"), Address("j\ufffd", "d.example")]
    assert found[0].is_group_start
    assert found[0].display_name == "G"
    assert found[2].is_group_end
    assert found[2].address is None
    assert found[2].display_name == ""


def test_display_name_is_decoded() -> None:
    assert HeaderAddress(b"=?utf-8?b?SsO2cmc=?=", None, b"j", b"d.example").display_name == "Jörg"


@pytest.mark.parametrize("unit", [b"a@b,", b"x,", b"G:;", b'"q" <a@b> c,'])
def test_the_number_is_bounded(unit: bytes) -> None:
    found = parse_addresses(unit * (MAX_ADDRESSES + 10))
    assert MAX_ADDRESSES <= len(found) <= MAX_ADDRESSES + 2


@pytest.mark.parametrize(
    "body", [b"(" * 50, b"a(" * 50, b"<" * 50, b"[" * 50, b'"' * 51, b"\\" * 50, b"@" * 50, b"\0\r\n\x80"]
)
def test_nonsense_is_survived(body: bytes) -> None:
    for entry in parse_addresses(body):
        assert entry.address is None


def test_a_short_list_that_comes_again_is_not_read_again() -> None:
    short = b"Ann <ann@example.org>"
    long = b", ".join([short] * 5)
    assert parse_addresses(short) is parse_addresses(bytes(bytearray(short)))
    assert parse_addresses(long) == 5 * parse_addresses(short)
    assert parse_addresses(long) is not parse_addresses(long)  # memory for those would have no bound
