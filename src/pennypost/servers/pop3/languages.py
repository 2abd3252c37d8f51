"""What LANG offers (RFC 6856 §3). All our texts are English, in words that `i-default` takes (RFC 2277 §4.5)."""

DEFAULT = "i-default"

LANGUAGES = {"en": "English", DEFAULT: "English for everybody"}


def look_up(tag: str) -> str | None:
    """Find the language for a tag, leaving out subtags from its end (RFC 4647 §3.4). "*" is the default."""
    if tag == "*":
        return DEFAULT
    while tag:
        if tag in LANGUAGES:
            return tag
        tag = tag.rpartition("-")[0]
    return None
