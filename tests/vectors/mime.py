"""Where the shared MIME vectors are, and how the results agreed on by two IMAP servers are written."""

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDERS = ("mime-cpython", "mime-mimekit", "mime-nodemailer", "mime-rubymail", "mime-spamassassin")


def root() -> Path:
    """Find the vectors, or skip: they are shared between projects and are not part of this one."""
    named = os.environ.get("PENNYPOST_VECTORS")
    path = Path(named) if named else Path(__file__).parents[2].parent / "shared" / "vectors"
    if not path.is_dir():
        pytest.skip(f"no shared vectors at {path}", allow_module_level=True)
    return path


def files() -> list[Path]:
    """List every file of the MIME folders: messages, and things that are none and must be survived just so."""
    return sorted(path for folder in FOLDERS for path in (root() / folder).rglob("*") if path.is_file())


@cache
def gold() -> dict[str, dict[str, Any]]:
    """Load what both servers agreed on, for the messages that are there."""
    path = root() / "mime-imap-gold" / "gold-open.json"
    every = json.loads(path.read_text())
    return {name: expected for name, expected in every.items() if (root() / name).exists()}


def as_appended(name: str) -> bytes:
    """Give the octets that were appended over IMAP: CRLF line ends, no mbox separator line. The digest proves it."""
    octets = re.sub(rb"\r?\n", b"\r\n", (root() / name).read_bytes())
    sha1 = gold()[name]["sha1"]
    for candidate in (octets, octets.partition(b"\n")[2]):
        if hashlib.sha1(candidate).hexdigest() == sha1:
            return candidate
    raise AssertionError(f"{name}: not the message the results are of")


_TOKEN = re.compile(rb'[ ]*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^ ()"{]+))', re.DOTALL)


def read_imap(octets: bytes) -> Any:
    """Read one parenthesized IMAP value: lists, str (latin-1) for strings, None for NIL, int for numbers."""
    at = 0
    stack: list[list[Any]] = [[]]
    while at < len(octets):
        match = _TOKEN.match(octets, at)
        assert match is not None, octets[at : at + 80]
        opened, closed, quoted, literal, atom = match.groups()
        at = match.end()
        if opened:
            stack.append([])
        elif closed:
            done = stack.pop()
            stack[-1].append(done)
        elif quoted is not None:
            assert quoted.isascii()
            assert not re.search(rb"[\r\n\0]", quoted)
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted).decode("latin-1"))
        elif literal is not None:
            size = int(literal)
            stack[-1].append(octets[at : at + size].decode("latin-1"))
            at += size
        elif atom == b"NIL":
            stack[-1].append(None)
        else:
            stack[-1].append(int(atom))
    assert len(stack) == 1
    assert len(stack[0]) == 1
    return stack[0][0]


def gold_structure(tree: list[Any]) -> dict[str, Any]:
    """Turn a BODYSTRUCTURE into the form of the results: media type, disposition type and encoding in lower case."""
    if isinstance(tree[0], list):
        count = next(n for n, item in enumerate(tree) if not isinstance(item, list))
        out: dict[str, Any] = {
            "multipart": tree[count].lower(),
            "parts": [gold_structure(part) for part in tree[:count]],
            "params": _pairs(tree[count + 1]),
        }
        disposition = None  # the results have none for multiparts
    else:
        media = f"{tree[0]}/{tree[1]}".lower()
        out = {"type": media, "params": _pairs(tree[2]), "id": tree[3], "desc": tree[4]}
        out |= {"enc": tree[5].lower(), "size": tree[6]}
        rest = tree[7:]
        if media == "message/rfc822":
            out |= {"env": rest[0], "body": gold_structure(rest[1]), "lines": rest[2]}
            rest = rest[3:]
        elif tree[0].lower() == "text":
            out["lines"] = rest[0]
            rest = rest[1:]
        disposition = rest[1]
    if disposition is not None:
        out["disp"] = [disposition[0].lower(), _pairs(disposition[1])]
    return out


def _pairs(flat: list[str] | None) -> list[list[str]] | None:
    if flat is None:
        return None
    return sorted([name.lower(), value] for name, value in zip(flat[::2], flat[1::2], strict=True))
