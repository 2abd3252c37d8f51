"""kill -9 under load, again and again: what was acknowledged is there exactly once, and nothing is half done.

PENNYPOST_KILL_ROUNDS says how often; two processes write at a time and are killed at the same random moment.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pennypost
from pennypost.model.ids import AccountId
from pennypost.store import directory
from pennypost.store.check import check
from pennypost.store.store import Store

from .load import NAMES, settings

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("PENNYPOST_KILL_ROUNDS", "15"))
PROCESSES = 2
ARCHIVE = "Archive"

Found = dict[str, list[tuple[str, int]]]
"""By message: in which mailboxes it lies, and under which UIDs."""


class Told:
    """What the processes said before they died, over all rounds."""

    def __init__(self) -> None:
        self.appended: dict[str, tuple[int, int]] = {}
        self.moved: dict[str, int] = {}
        self.expunging: set[str] = set()
        self.expunged: set[str] = set()

    def add(self, line: str) -> None:
        match line.split():
            case ["a", identifier, first, second]:
                assert identifier not in self.appended
                self.appended[identifier] = int(first), int(second)
            case ["m", identifier, uid]:
                self.moved[identifier] = int(uid)
            case ["e", identifier]:
                self.expunging.add(identifier)
            case ["x", identifier]:
                self.expunged.add(identifier)
            case other:
                raise AssertionError(other)


def start(data_dir: Path, name: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.load", str(data_dir), name],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(Path(pennypost.__file__).parents[1])},
    )


def load_and_kill(data_dir: Path, round_: int, chance: random.Random, told: Told) -> None:
    """Let processes write, kill them after a random time, and collect what they said."""
    processes = [start(data_dir, f"r{round_}p{n}") for n in range(PROCESSES)]
    lines: list[bytes] = []
    working = threading.Event()

    def listen(process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            working.set()

    threads = [threading.Thread(target=listen, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    assert working.wait(30)
    time.sleep(chance.uniform(0.0, 0.4))
    for process in processes:
        process.kill()
    for process, thread in zip(processes, threads, strict=True):
        process.wait()
        thread.join()
        assert process.stdout is not None
        process.stdout.close()
    for line in lines:
        told.add(line.decode())


async def everything(store: Store, account: AccountId) -> tuple[Found, dict[str, int]]:
    """Give where each message of an account lies, and the UIDNEXT of its mailboxes."""
    rows = await store.scan(
        lambda tx: tx.fetch_all(
            "SELECT b.name, e.uid, m.header FROM entry e JOIN message m ON m.account = e.account AND m.id = e.message"
            " JOIN mailbox b ON b.account = e.account AND b.id = e.mailbox WHERE e.account = ?",
            account,
        )
    )
    found: Found = {}
    for mailbox, uid, header in rows:
        identifier = header.split(b"\r\n")[0].removeprefix(b"Message-ID: <").removesuffix(b"@example.com>").decode()
        found.setdefault(identifier, []).append((mailbox, uid))
    boxes = await store.scan(lambda tx: tx.fetch_all("SELECT name, uid_next FROM mailbox WHERE account = ?", account))
    return found, dict(boxes)


def verify(told: Told, one: Found, two: Found) -> None:
    doubles = [identifier for found in (one, two) for identifier, places in found.items() if len(places) != 1]
    assert doubles == []
    for identifier, (first, second) in told.appended.items():
        assert identifier in one, f"{identifier} was acknowledged and is lost"
        mailbox, uid = one[identifier][0]
        if identifier in told.moved:
            assert (mailbox, uid) == (ARCHIVE, told.moved[identifier])
        else:
            assert mailbox == ARCHIVE or (mailbox, uid) == ("INBOX", first)
        if identifier in told.expunged:
            assert identifier not in two, f"{identifier} was expunged and is back"
        elif identifier not in told.expunging or identifier in two:
            assert two[identifier] == [("INBOX", second)]
    # A delivery is to both accounts or to none, whether or not anybody was told.
    assert set(two) - set(one) == set()
    assert set(one) - set(two) <= told.expunging


def no_uid_twice(given: dict[tuple[int, str, int], str], account: int, found: Found) -> None:
    for identifier, places in found.items():
        for mailbox, uid in places:
            assert given.setdefault((account, mailbox, uid), identifier) == identifier


async def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    store = await Store.open(settings(data_dir))
    await store.write(lambda tx: directory.add_domain(tx, "example.com"))
    accounts = [(await store.write(lambda tx, n=name: directory.add_account(tx, n))).id for name in NAMES]
    await store.close()
    chance = random.Random(os.environ.get("PENNYPOST_KILL_SEED", "pennypost"))
    told = Told()
    given: dict[tuple[int, str, int], str] = {}
    highest: Counter[tuple[int, str]] = Counter()
    for round_ in range(ROUNDS):
        before = len(told.appended)
        load_and_kill(data_dir, round_, chance, told)
        assert len(told.appended) > before
        store = await Store.open(settings(data_dir))
        found = []
        for number, account in enumerate(accounts):
            messages, boxes = await everything(store, account)
            found.append(messages)
            no_uid_twice(given, number, messages)
            for mailbox, uid_next in boxes.items():
                assert uid_next >= highest[number, mailbox]
                assert all(uid < uid_next for places in messages.values() for box, uid in places if box == mailbox)
                highest[number, mailbox] = uid_next
        verify(told, *found)
        assert [one async for one in check(store, store.blobs)] == []
        await store.close()
    for number in range(len(accounts)):
        told_uids = [uids[number] for uids in told.appended.values()]
        assert len(set(told_uids)) == len(told_uids)
