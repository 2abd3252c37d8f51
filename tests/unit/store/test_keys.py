"""The forms of domains, addresses, keywords and keys that rows hold."""

import pytest

from pennypost.model.address import Address
from pennypost.model.authentication import ScramKeys
from pennypost.model.errors import BadAddress, TooManyKeywords
from pennypost.model.flags import Flags
from pennypost.store import counters, keys
from pennypost.store.credentials import pack_scram_keys, unpack_scram_keys
from pennypost.store.keywords import MAX_KEYWORDS, normalise_keywords, pack_keywords, unpack_keywords


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
    ],
)
def test_domains(written: str, stored: str) -> None:
    assert keys.canonical_domain(written) == stored
    assert keys.canonical_domain(stored) == stored


@pytest.mark.parametrize("bad", ["", ".", "a b", "a\tb", "a@b", "x" * 256, "\u00fc..x", "\u2024"])
def test_names_that_are_no_domain(bad: str) -> None:
    with pytest.raises(BadAddress):
        keys.canonical_domain(bad)


def test_addresses() -> None:
    assert keys.address_key(Address("Ann", "EXAMPLE.org")) == "ann@example.org"
    assert keys.address_key(Address("STRASSE", "x.org")) == "strasse@x.org"
    assert keys.address_key(Address("U\u0308", "x.org")) == keys.address_key(Address("\u00fc", "x.org"))
    assert keys.parse_key(" Two@Parts@X.org ") == "two@parts@x.org"
    assert keys.split_key("two@parts@x.org") == ("two@parts", "x.org")
    for bad in ("ann", "@x.org", "ann@", "a\x00b@x.org", "\u00fc" * 33 + "@x.org"):
        with pytest.raises(BadAddress):
            keys.parse_key(bad)


def test_keywords() -> None:
    assert normalise_keywords(["b", "A", "B", "$Forwarded"]) == ("$Forwarded", "A", "b")
    assert pack_keywords(()) is None
    packed = pack_keywords(("A", "b"))
    assert packed == "A b"
    assert unpack_keywords(packed) == ("A", "b")
    assert unpack_keywords(None) == ()
    for bad in ("", "a b", "\u00fc", "a\n"):
        with pytest.raises(ValueError, match="no keyword"):
            normalise_keywords([bad])
    with pytest.raises(TooManyKeywords):
        normalise_keywords([f"k{n}" for n in range(MAX_KEYWORDS + 1)])
    with pytest.raises(TooManyKeywords):
        normalise_keywords(["x" * 256])


@pytest.mark.parametrize("size", [20, 32])
def test_scram_keys_survive_packing(size: int) -> None:
    known = ScramKeys(b"some salt", 123_456, b"s" * size, b"v" * size)
    assert unpack_scram_keys(pack_scram_keys(known)) == known


def test_what_entries_count_for() -> None:
    assert counters.of_entry(0, 10) == (1, 1, 0, 10)
    assert counters.of_entry(Flags.SEEN | Flags.DELETED, 10) == (1, 0, 1, 10)
    assert counters.total([(0, 1), (1, 2), (9, 4)]) == (3, 1, 1, 7)
    assert counters.total([(0, 1)]).negated() == (-1, -1, 0, -1)
    assert counters.flags_changed(0, Flags.SEEN) == (-1, 0)
    assert counters.flags_changed(Flags.SEEN | Flags.DELETED, 0) == (1, -1)
    assert counters.flags_changed(Flags.SEEN, Flags.SEEN | Flags.DELETED) == (0, 1)
