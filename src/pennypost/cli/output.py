"""Tables for people, JSON for programs."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import click
import msgspec

from pennypost.model.text import printable

Record = Mapping[str, Any]


class JsonArray:
    """Writes a JSON array of objects one by one, as `show_records` writes it whole: for what may be too much to hold.

    Use it in `with`. What ends it by an exception leaves the array open, so that nobody takes a part for the whole.
    """

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def add(self, record: Record) -> None:
        """Write one object, at once."""
        text = msgspec.json.format(msgspec.json.encode(dict(record), enc_hook=str), indent=2).decode()
        click.echo((",\n  " if self.count else "[\n  ") + text.replace("\n", "\n  "), nl=False)
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            click.echo("\n]" if self.count else "[]")


def show_records(records: Sequence[Record], *, as_json: bool, empty: str = "none") -> None:
    """Write records, all with the same keys: as a table, or as a JSON array of objects."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(list(records), enc_hook=str), indent=2).decode())
    elif not records:
        click.echo(empty)
    else:
        rows = [[name.replace("_", " ") for name in records[0]], *([_cell(v) for v in r.values()] for r in records)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_record(record: Record, *, as_json: bool) -> None:
    """Write one record: a line for each key, or a JSON object."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(dict(record), enc_hook=str), indent=2).decode())
        return
    width = max(map(len, record), default=0)
    for name, value in record.items():
        click.echo(f"{name.replace('_', ' ').ljust(width)}  {_cell(value)}")


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return printable(", ".join(map(str, value))) or "-"
        case _:
            return printable(str(value))
