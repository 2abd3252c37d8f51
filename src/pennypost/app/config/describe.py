"""Tell what can be set: `config show`, and docs/configuration.md, out of the annotations and their docstrings.

What a field means stands beneath it as a string, or in its class's docstring as "`field`: what it means."
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pennypost.app.config.load import Loaded
from pennypost.app.config.reader import field_default, hidden_fields, is_required
from pennypost.app.config.settings import Config
from pennypost.app.config.values import render_value
from pennypost.model.secret import Secret
from pennypost.model.units import Octets
from pennypost.net.endpoint import TcpEndpoint, UnixEndpoint


@dataclass(frozen=True, slots=True)
class Setting:
    """One key. `meaning`: one paragraph, empty when it is not documented. `default`, `value`: as TOML."""

    key: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file, with what stands directly in it."""

    name: str
    purpose: str
    settings: tuple[Setting, ...]


def sections(config: Config | None = None) -> Iterator[Section]:
    """Walk a configuration; without one, the defaults."""
    return _walk("", Config, config if config is not None else Config())


def values(config: Config) -> Iterator[tuple[str, str]]:
    """Give every dotted key with its value as TOML. Secrets are not shown."""
    return _values("", Config, config)


def _values(prefix: str, cls: type, instance: Any, hidden: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(cls)
    for f in fields(cls):
        if f.name in hidden:
            continue
        key, value = f"{prefix}{f.name}", getattr(instance, f.name)
        if _is_section(value):
            yield from _values(f"{key}.", type(value), value, hidden_fields(f))
        elif isinstance(value, tuple) and value and _is_section(value[0]):
            for number, item in enumerate(value):
                yield from _values(f"{key}.{number}.", type(item), item)
        else:
            yield key, render_value(value, octets=_has_octets(hints[f.name]))


def _is_section(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type | Secret | TcpEndpoint | UnixEndpoint)


def _has_octets(hint: Any) -> bool:
    return hint is Octets or Octets in get_args(hint)


def _walk(prefix: str, cls: type, instance: Any, hidden: frozenset[str] = frozenset()) -> Iterator[Section]:
    meanings, hints = field_meanings(cls), get_type_hints(cls)
    settings: list[Setting] = []
    inner: list[tuple[str, Any, frozenset[str]]] = []
    items: list[tuple[str, type]] = []
    for f in fields(cls):
        if f.name in hidden:
            continue
        value = getattr(instance, f.name) if instance is not None else field_default(f)
        if _is_section(value):
            inner.append((f"{prefix}.{f.name}" if prefix else f.name, value, hidden_fields(f)))
        else:
            required = instance is None and is_required(f)
            text = "(required)" if required else render_value(value, octets=_has_octets(hints[f.name]))
            settings.append(Setting(f.name, text, meanings.get(f.name, "")))
            if (each := _item(hints[f.name])) is not None:
                items.append((f"{prefix}.{f.name}" if prefix else f.name, each))
    if settings:
        yield Section(prefix, _purpose(cls), tuple(settings))
    for name, item in items:  # a table of its own for each: `[[name]]`
        yield from _walk(f"[{name}]", item, None)
    for name, value, unseen in inner:
        yield from _walk(name, type(value), value, unseen)


def _item(hint: Any) -> type | None:
    """Give the class of settings that a list is of, or None."""
    if get_origin(hint) is not tuple:
        return None
    first = get_args(hint)[0]
    return first if isinstance(first, type) and is_dataclass(first) and first is not TcpEndpoint else None


def _purpose(cls: type) -> str:
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())


def field_meanings(cls: type) -> dict[str, str]:
    """Collect what a settings class, and those it extends, say of its fields."""
    names = {f.name for f in fields(cls)}
    meanings: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if is_dataclass(each):
            meanings |= _in_docstring(inspect.cleandoc(each.__doc__ or ""), names) | _beneath_fields(each)
    return meanings


def _beneath_fields(cls: type) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    meanings: dict[str, str] = {}
    field_name = ""
    for node in body.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                field_name = name
            case ast.Expr(value=ast.Constant(value=str(text))) if field_name:
                meanings[field_name] = " ".join(text.split())
                field_name = ""
            case _:
                field_name = ""
    return meanings


def _in_docstring(text: str, names: set[str]) -> dict[str, str]:
    pieces = re.split(r"`(\w+)`: ", " ".join(text.split()))
    found = zip(pieces[1::2], pieces[2::2], strict=True)
    return {name: f"{meaning[0].upper()}{meaning[1:]}".strip() for name, meaning in found if name in names}


_PAGE_HEAD = """\
# Configuration

One TOML file: `/etc/pennypost/pennypost.toml`, or what `pennypost serve --config FILE` names. Every key is optional.
Units are written out ("25 MiB", "5 min"), relative paths are below the file's folder, secrets may be `{ file = "…" }`
or `{ env = "…" }`, and a list of one may stand without its brackets.

`pennypost config check` tells every problem at once, `pennypost config show` where each value comes from, and
`--set key=value` sets any of them for one run. Accounts, domains and aliases are not here: they are in the store, and
change without a restart.

This page is made from the source (`make docs`), and a test holds it to that.
"""


def configuration_page() -> str:
    """Write docs/configuration.md."""
    lines = [_PAGE_HEAD]
    for section in sections():
        lines += [f"## [{section.name}]", "", section.purpose, "", "| key | default | meaning |", "|---|---|---|"]
        for setting in section.settings:
            meaning = setting.meaning.replace("|", "\\|")
            lines.append(f"| `{setting.key}` | `{setting.value}` | {meaning} |")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def show(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Give (key, value as TOML, origin) of every setting."""
    return [(key, value, loaded.origin(key)) for key, value in values(loaded.config)]
