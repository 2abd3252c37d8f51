"""In which line of a TOML file a key is: tomllib gives values only, and people want to know where one comes from.

The text has been parsed by tomllib before, so this needs to be right for correct TOML only. Keys inside inline tables
and arrays are not looked for: their origin is the line of the key that holds them.
"""

import re
import tomllib

_TABLE = re.compile(r"\s*\[(?P<many>\[)?\s*(?P<name>.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""\s*(?P<key>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


def _dotted(key: str) -> list[str]:
    """Split a TOML key into its names."""
    table = tomllib.loads(f"{key} = 0")
    names: list[str] = []
    node: object = table
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        names.append(name)
    return names


def _is_complete(text: str) -> bool:
    """Whether `key = value` lines, gathered so far, end here: they do when tomllib is content with them."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def key_lines(text: str) -> dict[str, int]:
    """Map dotted keys to 1-based line numbers. Tables in arrays are numbered: `tls.certificates.0.file`."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    prefix: list[str] = []
    pending = ""
    for number, line in enumerate(text.splitlines(), 1):
        if pending:
            pending += "\n" + line
            if _is_complete(pending):
                pending = ""
            continue
        if table := _TABLE.match(line):
            prefix = _dotted(table["name"])
            name = ".".join(prefix)
            if table["many"]:
                index = counts[name] = counts.get(name, -1) + 1
                prefix.append(str(index))
            lines.setdefault(".".join(prefix), number)
        elif key := _KEY.match(line):
            lines[".".join(prefix + _dotted(key["key"]))] = number
            if not _is_complete(line):
                pending = line
    return lines


def nearest_line(lines: dict[str, int], key: str) -> int | None:
    """Give the line of `key`, or of the closest key that holds it."""
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return None
