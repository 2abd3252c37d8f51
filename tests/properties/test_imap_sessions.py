r"""What several IMAP sessions were told, replayed, is what the store holds (RFC 9051 §5.2, §7.5.1; RFC 3501 §2.3.2).

In each round every session sends a command at the same time; some know of mod-sequences, and any may leave and come
back. A model client believes only what it hears, and what its own silent STOREs must have done. At the end, after a
NOOP, its picture must be the mailbox: as many messages, the same UIDs at the same numbers, the same flags where it
knows them.
"""

import asyncio
import re
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.transcripts.imap.server import World, simple_message, world
from tests.unit.servers.imap.test_session import Talk, logged_in

SESSIONS = 4

KINDS = ("", "CONDSTORE", "QRESYNC", "NOTIFY")
"""What each session enables; the last one is told of everything but expunges between its commands, too (RFC 5465
§6.1.2). To leave and come back is to begin anew, but for QRESYNC, which is told only what it
missed (RFC 7162 §3.2)."""

FLAG = st.sampled_from(["\\Seen", "\\Flagged", "\\Deleted", "kw"])
PLACE = st.integers(0, 9)
COMMAND = st.one_of(
    st.tuples(st.just("store"), PLACE, FLAG, st.sampled_from(["+FLAGS", "-FLAGS", "FLAGS"]), st.booleans()),
    st.tuples(st.just("fetch"), PLACE),
    st.tuples(st.just("append")),
    st.tuples(st.just("copy"), PLACE),
    st.tuples(st.just("move"), PLACE),
    st.tuples(st.just("expunge")),
    st.tuples(st.just("search")),
    st.tuples(st.just("noop")),
    st.tuples(st.just("rename")),
    st.tuples(st.just("reopen")),
)
ROUNDS = st.lists(st.tuples(*[COMMAND] * SESSIONS), max_size=12)

_LINE = re.compile(r"\* (\d+) (EXISTS|EXPUNGE|FETCH \((.*)\))")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_UID = re.compile(r"UID (\d+)")
_VANISHED = re.compile(r"\* VANISHED (\(EARLIER\) )?([0-9:,]+)")
_HIGHEST = re.compile(r"OK \[HIGHESTMODSEQ (\d+)\]")


class Model:
    """What one client believes: for each message by number its flags and UID, None where it does not know them.

    `highest`: up to which mod-sequence it was told everything, as far as the server said so.
    """

    def __init__(self, count: int) -> None:
        self.flags: list[frozenset[str] | None] = [None] * count
        self.uids: list[int | None] = [None] * count
        self.highest = 0

    def hear(self, answer: bytes, may_expunge: bool) -> None:
        for line in answer.decode().split("\r\n"):
            if highest := _HIGHEST.search(line):
                self.highest = int(highest[1])
            if vanished := _VANISHED.match(line):
                assert may_expunge or vanished[1], "VANISHED while message numbers are in use"
                self._vanish(vanished[2], earlier=bool(vanished[1]))
            found = _LINE.match(line)
            if not found:
                continue
            number, kind = int(found[1]), found[2]
            if kind == "EXISTS":
                assert number >= len(self.flags), "EXISTS must not shrink a mailbox"
                self.flags += [None] * (number - len(self.flags))
                self.uids += [None] * (number - len(self.uids))
            elif kind == "EXPUNGE":
                assert may_expunge, "EXPUNGE while message numbers are in use"
                del self.flags[number - 1], self.uids[number - 1]
            else:
                self._fetched(number, found[3])

    def _fetched(self, number: int, data: str) -> None:
        if flags := _FLAGS.search(data):
            self.flags[number - 1] = frozenset(flags[1].split()) - {"\\Recent"}
        if uid := _UID.search(data):
            assert self.uids[number - 1] in (None, int(uid[1]))
            self.uids[number - 1] = int(uid[1])

    def _vanish(self, text: str, *, earlier: bool) -> None:
        """Take out UIDs."""
        gone = {
            uid
            for first, _, last in (part.partition(":") for part in text.split(","))
            for uid in range(int(first), int(last or first) + 1)
        }
        known = gone & {uid for uid in self.uids if uid is not None}
        kept = [at for at, uid in enumerate(self.uids) if uid not in gone]
        if len(known) < len(gone) and not earlier:
            # The others came meanwhile, and their UIDs were never told: they stand at the end.
            strangers = [at for at in kept if self.uids[at] is None]
            assert len(gone) - len(known) <= len(strangers), "a client is told of what it counts"
            kept = [at for at in kept if at not in strangers[: len(gone) - len(known)]]
        self.flags, self.uids = [self.flags[at] for at in kept], [self.uids[at] for at in kept]

    def silently(self, number: int, mode: str, flag: str) -> None:
        """Do what a silent STORE that succeeded must have done."""
        known = self.flags[number - 1]
        if mode == "FLAGS":
            self.flags[number - 1] = frozenset({flag})
        elif known is not None:
            self.flags[number - 1] = known | {flag} if mode == "+FLAGS" else known - {flag}


class Client:
    def __init__(self, talk: Talk, kind: str) -> None:
        self.talk = talk
        self.kind = kind
        self.model = Model(0)
        self._tag = 0
        self._uid_validity = b""

    async def say(self, line: str, may_expunge: bool = True) -> bytes:
        self._tag += 1
        answer = await self.talk.say(b"t%d " % self._tag + line.encode())
        self.model.hear(answer, may_expunge)
        if self.kind == "QRESYNC" and None in self.model.uids:
            # So that it knows what vanishes: FETCH by number tells nothing of that.
            first = self.model.uids.index(None) + 1
            self._tag += 1
            self.model.hear(await self.talk.say(b"t%d FETCH %d:* (UID FLAGS)" % (self._tag, first)), may_expunge=False)
        return answer

    async def begin(self) -> None:
        if self.kind == "NOTIFY":
            await self.say("NOTIFY SET (SELECTED-DELAYED (MessageNew (UID FLAGS) MessageExpunge FlagChange))")
        elif self.kind:
            await self.say(f"ENABLE {self.kind}")
        await self.open()

    async def open(self) -> None:
        self.model = Model(0)
        self._tag += 1
        answer = await self.talk.say(b"t%d SELECT INBOX" % self._tag)
        self.model.hear(answer.rpartition(b"[CLOSED]")[2], may_expunge=True)  # what is told before is of what was open
        found = re.search(rb"UIDVALIDITY (\d+)", answer)
        assert found is not None
        self._uid_validity = found[1]
        await self.say("FETCH 1:* (UID FLAGS)", may_expunge=False)

    async def reopen(self) -> None:
        """Leave, and come back with what it knows (RFC 7162 §3.2.5)."""
        self._tag += 1
        self.model.hear(await self.talk.say(b"t%d UNSELECT" % self._tag), may_expunge=True)
        known = Model(0)
        # Of a message that it heard of just now it knows no UID, and keeps nothing.
        kept = [at for at, uid in enumerate(self.model.uids) if uid is not None]
        known.flags, known.uids = [self.model.flags[at] for at in kept], [self.model.uids[at] for at in kept]
        known.highest = self.model.highest
        self._tag += 1
        parameters = b"(QRESYNC (%b %d))" % (self._uid_validity, known.highest)
        answer = await self.talk.say(b"t%d SELECT INBOX %b" % (self._tag, parameters))
        assert b" OK [READ-WRITE]" in answer
        lines = answer.decode().split("\r\n")
        known.hear("\r\n".join(line for line in lines if "VANISHED" in line).encode(), may_expunge=False)
        known.hear("\r\n".join(line for line in lines if "VANISHED" not in line).encode(), may_expunge=False)
        self.model = known
        await self.say("NOOP")

    async def do(self, command: tuple[object, ...]) -> None:
        if command == ("reopen",):
            await (self.reopen() if self.kind == "QRESYNC" else self.open())
            return
        count = len(self.model.flags)
        place = command[1] % count + 1 if len(command) > 1 and count and isinstance(command[1], int) else 0
        if len(command) > 1 and not place:
            return
        match command:
            case ("store", _, flag, mode, silent):
                line = f"STORE {place} {mode}{'.SILENT' if silent else ''} ({flag})"
                if silent:
                    self.model.silently(place, str(mode), str(flag))
            case ("fetch", _):
                line = f"FETCH {place} (UID FLAGS)"
            case ("append",):
                line = "APPEND INBOX {16+}\r\nSubject: new\r\n\r\n"
            case ("copy", _):
                line = f"COPY {place} INBOX"
            case ("move", _):
                line = f"UID MOVE {self.model.uids[place - 1]} Trash" if self.model.uids[place - 1] else "NOOP"
            case ("rename",):
                line = f"RENAME INBOX Old-{self.kind}-{self._tag}"
            case (verb, *_):
                line = {"expunge": "EXPUNGE", "search": "SEARCH ALL", "noop": "NOOP"}[str(verb)]
        await self.say(line, may_expunge=command[0] not in ("store", "fetch", "search"))


async def _play(server: World, rounds: list[tuple[tuple[object, ...], ...]]) -> None:
    for number in range(1, 5):
        await server.deliver(simple_message(number))
    clients = [Client(await logged_in(server), kind) for kind in KINDS]
    for client in clients:
        await client.begin()
    for commands in rounds:
        await asyncio.gather(*(client.do(command) for client, command in zip(clients, commands, strict=True)))
    fresh = Client(await logged_in(server), "")
    await fresh.begin()
    true = fresh.model
    for client in clients:
        await client.do(("noop",))
        assert len(client.model.flags) == len(true.flags)
        for believed, is_true in zip(client.model.flags, true.flags, strict=True):
            assert believed is None or believed == is_true
        for number, uid in enumerate(client.model.uids):
            assert uid is None or uid == true.uids[number]
        await client.talk.finish()
    await fresh.talk.finish()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROUNDS)
def test_what_sessions_were_told_is_what_is_there(rounds: list[tuple[tuple[object, ...], ...]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as server:
                await _play(server, rounds)

    asyncio.run(run())
