"""`pennypost junk`."""

import asyncio
import mailbox
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_record, show_records
from pennypost.cli.parameters import score
from pennypost.cli.running import find_account, read, with_store, write
from pennypost.mail.judge import EVIDENCE_FIELD, SCORE_FIELD, Judge, Judgement, JunkSettings, look_at, order_thresholds
from pennypost.mail.learner import lesson_of
from pennypost.mail.reception import SmtpClient
from pennypost.mail.verification import Verdicts
from pennypost.message import headers
from pennypost.message.digest import digest
from pennypost.model.errors import NoSuchMailbox
from pennypost.model.ids import AccountId, MessageId
from pennypost.model.text import printable
from pennypost.store import directory, messages
from pennypost.store import junk as lessons
from pennypost.store.engine import Transaction
from pennypost.store.junk import Thresholds
from pennypost.store.messages import Column
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

STEP = 25
"""Messages that are learnt in one transaction."""


@click.group()
def junk() -> None:
    """Teach what is wanted mail and what is junk, and see why a message is taken for one of them."""


@junk.command("train")
@configured
@click.option("--junk/--wanted", "as_junk", default=None, help="What the messages are. Has to be said.")
@click.option("--account", metavar="NAME", help="For whom they are learnt. [default: for everybody]")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def train(loaded: Loaded, as_junk: bool | None, account: str | None, files: tuple[Path, ...]) -> None:
    """Learn messages: FILES are messages, mboxes, or folders of messages (Maildir, too)."""

    if as_junk is None:
        raise click.UsageError("say what the messages are: --junk or --wanted")
    learn = partial(_learn, as_junk=as_junk)

    async def work(store: Store) -> int:
        owner = lessons.EVERYBODY
        if account is not None:
            owner = (await store.read(lambda tx: find_account(tx, account))).id
        count = 0
        batch: list[lessons.Lesson] = []
        for octets in (message for file in files for message in _messages(file)):
            header, body = headers.split(_without_ours(octets))
            batch.append(lesson_of(header, digest(header, body).index, body))
            if len(batch) == STEP:
                count += await store.write_large(partial(learn, owner=owner, batch=batch))
                batch = []
        return count + await store.write_large(partial(learn, owner=owner, batch=batch))

    count = with_store(loaded, work)
    click.echo(f"{count} messages learnt as {'junk' if as_junk else 'wanted'}")


async def _learn(tx: Transaction, owner: AccountId, batch: list[lessons.Lesson], as_junk: bool) -> int:
    for lesson in batch:
        await lessons.learn(tx, owner, None, lesson, junk=as_junk)
    return len(batch)


@junk.command("status")
@configured
@as_json
def status(loaded: Loaded, as_json: bool) -> None:
    """Show how much was learnt, for everybody and for each account."""

    async def operation(tx: Transaction) -> list[dict[str, object]]:
        rows = await lessons.all_learnt(tx)
        return [{"account": name or "everybody", "wanted": seen.wanted, "junk": seen.junk} for name, seen in rows]

    show_records(read(loaded, operation), as_json=as_json, empty="nothing was learnt yet")


@junk.command("explain")
@configured
@click.argument("message", metavar="FILE|ID")
@click.option("--account", metavar="NAME", help="For whom. [default: for somebody who has taught nothing]")
@as_json
def explain(loaded: Loaded, message: str, account: str | None, as_json: bool) -> None:
    """Say why a message is taken for wanted or for junk, as far as the message itself tells: one in a FILE, or that of
    an account with a number (ID; `pennypost trace` shows it as ACCOUNT/ID) or a Message-ID.

    What was found out about its sender when it came stands in the message: X-Junk-Evidence, Authentication-Results.
    """
    file = Path(message)
    if file.is_file():
        octets = with_crlf(file.read_bytes())
    elif account is not None:
        octets = with_store(loaded, partial(_stored, account=account, name=message))
    else:
        raise click.UsageError(f"no file {message}; a message of an account needs --account")
    found = weigh(loaded, octets, None, None, account)
    if as_json:
        show_record(judgement_record(found), as_json=True)
        return
    show_judgement(found)


async def _stored(store: Store, account: str, name: str) -> bytes:
    """Read a message of an account."""

    async def operation(tx: Transaction) -> bytes:
        owner = (await find_account(tx, account)).id
        found = await _find_message(tx, owner, name)
        if found is None:
            raise NoSuchMailbox(f"{account} has no message {printable(name)}: expected its number, or its Message-ID")
        header, blob = (await messages.fetch(tx, owner, [found], (Column.HEADER, Column.BLOB)))[found]
        return bytes(header) + await store.blobs.read(tx, blob)

    return await store.scan(operation)


async def _find_message(tx: Transaction, owner: AccountId, name: str) -> MessageId | None:
    if name.isascii() and name.isdigit() and len(name) < 19:
        known = await messages.fetch(tx, owner, [MessageId(int(name))], (Column.BLOB,))
        return MessageId(int(name)) if known else None
    return await lessons.find_by_message_id(tx, owner, name.encode("utf-8", "replace"))


def weigh(
    loaded: Loaded, octets: bytes, client: SmtpClient | None, found: Verdicts | None, account: str | None
) -> Judgement:
    """Judge a message for an account, or for somebody who has taught nothing. `found`: of its sender."""
    header, body = headers.split(_without_ours(octets))
    content = look_at(header, digest(header, body).index, body)

    async def work(store: Store) -> Judgement:
        owner = lessons.EVERYBODY
        if account is not None:
            owner = (await store.read(lambda tx: find_account(tx, account))).id
        judge = Judge(store, loaded.config.junk, loaded.config.server.own_hostname)
        return (await judge.judge(content, client, found, [owner]))[owner]

    if account is None and not loaded.config.store_settings.data_dir.exists():
        return asyncio.run(_with_nothing_learnt(work))
    return with_store(loaded, work)


async def _with_nothing_learnt(work: Callable[[Store], Awaitable[Judgement]]) -> Judgement:
    """Work on a store with nothing in it, where there is none yet: a command that only looks makes none."""
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(StoreSettings(data_dir=Path(folder)))
        try:
            return await work(store)
        finally:
            await store.close()


def judgement_record(found: Judgement) -> dict[str, object]:
    """Give a judgement for JSON: score, the threshold that holds for whom it is, and the evidence."""
    evidence = [{"name": e.name, "weight": e.weight, "sentence": e.sentence} for e in found.score.evidence]
    return {"score": found.score.total, "threshold": found.threshold, "evidence": evidence}


def show_judgement(found: Judgement) -> None:
    """Print the evidence for a judgement, and what it adds up to."""
    for one in found.score.evidence:
        click.echo(printable(f"{one.weight:+5.1f}  {one.sentence} ({one.name})"))
    total = found.score.total
    verdict = "junk" if total >= found.threshold else "wanted"
    click.echo(f"{total:+5.1f}  in all, of {found.threshold}: {verdict}")


@junk.command("threshold")
@configured
@click.argument("name", required=False)
@click.option("--junk", "file_from", type=score, help="From which score on a message goes to the mailbox for junk.")
@click.option("--defer", type=score, help="From which score on it is put off; 0: never.")
@click.option("--refuse", type=score, help="From which score on it is refused; 0: never.")
@click.option("--reset", is_flag=True, help="Take back what was set: the domain's thresholds hold, or the server's.")
@as_json
def threshold(
    loaded: Loaded,
    name: str | None,
    file_from: float | None,
    defer: float | None,
    refuse: float | None,
    reset: bool,
    as_json: bool,
) -> None:
    """Set from which scores on mail for NAME, an account or a domain, is junk; without NAME show what is set.

    What is not given stays as it is for the domain, or for the server ([junk] in the configuration).
    """
    if name is None:
        rows = read(loaded, lessons.all_thresholds)
        records = [{"name": owner, **found._asdict()} for owner, found in rows]
        show_records(records, as_json=as_json, empty="none is set: those of [junk] hold for all")
        return
    wanted = Thresholds() if reset else Thresholds(file_from, defer, refuse)
    if not reset and not any(one is not None for one in wanted):
        raise click.UsageError("say what to set: --junk, --defer, --refuse or --reset")
    ours = loaded.config.junk

    async def operation(tx: Transaction) -> None:
        if "@" in name:
            account = await find_account(tx, name)
            _require_order(ours, wanted, await lessons.domain_thresholds(tx, account.domain))
            await lessons.set_thresholds(tx, account.id, wanted, domain=False)
        else:
            domain = (await directory.require_domain(tx, name)).id
            _require_order(ours, wanted, Thresholds())
            await lessons.set_thresholds(tx, domain, wanted, domain=True)

    write(loaded, operation)
    click.echo(f"{name}: {'as for all' if reset else 'set'}")


_OPTIONS = {"threshold": "--junk", "defer_threshold": "--defer", "refuse_threshold": "--refuse"}
"""What sets each threshold."""


def _require_order(ours: JunkSettings, wanted: Thresholds, above: Thresholds) -> None:
    """Refuse thresholds that make no sense together with those that hold where nothing is said: `above`, and `ours`."""
    if wanted == Thresholds():
        return
    server = Thresholds(ours.threshold, ours.defer_threshold, ours.refuse_threshold)
    junk, defer, refuse = (
        next(value for value in each if value is not None) for each in zip(wanted, above, server, strict=True)
    )
    try:
        order_thresholds(junk, defer, refuse)
    except ValueError as problem:
        name, _, expected = str(problem).partition(": ")
        together = f"--junk {junk:g}, --defer {defer:g}, --refuse {refuse:g}"
        raise click.UsageError(f"{_OPTIONS[name]}: {expected}; together they would be {together}") from None


def _without_ours(octets: bytes) -> bytes:
    """Take out what we wrote about a message: it would teach what was thought of it."""
    header, body = headers.split(octets)
    return headers.remove(header, (SCORE_FIELD, EVIDENCE_FIELD)) + body


def with_crlf(octets: bytes) -> bytes:
    """Give line ends as they are over SMTP."""
    return re.sub(rb"\r?\n", b"\r\n", octets)


def _messages(path: Path) -> Iterator[bytes]:
    """Give the messages in a file, an mbox or a folder."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield from _messages(file)
        return
    octets = path.read_bytes()
    if octets.startswith(b"From "):
        with closing(mailbox.mbox(path, create=False)) as box:
            for message in box:
                yield with_crlf(message.as_bytes())
    else:
        yield with_crlf(octets)
