"""What is kept of messages never shows: a server that keeps values, in memory and beside the store, answers as one does
that reads them anew.

Messages come, go, and lie in other mailboxes; the server is started again; what is beside the store is removed, damaged
or of a time that was undone, by bringing back an older copy of the store. After most steps FETCH, SEARCH, SORT and
THREAD are compared with what a second server over the same store says, which keeps nothing. Pages are small here, so
that there are many.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.transcripts.imap.server import AUTH, CLEAR, FIRST_ARRIVAL, World, world
from tests.unit.servers.imap.test_session import Talk, logged_in

from pennypost.mail.authenticate import Authenticator
from pennypost.mail.prepare import Preparer
from pennypost.mail.settings import DeliverySettings
from pennypost.model.account import Account
from pennypost.model.units import MIB
from pennypost.servers.imap import ordering, text_keys
from pennypost.servers.imap.door import ImapDoor
from pennypost.store import derived, directory, field_pages, sort_columns
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.derived_file import FILE
from pennypost.store.store import Store

TEXTS = [
    "",
    "apple",
    "Re: apple",
    "pear",
    "Äpfel",
    "=?utf-8?q?Stra=C3=9Fe?=",
    "=?utf-8?q?=ED=A0=80?=",
    "a\r\n b",
    "日本",
]
PEOPLE = ["", "ann@example.net", "Bob <bob@example.org>", "=?utf-8?q?=C3=84nn?= <x@example.net>", "team: a@b.c, d@e.f;"]
DAYS = ["", "1 Feb 2024 10:00:00 +0000", "1 Feb 2024 09:00:00 -0500", "31 Jan 2024 10:00:00 +0000", "never"]


@dataclass(frozen=True)
class Written:
    """A message: its fields, empty where they are not there, and which message it answers, of the last few."""

    subject: str
    sender: str
    to: str
    cc: str
    date: str
    answers: int

    def octets(self, number: int) -> bytes:
        fields = {"Subject": self.subject, "From": self.sender, "To": self.to, "Cc": self.cc, "Date": self.date}
        lines = [f"{name}: {text}\r\n" for name, text in fields.items() if text]
        if self.answers:
            lines.append(f"References: <m{max(0, number - self.answers)}@example.net>\r\n")
        return "".join([*lines, f"Message-ID: <m{number}@example.net>\r\n", "\r\n", f"{number}\r\n"]).encode()


MESSAGE = st.builds(
    Written, *map(st.sampled_from, (TEXTS, PEOPLE, PEOPLE, PEOPLE, DAYS)), st.sampled_from([0, 0, 1, 2, 7])
)
PLACES = st.lists(st.integers(1, 12), min_size=1, max_size=4).map(lambda some: ",".join(map(str, some)))
STEP = st.one_of(
    st.tuples(st.just("deliver"), st.lists(MESSAGE, min_size=1, max_size=8)),
    st.tuples(st.just("undone"), st.lists(MESSAGE, min_size=1, max_size=8), st.lists(MESSAGE, min_size=1, max_size=8)),
    st.tuples(st.sampled_from(["expunge", "move", "copy", "double", "back"]), PLACES),
    st.tuples(st.sampled_from(["rename", "anew", "restart", "remove", "damage", "wait", "wait"])),
)

FETCHES = (
    "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]",
    "BODY.PEEK[HEADER.FIELDS (DATE)]",
    "ENVELOPE",
    "(BODYSTRUCTURE ENVELOPE)",
)
SORTS = ("SUBJECT", "FROM TO", "REVERSE CC", "DATE", "REVERSE DATE SUBJECT", "DISPLAYFROM", "DISPLAYTO REVERSE SIZE")
KEYS = ('SUBJECT "a"', 'FROM "ann"', 'TO ""', 'NOT CC "example"', 'OR BCC "" SUBJECT "straße"', 'NOT SUBJECT "pear"')
QUESTIONS = (
    *(f"UID FETCH 1:* {item}" for item in FETCHES),
    *(f"UID SORT ({keys}) UTF-8 ALL" for keys in SORTS),
    *(f"UID THREAD {algorithm} UTF-8 ALL" for algorithm in ("REFERENCES", "REFS", "ORDEREDSUBJECT")),
    *(f"UID SEARCH {key}" for key in KEYS),
)


@contextmanager
def small_pages(spared: int) -> Iterator[None]:
    """Make pages small. `spared`: octets that a column may take which a search can do without."""
    with ExitStack() as stack:
        for module, name, value in (
            (field_pages, "MANY", 2),
            (field_pages, "_PAGE_BITS", 2),
            (field_pages, "_STRETCH_BITS", 1),
            (sort_columns, "MANY", 2),
            (sort_columns, "_PAGE_BITS", 3),
            (sort_columns, "MAX_SPARED", spared),
            (ordering, "MANY", 4),
            (text_keys, "FEW", 0),
            (text_keys, "ON_THE_LOOP", 8),
            (derived, "DELAY_SECONDS", 0.0),
            (derived, "BATCH_OCTETS", 500),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


def door(store: Store, preparer: Preparer) -> ImapDoor:
    return ImapDoor(store, Authenticator(store, AUTH, b"x" * 32), preparer, CLEAR, 50 * MIB)


@asynccontextmanager
async def server(folder: Path, *, keeps: bool) -> AsyncIterator[World]:
    """Open the store that `world` made, and a door over it. `keeps`: whether values are kept beside the store."""
    store = await Store.open(StoreSettings(data_dir=folder / "data", derived=keeps))
    preparer = Preparer(store, DeliverySettings())
    try:
        alice, bob = await store.read(_accounts)
        yield World(store, door(store, preparer), alice, bob)
    finally:
        preparer.close()
        await store.close()


async def _accounts(tx: Transaction) -> tuple[Account, Account]:
    alice, bob = [await directory.find_account(tx, f"{name}@example.org") for name in ("alice", "bob")]
    assert alice is not None
    assert bob is not None
    return alice, bob


async def told(talk: Talk, mailbox: str) -> list[bytes]:
    """Ask everything of a mailbox."""
    assert b"s OK" in await talk.say(f"s SELECT {mailbox}".encode())
    return [(await talk.say(b"q " + question.encode())) for question in QUESTIONS]


def _parts(step: tuple[object, ...]) -> list[tuple[object, ...]]:
    match step:
        case ("undone", lost, again):
            return [("save",), ("deliver", lost), ("bring back",), ("deliver", again)]
    return [step]


class Play:
    """Steps that are taken one after the other. One session of the server that keeps values hears of each, another is
    never told what was expunged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    async def run(self, steps: list[tuple[object, ...]]) -> None:
        left = list(chain.from_iterable(map(_parts, steps)))
        while left:
            async with server(self.folder, keeps=True) as keeping, server(self.folder, keeps=False) as reading:
                talks = [await logged_in(keeping, "INBOX"), await logged_in(keeping, "INBOX")]
                ended = False
                while left and not ended:
                    ended = await self._do(keeping, talks[0], left[0])
                    if not ended:
                        left.pop(0)
                    if not ended and (not left or left[0] != ("wait",)):
                        await talks[1].say(b"l FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])")  # behind
                        await talks[1].say(b"l SEARCH NOT SUBJECT pear")
                        await self._compare(talks[0], reading)
                for talk in talks:
                    await talk.finish()
            if left:
                self._between(str(left.pop(0)[0]))

    async def _compare(self, talk: Talk, reading: World) -> None:
        reading.door = door(reading.store, reading.door.preparer)  # which knows nothing yet
        other = await logged_in(reading)
        for mailbox in ("INBOX", "Other"):
            found = await told(talk, mailbox)
            with patch.object(text_keys, "FEW", 1_000_000):
                true = await told(other, mailbox)
            for question, one, expected in zip(QUESTIONS, found, true, strict=True):
                assert one == expected, question
        await other.finish()

    async def _do(self, keeping: World, talk: Talk, step: tuple[object, ...]) -> bool:
        """Take a step; True: the server has to end for it."""
        match step:
            case ("deliver", list() as messages):
                for written in messages:
                    self._count += 1
                    at = FIRST_ARRIVAL + timedelta(microseconds=self._count)
                    await keeping.deliver(written.octets(self._count), at=at)
                return False
            case ("wait",):
                return False
            case ("rename",):
                lines = ["DELETE Old", "RENAME Other Old", "CREATE Other"]
            case ("anew",):
                lines = ["DELETE Other", "CREATE Other"]
            case ("expunge", places):
                lines = ["SELECT INBOX", f"STORE {places} +FLAGS.SILENT (\\Deleted)", "EXPUNGE"]
            case ("back", places):
                lines = ["SELECT Other", f"MOVE {places} INBOX"]
            case ("double", places):
                lines = ["SELECT INBOX", f"COPY {places} INBOX"]
            case ("move" | "copy" as verb, places):
                lines = ["SELECT INBOX", f"{verb} {places} Other"]
            case _:
                return True
        for line in lines:
            await talk.say(b"d " + line.encode())
        return False

    def _between(self, step: str) -> None:
        """Do what is done while no server runs."""
        data, copy = self.folder / "data", self.folder / "copy"
        file = data / FILE
        if step == "remove":
            file.unlink(missing_ok=True)
        elif step == "damage" and file.exists():
            octets = bytearray(file.read_bytes())
            for at in range(100, len(octets), 997):
                octets[at] ^= 1
            file.write_bytes(octets)
        elif step == "save":
            shutil.copy(data / "pennypost.db", copy)
        elif step == "bring back":
            shutil.copy(copy, data / "pennypost.db")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MESSAGE, min_size=8, max_size=20), st.lists(STEP, max_size=10), st.sampled_from([800, 1_000_000]))
def test_what_is_kept_is_what_is_read(first: list[Written], steps: list[tuple[object, ...]], spared: int) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as name, small_pages(spared):
            folder = Path(name)
            async with world(folder) as made:
                talk = await logged_in(made)
                assert b"c OK" in await talk.say(b"c CREATE Other")
                await talk.finish()
            await Play(folder).run([("deliver", first), *steps])

    asyncio.run(run())
