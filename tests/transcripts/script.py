"""What a transcript says: its parsing, escapes and variables. The syntax is told in `runner`."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One line of a transcript. `kind`: "send", "raw", "line", "pattern", "octets", "directive"."""

    number: int
    connection: str
    kind: str
    text: str
    by_server: bool
    any_order: bool = False
    skipping: bool = False


@dataclass(frozen=True)
class Transcript:
    """A parsed file. `headers`: every value of every key, in order."""

    headers: dict[str, list[str]]
    steps: list[Step]


_STEP = re.compile(r"(?P<side>[CS])(?P<connection>\d*)(?P<marks>(?:\*|\.\.\.)?[/~]?): ?(?P<text>.*)")
_HEADER = re.compile(r"% *(?P<key>[a-z-]+): *(?P<value>.*)")
_DIRECTIVES = {"C": {"<STARTTLS handshake>", "<deflate>", "<close>", "<abort>"}, "S": {"<close>", "<silence>"}}


def parse(text: str) -> Transcript:
    """Read a transcript. Raises ValueError with the line's number."""
    headers: dict[str, list[str]] = {}
    steps: list[Step] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        header = _HEADER.fullmatch(line)
        if header and not steps:
            headers.setdefault(header["key"], []).append(header["value"].strip())
            continue
        match = _STEP.fullmatch(line)
        if not match:
            raise ValueError(f"line {number}: neither header nor step: {line!r}")
        steps.append(_parse_step(number, match))
    return Transcript(headers, steps)


def _parse_step(number: int, match: re.Match[str]) -> Step:
    side, marks, text = match["side"], match["marks"], match["text"]
    connection = match["connection"] or "1"
    by_server = side == "S"
    if not marks and text in _DIRECTIVES[side]:
        return Step(number, connection, "directive", text, by_server)
    if not by_server:
        if marks not in ("", "~"):
            raise ValueError(f"line {number}: C{marks}: is not known")
        return Step(number, connection, "raw" if marks else "send", text, by_server)
    kind = "pattern" if marks.endswith("/") else "octets" if marks.endswith("~") else "line"
    return Step(
        number,
        connection,
        kind,
        text,
        by_server,
        any_order=marks.startswith("*"),
        skipping=marks.startswith("..."),
    )


_ESCAPE = re.compile(r"\\(?:\{(?P<unit>.*?)\*(?P<count>\d+)\}|x(?P<hex>[0-9a-fA-F]{2})|(?P<one>[rnt\\]))")
_ONE = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


def unescape(text: str) -> bytes:
    r"""Resolve the escapes of raw steps. Raises ValueError on a backslash that begins none."""
    octets = b""
    position = 0
    for match in _ESCAPE.finditer(text):
        octets += _plain(text[position : match.start()])
        position = match.end()
        if match["count"]:
            octets += unescape(match["unit"]) * int(match["count"])
        elif match["hex"]:
            octets += bytes.fromhex(match["hex"])
        else:
            octets += _ONE[match["one"]]
    return octets + _plain(text[position:])


def _plain(text: str) -> bytes:
    if "\\" in text:
        raise ValueError(f"unknown escape in {text!r}")
    return text.encode()


# -- Variables

_VARIABLE = re.compile(r"\$(?:(?P<name>[a-z][a-z0-9_]*)|\$)")
_WORD = r"[^\s()\[\]]+"


def substitute(text: str, bound: dict[str, str]) -> str:
    """Put in what variables are bound to. Raises KeyError."""
    return _VARIABLE.sub(lambda match: bound[match["name"]] if match["name"] else "$", text)


def line_pattern(text: str) -> re.Pattern[str]:
    """Make an expression of a line with variables."""
    pattern = ""
    position = 0
    seen: set[str] = set()
    for match in _VARIABLE.finditer(text):
        pattern += re.escape(text[position : match.start()])
        position = match.end()
        name = match["name"]
        if not name:
            pattern += r"\$"
        elif name in seen:
            pattern += f"(?P={name})"
        else:
            seen.add(name)
            pattern += f"(?P<{name}>{_WORD})"
    return re.compile(pattern + re.escape(text[position:]))


def matches(step: Step, line: str, bound: dict[str, str]) -> bool:
    """Whether the server's `line` is what `step` expects; binds its variables if so."""
    pattern = re.compile(step.text) if step.kind == "pattern" else line_pattern(step.text)
    match = pattern.fullmatch(line)
    if not match:
        return False
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    if any(bound.get(name, value) != value for name, value in found.items()):
        return False
    bound.update(found)
    return True
