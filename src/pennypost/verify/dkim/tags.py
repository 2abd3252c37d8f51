"""Tag lists: `name=value; name=value` (RFC 6376 §3.2)."""

import re

_FWS = rb"(?:[ \t\r\n]*+)"
_TAG = re.compile(_FWS + rb"([A-Za-z][A-Za-z0-9_]*+)" + _FWS + rb"=([^;]*+)(?:;|$)")
# tag-value = [ tval *( 1*(WSP / FWS) tval ) ], tval of the printable characters; RFC 8616 adds all of UTF-8.
_BLANK = re.compile(rb"[ \t\r\n]+")


class BadTags(ValueError):
    """What was given is no tag list; the text says why."""


def parse_tags(text: bytes) -> dict[bytes, bytes]:
    """Read a tag list. Values have no white space around them; what is inside is kept, and folding with it.

    Raises BadTags for what is no tag list, and for a tag that comes twice.
    """
    found: dict[bytes, bytes] = {}
    position, end = 0, len(text.rstrip(b" \t\r\n"))
    while position < end:
        match = _TAG.match(text, position)
        if match is None:
            raise BadTags("not a list of tags")
        name = match[1]
        if name in found:
            raise BadTags(f"tag {name.decode('ascii')}= comes twice")
        found[name] = match[2].strip(b" \t\r\n")
        position = match.end()
    return found


def without_blanks(value: bytes) -> bytes:
    """Take all white space out of a value, as base64 may have it anywhere (RFC 6376 §2.10)."""
    return _BLANK.sub(b"", value)


def colon_list(value: bytes) -> list[bytes]:
    """Split a value at its colons; no white space around the items (RFC 6376 §3.5: h=, q=; §3.6.1: h=, s=, t=)."""
    return [item.strip(b" \t\r\n") for item in value.split(b":")]
