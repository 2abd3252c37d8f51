r"""What several IMAP sessions were told, replayed, is what the store holds (RFC 9051 §5.2, §7.5.1; RFC 3501 §2.3.2).

In each round every session sends a command at the same time. A model client believes only what it hears, and what its
own silent STOREs must have done. At the end, after a NOOP, its picture must be the mailbox: as many messages, the same
UIDs at the same numbers, the same flags where it knows them.
"""

import asyncio
import re
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.transcripts.imap.server import World, simple_message, world
from tests.unit.servers.imap.test_session import Talk, logged_in

SESSIONS = 3

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
)
ROUNDS = st.lists(st.tuples(*[COMMAND] * SESSIONS), max_size=12)

_LINE = re.compile(r"\* (\d+) (EXISTS|EXPUNGE|FETCH \((.*)\))")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_UID = re.compile(r"UID (\d+)")


class Model:
    """What one client believes: for each message by number its flags, None where it does not know them."""

    def __init__(self, count: int) -> None:
        self.flags: list[frozenset[str] | None] = [None] * count
        self.uids: list[int | None] = [None] * count

    def hear(self, answer: bytes, may_expunge: bool) -> None:
        for line in answer.decode().split("\r\n"):
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
                if flags := _FLAGS.search(found[3]):
                    self.flags[number - 1] = frozenset(flags[1].split()) - {"\\Recent"}
                if uid := _UID.search(found[3]):
                    assert self.uids[number - 1] in (None, int(uid[1]))
                    self.uids[number - 1] = int(uid[1])

    def silently(self, number: int, mode: str, flag: str) -> None:
        """Do what a silent STORE that succeeded must have done."""
        known = self.flags[number - 1]
        if mode == "FLAGS":
            self.flags[number - 1] = frozenset({flag})
        elif known is not None:
            self.flags[number - 1] = known | {flag} if mode == "+FLAGS" else known - {flag}


class Client:
    def __init__(self, talk: Talk, count: int) -> None:
        self.talk = talk
        self.model = Model(count)
        self._tag = 0

    async def do(self, command: tuple[object, ...]) -> None:
        self._tag += 1
        tag, count = b"t%d" % self._tag, len(self.model.flags)
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
            case (verb, *_):
                line = {"expunge": "EXPUNGE", "search": "SEARCH ALL", "noop": "NOOP"}[str(verb)]
        answer = await self.talk.say(tag + b" " + line.encode())
        self.model.hear(answer, may_expunge=command[0] not in ("store", "fetch", "search"))


async def _play(server: World, rounds: list[tuple[tuple[object, ...], ...]]) -> None:
    for number in range(1, 5):
        await server.deliver(simple_message(number))
    clients = [Client(await logged_in(server, "INBOX"), 4) for _ in range(SESSIONS)]
    for commands in rounds:
        await asyncio.gather(*(client.do(command) for client, command in zip(clients, commands, strict=True)))
    fresh = Model(0)
    witness = await logged_in(server, "INBOX")
    answer = await witness.say(b"w FETCH 1:* (UID FLAGS)")
    fresh.flags = [None] * answer.count(b" FETCH (")
    fresh.uids = [None] * len(fresh.flags)
    fresh.hear(answer, may_expunge=False)
    for client in clients:
        await client.do(("noop",))
        assert len(client.model.flags) == len(fresh.flags)
        for believed, true in zip(client.model.flags, fresh.flags, strict=True):
            assert believed is None or believed == true
        for number, uid in enumerate(client.model.uids):
            assert uid is None or uid == fresh.uids[number]
        await client.talk.finish()
    await witness.finish()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROUNDS)
def test_what_sessions_were_told_is_what_is_there(rounds: list[tuple[tuple[object, ...], ...]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as server:
                await _play(server, rounds)

    asyncio.run(run())
