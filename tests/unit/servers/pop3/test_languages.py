"""LANG finds a language by leaving out subtags (RFC 6856 §3, RFC 4647 §3.4)."""

import pytest

from pennypost.servers.pop3.languages import look_up


@pytest.mark.parametrize(
    ("tag", "found"),
    [("*", "i-default"), ("en", "en"), ("en-gb-oed", "en"), ("i-default", "i-default"), ("de", None), ("i", None)],
)
def test_look_up(tag, found):
    assert look_up(tag) == found
