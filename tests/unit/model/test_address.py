"""Addresses as they go on the wire (RFC 5321 §4.1.2, RFC 6531 §3.3)."""

import pytest

from pennypost.model.address import Address


@pytest.mark.parametrize(
    ("local_part", "written"),
    [
        ("anna", "anna"),
        ("anna.b+tag", "anna.b+tag"),
        ("jürgen", "jürgen"),
        ("a b", '"a b"'),
        ("a..b", '"a..b"'),
        (".a", '".a"'),
        ("a.", '"a."'),
        ("", '""'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a@b", '"a@b"'),
        ("a\n", '"a\n"'),
    ],
)
def test_local_parts_are_quoted_where_they_must_be(local_part: str, written: str) -> None:
    assert str(Address(local_part, "x.example")) == f"{written}@x.example"


def test_the_bare_postmaster_has_no_domain() -> None:
    assert str(Address("Postmaster", "")) == "Postmaster"


def test_keys_know_no_case() -> None:
    assert Address("Änna", "X.Example").key == "änna@x.example"
    assert Address("a", "x").is_ascii
    assert not Address("ä", "x").is_ascii
