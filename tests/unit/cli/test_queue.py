"""`pennypost queue`, `suppression` and `trace`, on a store of their own."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.shell import Shell

from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.ids import AccountId, ModSeq
from pennypost.store import blobs, directory, dispatch, mailboxes, queue, suppression, timeline
from pennypost.store.changes import ChangeKind, record
from pennypost.store.dispatch import Deferral, Pace
from pennypost.store.engine import Transaction
from pennypost.store.queue import Enqueued, QueuedMessage
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store
from pennypost.store.timeline import EventKind, trace_number

HEADER = b"From: Anna <anna@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@x>\r\n\r\n"
TRACE = "00000000000000aa"
ANNA = Address("anna", "example.org")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A queue with a message to three recipients, one of whom was tried, and a report to one."""
    shell = Shell(tmp_path / "data")

    async def fill(tx: Transaction) -> None:
        await directory.add_domain(tx, "example.org")
        await directory.add_account(tx, "anna@example.org")
        made = await put(tx, ANNA, "x@a.example", "y@b.example", "z@B.example")
        came = {
            "peer": "192.0.2.9",
            "hello": "laptop",
            "user": "anna@example.org",
            "from": "anna@example.org",
            "to": ["x@a.example", "y@b.example", "z@B.example"],
            "size": len(HEADER) + 6,
            "message-id": "1@x",
            "tls": "TLSv1.3 X",
            "stored": [f"q{made.queued}", "1/77"],
            "verdicts": {"dkim": "none"},
        }
        await timeline.record(tx, trace_number(TRACE), EventKind.SUBMITTED, came)
        await put(tx, None, "gone@b.example")
        await dispatch.stay(tx, "test", timedelta(minutes=1))
        await dispatch.take_due(tx, "test", 1, 1)
        first = made.deliveries[0][0]
        later = tx.now + timedelta(hours=1)
        await dispatch.defer(tx, "test", Deferral(first, later, "mx: 450 4.2.1 grey", "a.example", warned=False))
        await dispatch.set_pace(tx, "test", "a.example", Pace(1, 2, timedelta(0), later, "421 4.7.0 slow"))
        await dispatch.leave(tx, "test")
        tried = {
            "queue": f"q{made.queued}",
            "hop": "a.example",
            "tls": "TLSv1.3 X dane",
            "next": "later",
            "results": [["x@a.example", "deferred", "4.2.1", "450 4.2.1 grey", "mx [192.0.2.1]"]],
        }
        await timeline.record(tx, trace_number(TRACE), EventKind.ATTEMPTED, tried)

    with_store(shell, fill)
    return shell


async def put(tx: Transaction, sender: Address | None, *recipients: str) -> Enqueued:
    body = b"Body\r\n"
    blob = await blobs.put(tx, blobs.BlobDraft(hashlib.sha256(body).digest(), len(body), 0, body, None))
    envelope = Envelope(sender, tuple(Recipient(Address(*one.split("@"))) for one in recipients))
    trace = trace_number(TRACE) if sender is not None else 0
    return await queue.enqueue(tx, QueuedMessage(None, blob, HEADER, len(body), envelope, tx.now, trace))


def with_store(shell: Shell, operation: Callable[[Transaction], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        store = await Store.open(StoreSettings(shell.folder))
        try:
            return await store.write(operation)
        finally:
            await store.close()

    return asyncio.run(run())


def recipients(shell: Shell, *options: str) -> list[str]:
    return [record["recipient"] for record in shell.records("queue", "list", *options)]


@pytest.mark.parametrize("command", [("queue", "list"), ("trace", "1@x")])
@pytest.mark.parametrize("limit", ["0", "-1", "99999999999999999999"])
def test_limits_that_are_none(shell: Shell, command: tuple[str, ...], limit: str) -> None:
    status, _, errors = shell.run(*command, "--limit", limit)
    assert status == 2
    assert "--limit" in errors


def test_listing(shell: Shell) -> None:
    everybody = ["x@a.example", "y@b.example", "z@B.example", "gone@b.example"]
    assert recipients(shell) == everybody
    assert recipients(shell, "--domain", "b.example") == everybody[1:]
    assert recipients(shell, "--sender", "anna@example.org") == everybody[:3]
    assert recipients(shell, "--sender", "") == everybody[3:]
    assert recipients(shell, "--recipient", "Z@b.example") == ["z@B.example"]
    assert recipients(shell, "--state", "deferred") == ["x@a.example"]
    assert recipients(shell, "--destination", "a.example") == ["x@a.example"]
    first = shell.records("queue", "list")[0]
    assert (first["attempts"], first["reply"], first["sender"]) == (1, "mx: 450 4.2.1 grey", "<anna@example.org>")
    assert recipients(shell, first["id"]) == everybody[:3]
    assert recipients(shell, first["id"].removeprefix("q"), "--limit", "2") == everybody[:2]
    assert shell("queue", "list", "--domain", "c.example") == "nothing that is queued fits\n"
    assert shell.run("queue", "list", "seventeen")[0] == 2


def test_showing(shell: Shell) -> None:
    number = shell.records("queue", "list")[0]["id"]
    shown = json.loads(shell("queue", "show", number, "--json"))
    assert (shown["subject"], shown["message_id"], shown["trace"]) == ("Grüße", "<1@x>", TRACE)
    assert [one["recipient"] for one in shown["recipients"]] == ["x@a.example", "y@b.example", "z@B.example"]
    assert "Grüße" in shell("queue", "show", number)
    assert shell.run("queue", "show", "4711") == (
        1, "", "pennypost: no message q4711 is queued: pennypost trace q4711 tells what became of it\n",
    )  # fmt: skip


def test_counting(shell: Shell) -> None:
    by_hop = shell.records("queue", "count")
    assert [(c["destination"], c["deliveries"], c["ready"], c["deferred"]) for c in by_hop] == [
        ("b.example", 3, 3, 0),
        ("a.example", 1, 0, 1),
    ]
    assert (by_hop[1]["slowed_by"], by_hop[1]["connections"]) == ("421 4.7.0 slow", 2)
    by_reason = shell.records("queue", "count", "--by", "reason")
    assert [(c["reason"], c["deliveries"]) for c in by_reason] == [(None, 3), ("mx: 450 4.2.1 grey", 1)]


def test_acting(shell: Shell) -> None:
    assert shell("queue", "hold", "--domain", "b.example") == "3 recipients held\n"
    assert recipients(shell, "--state", "held") == ["y@b.example", "z@B.example", "gone@b.example"]
    assert shell("queue", "release", "--recipient", "y@b.example") == "1 recipient released\n"
    assert shell("queue", "retry", "--destination", "a.example") == "1 recipient to be sent now\n"
    assert recipients(shell, "--state", "ready") == ["x@a.example", "y@b.example"]
    assert shell("queue", "remove", "--yes", "--sender", "") == "1 recipient removed\n"
    assert recipients(shell) == ["x@a.example", "y@b.example", "z@B.example"]
    assert shell.run("queue", "remove", "--yes", "--sender", "") == (
        1, "0 recipients removed\n", "pennypost: nothing that is queued fits\n",
    )  # fmt: skip
    assert shell.run("queue", "hold")[0] == 2
    assert shell("queue", "hold", "--all") == "2 recipients held\n"
    assert shell("store", "check") == "the store is consistent\n"


SELECTORS = {
    "ID": 3,
    "--sender anna@example.org": 3,
    "--recipient y@b.example": 1,
    "--domain b.example": 3,
    "--destination a.example": 1,
    "--account anna@example.org": 3,
    "--state deferred": 1,
    "--all": 4,
}
DONE = {
    "hold": "held",
    "release": "released",
    "retry": "to be sent now",
    "remove --yes": "removed",
    "bounce": "returned",
}


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("command", DONE)
def test_each_command_by_each_selector(shell: Shell, command: str, selector: str) -> None:
    with_store(shell, lambda tx: tx.execute("UPDATE queued SET account = 1 WHERE reverse_path IS NOT NULL"))
    number = shell.records("queue", "list")[0]["id"]
    count, chosen = SELECTORS[selector], selector.replace("ID", number).split()
    if command == "release":
        shell("queue", "hold", "--all")
        chosen = [*chosen[:1], "held"] if "--state" in chosen else chosen
        count = 4 if "--state" in chosen else count
    elif chosen != ["--all"]:
        assert len(shell.records("queue", "list", *chosen)) == count
    said = shell("queue", *command.split(), *chosen)
    assert said == f"{count} {'recipient' if count == 1 else 'recipients'} {DONE[command]}\n"
    left = shell.records("queue", "list")
    match command:
        case "hold":
            assert sum(one["state"] == "held" for one in left) == count
        case "release":
            assert sum(one["state"] == "held" for one in left) == 4 - count
        case "retry":
            others = ("--recipient y@b.example", "--domain b.example")  # what was put off is not among them
            assert all(one["state"] == "ready" for one in left) is (selector not in others)
        case _:
            assert len(left) == 4 - count
    assert shell("store", "check") == "the store is consistent\n"


def test_bouncing(shell: Shell) -> None:
    assert shell("queue", "bounce", "--domain", "b.example", "--reason", "no mail today") == "3 recipients returned\n"
    assert recipients(shell) == ["x@a.example"]
    boxes = {box["name"]: box["messages"] for box in shell.records("mailbox", "list", "anna@example.org")}
    assert boxes["INBOX"] == 1
    assert shell("store", "check") == "the store is consistent\n"
    told = shell("trace", "1@x")
    assert "y@b.example failed via b.example: 5.7.0 no mail today" in told
    assert "a report (failed) on y@b.example, z@B.example was sent to anna@example.org" in told


def test_suppression(shell: Shell) -> None:
    with_store(shell, lambda tx: suppression.suppress(tx, Address("X", "a.example"), "550 5.1.1 no"))
    (record,) = shell.records("suppression", "list")
    assert (record["address"], record["reply"]) == ("x@a.example", "550 5.1.1 no")
    assert shell("suppression", "list", "--domain", "b.example") == "no suppressed recipients\n"
    shell("suppression", "remove", "x@a.example")
    assert shell.run("suppression", "remove", "x@a.example")[0] == 1


def test_a_stranger_gives_no_orders_to_the_terminal(shell: Shell) -> None:
    said = "1\x1b]0;hello\x07\n  now: x@a.example was sent"
    came = {"peer": "192.0.2.9", "hello": said, "from": "", "to": ["x@a.example"], "size": 1, "message-id": said,
            "stored": []}  # fmt: skip
    with_store(shell, lambda tx: timeline.record(tx, trace_number(TRACE), EventKind.RECEIVED, came))
    with_store(shell, lambda tx: suppression.suppress(tx, Address("X", "a.example"), "550 \x1b[2J"))
    told = shell("trace", TRACE)
    assert "1?]0;hello??  now: x@a.example was sent" in told
    assert "\x1b" not in told + shell("suppression", "list")


def test_a_story_is_told_to_its_end(shell: Shell) -> None:
    number = shell.records("queue", "list")[0]["id"]
    shell("queue", "hold", "--recipient", "y@b.example")

    async def move(tx: Transaction) -> None:
        box = await mailboxes.require(tx, AccountId(1), "INBOX")
        await record(tx, AccountId(1), ModSeq(78), box.id, ChangeKind.EXPUNGED, (1,), (77,))
        box = await mailboxes.require(tx, AccountId(1), "Archive")
        await record(tx, AccountId(1), ModSeq(78), box.id, ChangeKind.APPENDED, (1,), (77,))

    with_store(shell, move)
    told = shell("trace", "<1@x>")
    lines = [line[26:] if line.startswith("  2") else line for line in told.splitlines()]
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    assert told.splitlines()[1].startswith(f"  {today} ")
    assert [line.strip().partition("+00:00  ")[2] or line for line in told.splitlines()][:10] == [
        f"message {TRACE}",
        "submitted from anna@example.org [192.0.2.9], TLSv1.3 X",
        f"from <anna@example.org> to x@a.example, y@b.example, z@B.example, {len(HEADER) + 6} octets, Message-ID <1@x>",
        "dkim: none",
        f"put into the queue as {number}",
        "filed for account 1 as message 77",
        "x@a.example deferred by mx [192.0.2.1] (TLSv1.3 X dane): 4.2.1 450 4.2.1 grey",
        "the next attempt is due at later",
        f"{number} to y@b.example was held by the administrator",
        "message 1/77: moved from INBOX to Archive",
    ]
    assert lines[-1].strip() == f"now: {number} to z@B.example is ready to be sent (0 attempts so far)"
    for what in (number, number[1:], TRACE, "ANNA@example.org", "z@b.example"):
        assert shell("trace", what) == told
    assert [record["event"] for record in shell.records("trace", TRACE)] == [
        "submitted", "attempted", "administered", "changed",
    ]  # fmt: skip
    assert shell.run("trace", "nobody@example.org") == (1, "", "pennypost: nothing is known of nobody@example.org\n")
