"""ENVELOPE, BODYSTRUCTURE and part octets are those on which two well-known IMAP servers agree.

In the results the white space in strings is collapsed, parameters are sorted, dispositions of multiparts are left out
and octets that are not UTF-8 were replaced before the digest was taken.
"""

import hashlib
import re
from typing import Any

import pytest
from tests.vectors import mime

from pennypost.message.digest import digest
from pennypost.message.headers import split
from pennypost.message.imap_form import sent_envelope
from pennypost.message.structure import Section, locate

EXPLAINED = {
    # docs/quirks.md, MIME: "quoted-printable;" is read as what it means; the others fall back to 7bit.
    ("mime-rubymail/emails/error_emails/content_transfer_encoding_with_semi_colon.eml", "bs.parts[1].enc"): (
        "quoted-printable",
        "7bit",
    ),
}
"""(message, place) -> (ours, theirs)."""


def differences(name: str) -> dict[str, tuple[Any, Any]]:
    """List where we differ from the results, as place -> (ours, theirs)."""
    expected = mime.gold()[name]
    header_block, body = split(mime.as_appended(name))
    made = digest(header_block, body)
    found: dict[str, tuple[Any, Any]] = {}
    if "env" in expected:
        compare(collapsed(mime.read_imap(sent_envelope(made.envelope))), collapsed(expected["env"]), "env", found)
    if "bs" in expected:
        ours = mime.gold_structure(mime.read_imap(made.bodystructure))
        compare(collapsed(ours), collapsed(expected["bs"]), "bs", found)
    for numbers, sha1 in expected.get("parts", {}).items():
        span = locate(made.index, tuple(map(int, numbers.split("."))), Section.CONTENT)
        octets = b"" if span is None else body[span.start : span.end]
        if sha1 not in (sha1_of(octets), sha1_of(octets.decode("utf-8", "replace").encode())):
            found[f"part {numbers}"] = (octets, sha1)
    return found


def sha1_of(octets: bytes) -> str:
    return hashlib.sha1(octets).hexdigest()


def collapsed(value: Any) -> Any:
    match value:
        case str():
            return re.sub(r"\s+", " ", value)
        case list():
            return [collapsed(item) for item in value]
        case dict():
            return {key: collapsed(item) for key, item in value.items()}
    return value


def compare(ours: Any, theirs: Any, place: str, found: dict[str, tuple[Any, Any]]) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours:
            compare(ours[key], theirs[key], f"{place}.{key}", found)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs) > 0:
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            compare(one, other, f"{place}[{number}]", found)
    elif ours != theirs:
        found[place] = (ours, theirs)


@pytest.mark.parametrize("name", mime.gold())
def test_agrees(name: str) -> None:
    explained = {place: pair for (of, place), pair in EXPLAINED.items() if of == name}
    assert differences(name) == explained


def test_the_explained_differences_are_of_messages_that_are_there() -> None:
    assert {name for name, _ in EXPLAINED} <= mime.gold().keys()
