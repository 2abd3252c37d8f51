"""File and command line become one Config, and every value remembers where it comes from."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pennypost.app.config.origin import key_lines, nearest_line
from pennypost.app.config.reader import INVALID, Reader
from pennypost.app.config.settings import Config, check_together
from pennypost.model.errors import ConfigError, ConfigProblem

DEFAULT_FILE = Path("/etc/pennypost/pennypost.toml")
"""Read when no file is named; it need not exist."""

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and its origins. `file`: None when there was none. `overrides`: as they were given."""

    config: Config
    file: Path | None
    overrides: tuple[str, ...]
    origins: dict[str, str]

    def origin(self, key: str) -> str:
        """Say where the value of a dotted key comes from: "default", "FILE:LINE" or "command line"."""
        while key:
            if key in self.origins:
                return self.origins[key]
            key = key.rpartition(".")[0]
        return "default"


def load_config(file: Path | None = None, overrides: Sequence[str] = ()) -> Loaded:
    """Read the configuration. `file` None: the default file, or no file. `overrides`: "key=value", dotted keys, a TOML
    value or plain text. Raises ConfigError with every problem there is."""
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    problems: list[ConfigProblem] = []
    text = _read(file) if file is not None else ""
    name = str(file) if file is not None else ""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(name, (ConfigProblem("", f"not TOML: {error}"),)) from None
    lines = key_lines(text)
    origins = {key: f"{name}:{line}" for key, line in lines.items() if not _is_table(table, key)}
    for override in overrides:
        key, separator, value = override.partition("=")
        names = [name.strip() for name in key.split(".")]
        complete = bool(separator) and all(names)
        problem = _put(table, names, _toml_value(value)) if complete else 'expected "key=value", as "server.workers=2"'
        if problem:
            problems.append(ConfigProblem(override, problem))
        else:
            origins[key.strip()] = COMMAND_LINE

    reader = Reader((file.parent if file is not None else Path()).absolute(), problems=problems)
    config = reader.section(Config, table, "", Config())
    if config is not INVALID:
        problems.extend(check_together(config))
    if problems:
        raise ConfigError(name, tuple(_at_line(problem, lines) for problem in problems))
    return Loaded(config, file, tuple(overrides), origins)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(str(file), (ConfigProblem("", f"cannot be read: {reason}"),)) from None


def _toml_value(text: str) -> object:
    """Read an override's value: as TOML where it is that, as text where it is not (addresses, sizes, names)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _put(table: dict[str, Any], names: list[str], value: object) -> str:
    """Set a nested key. Gives a problem, or ""."""
    for name in names[:-1]:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            return f"{name} is not a table"
        table = inner
    table[names[-1]] = value
    return ""


def _is_table(table: dict[str, Any], key: str) -> bool:
    """Whether a key names a table: its keys have origins of their own, and those not written are defaults."""
    node: Any = table
    for name in key.split("."):
        if isinstance(node, list):
            return True
        node = node.get(name) if isinstance(node, dict) else None
    return isinstance(node, dict) and not _is_inline(key, node)


def _is_inline(key: str, node: dict[str, Any]) -> bool:
    """A secret's `{ file = … }` is a value that looks like a table."""
    return set(node) <= {"file", "env"} and len(node) == 1


def _at_line(problem: ConfigProblem, lines: dict[str, int]) -> ConfigProblem:
    line = nearest_line(lines, problem.key)
    return ConfigProblem(problem.key, f"{problem.problem} (line {line})") if line is not None else problem
