"""`pennypost ban`."""

from datetime import timedelta

import click

from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.cli.parameters import duration, shown
from pennypost.cli.running import read, write
from pennypost.model.errors import BadAddress
from pennypost.store import bans
from pennypost.store.engine import Transaction


@click.group()
def ban() -> None:
    """Keep networks and sender domains out, or let them in. Running servers heed it within seconds."""


def _subject(text: str) -> str:
    try:
        return bans.canonical_subject(text)
    except BadAddress:
        fail(
            'expected an address, a network, as "192.0.2.0/24", or the domain of senders, as "example.net", '
            f"not {shown(text)}"
        )


def _put(loaded: Loaded, text: str, lasting: timedelta | None, reason: str, *, allowed: bool) -> str:
    subject = _subject(text)

    async def put(tx: Transaction) -> None:
        until = None if lasting is None else tx.now + lasting
        await bans.put(tx, subject, reason, until, allowed=allowed)

    write(loaded, put)
    return subject


_lasting = click.option("--for", "lasting", type=duration, help='How long, as "2 h". [default: for good]')
_reason = click.option("--reason", default="by hand", help="What the list says of it.")


@ban.command("list")
@configured
@as_json
def list_(loaded: Loaded, as_json: bool) -> None:
    """List what is banned or allowed."""
    records = [
        {
            "subject": entry.subject,
            "verdict": "allow" if entry.allowed else "ban",
            "until": entry.until.isoformat(timespec="seconds") if entry.until is not None else None,
            "reason": entry.reason,
            "since": entry.made_at.isoformat(timespec="seconds"),
        }
        for entry in read(loaded, bans.listed)
    ]
    show_records(records, as_json=as_json, empty="nobody is banned")


@ban.command("add")
@configured
@click.argument("subject")
@_lasting
@_reason
def add(loaded: Loaded, subject: str, lasting: timedelta | None, reason: str) -> None:
    """Keep SUBJECT out: an address, a network as 192.0.2.0/24, or the domain of senders."""
    click.echo(f"{_put(loaded, subject, lasting, reason, allowed=False)} banned")


@ban.command("allow")
@configured
@click.argument("subject")
@_lasting
@_reason
def allow(loaded: Loaded, subject: str, lasting: timedelta | None, reason: str) -> None:
    """Never limit or ban SUBJECT, whatever it does."""
    click.echo(f"{_put(loaded, subject, lasting, reason, allowed=True)} allowed")


@ban.command("remove")
@configured
@click.argument("subject")
def remove(loaded: Loaded, subject: str) -> None:
    """Take SUBJECT off the list, whether it was banned or allowed."""
    name = _subject(subject)
    if not write(loaded, lambda tx: bans.remove(tx, name)):
        fail(f"{name} is not on the list: pennypost ban list shows it")
    click.echo(f"{name} removed")
