"""`pennypost junk`."""

import mailbox
import re
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_record, show_records
from pennypost.cli.running import find_account, read, with_store
from pennypost.junk.evidence import Score
from pennypost.junk.tokens import tokens
from pennypost.mail.judge import EVIDENCE_FIELD, SCORE_FIELD, Judge, look_at, of_words
from pennypost.mail.learner import lesson_of
from pennypost.message import headers
from pennypost.message.digest import digest
from pennypost.model.account import Account
from pennypost.model.ids import AccountId
from pennypost.store import junk as lessons
from pennypost.store.engine import Transaction
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
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--account", metavar="NAME", help="For whom. [default: for somebody who has taught nothing]")
@as_json
def explain(loaded: Loaded, file: Path, account: str | None, as_json: bool) -> None:
    """Say why the message in FILE is taken for wanted or for junk, as far as the message itself tells.

    What was found out about its sender when it came stands in the message: X-Junk-Evidence, Authentication-Results.
    """
    header, body = headers.split(_without_ours(_with_crlf(file.read_bytes())))
    content = look_at(header, digest(header, body).index, body)

    async def work(store: Store) -> Score:
        owner: Account | None = None
        if account is not None:
            owner = await store.read(lambda tx: find_account(tx, account))
        if owner is None:
            words = await store.read(lambda tx: of_words(tx, lessons.EVERYBODY, tokens(content)))
            return Score.of(*Judge(store, loaded.config.junk).common(content, None), words)
        judged = await Judge(store, loaded.config.junk).judge(content, None, None, [owner.id])
        return judged[owner.id].score

    score = with_store(loaded, work)
    if as_json:
        records = [{"name": e.name, "weight": e.weight, "sentence": e.sentence} for e in score.evidence]
        show_record({"score": score.total, "evidence": records}, as_json=True)
        return
    for one in score.evidence:
        click.echo(f"{one.weight:+5.1f}  {one.sentence} ({one.name})")
    threshold = loaded.config.junk.threshold
    verdict = "junk" if score.total >= threshold else "wanted"
    click.echo(f"{score.total:+5.1f}  in all, of {threshold}: {verdict}")


def _without_ours(octets: bytes) -> bytes:
    """Take out what we wrote about a message: it would teach what was thought of it."""
    header, body = headers.split(octets)
    return headers.remove(header, (SCORE_FIELD, EVIDENCE_FIELD)) + body


def _with_crlf(octets: bytes) -> bytes:
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
                yield _with_crlf(message.as_bytes())
    else:
        yield _with_crlf(octets)
