import pytest

from pennypost.model.saslprep import saslprep


@pytest.mark.parametrize(
    ("given", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b\u3000c", "a b c"),
        ("ünï", "ünï"),
        ("u\u0308", "ü"),
        ("\U0001f600", "\U0001f600"),
        ("\u05d0\u05d1", "\u05d0\u05d1"),
    ],
)
def test_the_examples_of_the_profile(given: str, prepared: str) -> None:
    """RFC 4013 §3."""
    assert saslprep(given) == prepared
    assert saslprep(prepared) == prepared


@pytest.mark.parametrize("given", ["\u0007", "a\x7fb", "\u0627\u0031", "a\u05d0", "\ud800", "\ue000", "\u200e"])
def test_what_is_prohibited(given: str) -> None:
    """RFC 4013 §2.3 and §2.4."""
    with pytest.raises(ValueError, match=r"prohibits|direction|right to left"):
        saslprep(given)
