import pytest

from pennypost.model.address import Address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("alice", "example.org"), "alice@example.org"),
        (Address("a.b+c-d", "example.org"), "a.b+c-d@example.org"),
        (Address("käse", "bücher.example"), "käse@bücher.example"),
        (Address("\U0001f600", "example.org"), "\U0001f600@example.org"),
        (Address("a b", "example.org"), '"a b"@example.org'),
        (Address("", "example.org"), '""@example.org'),
        (Address("a.", "example.org"), '"a."@example.org'),
        (Address(".a", "example.org"), '".a"@example.org'),
        (Address("a..b", "example.org"), '"a..b"@example.org'),
        (Address("a\n", "example.org"), '"a\n"@example.org'),
        (Address('a"\\b', "example.org"), '"a\\"\\\\b"@example.org'),
        (Address("Postmaster", ""), "Postmaster"),
    ],
)
def test_as_it_is_written(address: Address, text: str) -> None:
    """RFC 5321 §4.1.2: quoted where the grammar needs it."""
    assert str(address) == text


def test_key_and_ascii() -> None:
    assert Address("Alice", "Example.ORG").key == "alice@example.org"
    assert Address("alice", "example.org").is_ascii
    assert not Address("käse", "example.org").is_ascii
    assert not Address("a", "bücher.example").is_ascii
