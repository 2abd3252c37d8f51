"""Tables become settings dataclasses, by their annotations.

Theory of operation. A settings class is a frozen dataclass that some package owns and that knows nothing of files. Its
fields say what may be written: the annotation picks the parser, the default stands where nothing is written, and its
`__post_init__` may raise ValueError where values do not fit together. The reader walks the table and the class side
by side. It never stops at a problem: it notes the key and what was expected, and goes on, so that all are told at once.
"""

import difflib
import operator
import os
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from datetime import timedelta
from enum import Enum
from functools import reduce
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from math import isfinite
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pennypost.app.config.values import parse_duration, parse_ip, parse_network, parse_octets, render_value
from pennypost.model.errors import ConfigProblem
from pennypost.model.secret import Secret
from pennypost.model.units import Octets
from pennypost.net.endpoint import Endpoint, TcpEndpoint, parse_endpoint, parse_tcp_endpoint

INVALID = object()
"""What a value is when it was refused: the problem has been noted."""

_PARSERS: dict[Any, Callable[[str], Any]] = {
    Octets: parse_octets,
    timedelta: parse_duration,
    TcpEndpoint: parse_tcp_endpoint,
    IPv4Address | IPv6Address: parse_ip,
    IPv4Network | IPv6Network: parse_network,
}

MAX_SECRET_FILE_OCTETS = 64 * 1024


@dataclass(slots=True)
class Reader:
    """Reads one configuration. `base`: what relative paths are below. `problems` fills as it reads."""

    base: Path
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    problems: list[ConfigProblem] = field(default_factory=list)

    def refuse(self, key: str, problem: str) -> object:
        """Note a problem and give INVALID."""
        self.problems.append(ConfigProblem(key, problem))
        return INVALID

    def section(
        self, cls: type, table: object, key: str, default: Any = None, hidden: frozenset[str] = frozenset()
    ) -> Any:
        """Read `table` into `cls`. `default`: an instance that stands for what is not written, or None.

        `hidden`: fields that cannot be written here, because something else sets them.
        """
        if not isinstance(table, dict):
            return self.refuse(key, f"expected a table, not {_written(table)}")
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls) if f.init and f.name not in hidden}
        values: dict[str, Any] = {}
        for name, value in table.items():
            path = f"{key}.{name}" if key else name
            if name not in known:
                self.refuse(path, f"unknown key{_nearest(name, known) or _all(known)}")
                continue
            inner = getattr(default, name) if default is not None else field_default(known[name])
            if own := hidden_fields(known[name]):
                values[name] = self.section(hints[name], value, path, inner, own)
            else:
                values[name] = self.value(hints[name], value, path, inner)
        missing = [name for name, f in known.items() if name not in values and default is None and is_required(f)]
        for name in missing:
            self.refuse(f"{key}.{name}" if key else name, "is required")
        good = {name: value for name, value in values.items() if value is not INVALID}
        if missing or (default is None and len(good) < len(values)):
            return INVALID
        try:
            return replace(default, **good) if default is not None else cls(**good)
        except ValueError as error:
            written = {name: good[name] for name in good if name in table}
            return self._refuse_fields(key, str(error), hints, written)

    def _refuse_fields(self, key: str, problems: str, hints: dict[str, Any], written: dict[str, Any]) -> object:
        """Note what a settings class says of its fields, a line for each: "NAME: expected …"; else it is about all."""
        for line in problems.splitlines():
            name, colon, problem = line.partition(": ")
            if not colon or name not in hints:
                self.refuse(key, line)
                continue
            shown = _given(written[name], hints[name]) if name in written else ""
            self.refuse(f"{key}.{name}" if key else name, f"{problem}, not {shown}" if shown else problem)
        return INVALID

    def value(self, hint: Any, value: object, key: str, default: Any = None) -> Any:
        """Read one value by its annotation. Gives INVALID after noting a problem."""
        origin = get_origin(hint)
        if hint in _PARSERS:
            return self._parsed(_PARSERS[hint], value, key)
        if hint == Endpoint:
            return self._parsed(lambda text: parse_endpoint(text, self.base), value, key)
        if origin in (Union, types.UnionType):
            return self._one_of(get_args(hint), value, key, default)
        if origin is Literal:
            return self._choice({str(choice): choice for choice in get_args(hint)}, value, key)
        if origin in (tuple, list, frozenset, set):
            return self._many(hint, value, key)
        if origin in (dict, Mapping):
            return self._mapping(get_args(hint)[1], value, key)
        if is_dataclass(hint) and hint is not Secret and isinstance(hint, type):
            return self.section(hint, value, key, default)
        return self._scalar(hint, value, key)

    def _scalar(self, hint: Any, value: object, key: str) -> Any:
        if hint is Secret:
            return self._secret(value, key)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return self._choice({str(member.value): member for member in hint}, value, key)
        if hint is Path:
            return self._path(value, key)
        if hint is bool:
            return value if isinstance(value, bool) else self._mismatch(key, "true or false", value)
        if hint is int:
            fits = isinstance(value, int) and not isinstance(value, bool)
            return value if fits else self._mismatch(key, "a whole number", value)
        if hint is float:
            fits = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            return float(value) if fits else self._mismatch(key, "a number", value)  # type: ignore[arg-type]
        if hint is str:
            return value if isinstance(value, str) else self._mismatch(key, "a text in quotes", value)
        raise TypeError(f"{key}: no way to read a {hint}")

    def _mismatch(self, key: str, expected: str, value: object) -> object:
        return self.refuse(key, f"expected {expected}, not {_written(value)}")

    def _parsed(self, parse: Callable[[str], Any], value: object, key: str) -> Any:
        text = value if isinstance(value, str) else "" if isinstance(value, dict | list) else str(value)
        try:
            return parse(text)
        except ValueError as error:
            return self.refuse(key, f"{error}, not {_written(value)}")

    def _path(self, value: object, key: str) -> Any:
        if not isinstance(value, str) or not value or "\0" in value:
            return self._mismatch(key, 'a path in quotes, as "/var/lib/pennypost"', value)
        try:
            return self.base / Path(value).expanduser()
        except RuntimeError:  # nobody is called so
            return self.refuse(key, f"there is no home folder for {value!r}")

    def _choice(self, choices: dict[str, Any], value: object, key: str) -> Any:
        if isinstance(value, str) and value in choices:
            return choices[value]
        expected = _or([f'"{choice}"' for choice in choices])
        return self.refuse(key, f"expected {expected}, not {_written(value)}{_nearest(str(value), choices)}")

    def _one_of(self, hints: tuple[Any, ...], value: object, key: str, default: Any) -> Any:
        """Read by the first annotation that takes the value; None is written "none"."""
        if type(None) in hints:
            if value == "none":
                return None
            hints = tuple(hint for hint in hints if hint is not type(None))
            union = reduce(operator.or_, hints)
            if len(hints) == 1 or union in _PARSERS or union == Endpoint:
                return self.value(union, value, key, default)
        noted = len(self.problems)
        for hint in hints:
            before = len(self.problems)
            result = self.value(hint, value, key, default if is_dataclass(hint) else None)
            if len(self.problems) == before:
                del self.problems[noted:]
                return result
        given = f", not {_written(value)}"
        told = (p.problem.removeprefix("expected ").removesuffix(given) for p in self.problems[noted:])
        expected = " or ".join(dict.fromkeys(told))
        del self.problems[noted:]
        return self.refuse(key, f"expected {expected}{given}")

    def _many(self, hint: Any, value: object, key: str) -> Any:
        """Read a list. One value may stand without brackets; "off" is the empty list."""
        origin, inner = get_origin(hint), get_args(hint)[0]
        if value == "off":
            items: list[Any] = []
        else:
            items = value if isinstance(value, list) else [value]
        tables = isinstance(value, list) and any(isinstance(item, dict) for item in items)
        numbered = tables or len(items) > 1
        results = [self.value(inner, item, f"{key}.{n}" if numbered else key) for n, item in enumerate(items)]
        return INVALID if INVALID in results else origin(results)

    def _mapping(self, hint: Any, value: object, key: str) -> Any:
        if not isinstance(value, dict):
            return self._mismatch(key, "a table", value)
        results = {name: self.value(hint, item, f"{key}.{name}") for name, item in value.items()}
        return INVALID if INVALID in results.values() else results

    def _secret(self, value: object, key: str) -> Any:
        """Read a secret: written out, `{ file = … }` (its last line ending is dropped) or `{ env = … }`."""
        match value:
            case str():
                return Secret(value)
            case {"file": str(name), **rest} if not rest:
                try:
                    with (self.base / name).open("rb") as file:
                        return Secret(file.read(MAX_SECRET_FILE_OCTETS).decode().removesuffix("\n").removesuffix("\r"))
                except (OSError, UnicodeDecodeError) as error:
                    return self.refuse(key, f"cannot read the secret: {error}")
            case {"env": str(name), **rest} if not rest:
                if name not in self.environment:
                    return self.refuse(key, f"the environment has no {name}")
                return Secret(self.environment[name])
            case _:
                return self.refuse(key, 'expected a text, { file = "…" } or { env = "…" }')


def derived(*names: str) -> dict[str, frozenset[str]]:
    """Metadata for a field that is a section: these fields of it are set from elsewhere, not written in the file."""
    return {"hidden": frozenset(names)}


def hidden_fields(f: Field[Any]) -> frozenset[str]:
    """Give what `derived` named."""
    hidden: frozenset[str] = f.metadata.get("hidden", frozenset())
    return hidden


def is_required(f: Field[Any]) -> bool:
    """Whether a field has no default."""
    return f.default is MISSING and f.default_factory is MISSING


def field_default(f: Field[Any]) -> Any:
    """Give a field's default, or None when it has none."""
    if f.default is not MISSING:
        return f.default
    return f.default_factory() if f.default_factory is not MISSING else None


MAX_SHOWN = 60
"""Characters of a value that are shown: long ones are no slips."""

MAX_LISTED = 12
"""Keys of a table that are listed when one is not known."""


def _written(value: object) -> str:
    """Show what was written, as TOML: enough to be found again."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case str() if len(value) > MAX_SHOWN:
            return render_value(value[:MAX_SHOWN] + "…")
        case _:
            return render_value(value)


def _given(value: object, hint: Any) -> str:
    """Show a value that was read, as it may have been written; "" for what is not shown: secrets, tables, lists."""
    if isinstance(value, Secret | dict | tuple):
        return ""
    shown = render_value(value, octets=hint is Octets or Octets in get_args(hint))
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "…"


def _all(known: Iterable[str]) -> str:
    names = list(known)
    return f"; expected {_or(names)}" if len(names) <= MAX_LISTED else "; pennypost config show lists what is known"


def _or(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f'; did you mean "{near[0]}"?' if near else ""
