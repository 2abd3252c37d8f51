"""A result that is kept up to date (RFC 5267 §4.3), replayed from what the client is told, is what a new search gives.

Two clients change one mailbox at random; one of them keeps a SEARCH and a SORT, by UID or by number.
"""

import asyncio
import random
import re
import tempfile
from pathlib import Path

import pytest
from tests.transcripts.imap.server import simple_message, world
from tests.unit.servers.imap.test_session import Talk, logged_in

KEYS = [b"FLAGGED", b"UNDELETED", b'OR SUBJECT "Message 1" FLAGGED', b"NOT TEXT sender2", b"ALL"]
SORTS = [b"REVERSE ARRIVAL", b"SUBJECT", b"REVERSE SIZE SUBJECT"]
FLAGS = [rb"\Flagged", rb"\Deleted", rb"\Seen"]

_SETS = re.compile(rb"(\d+) ([\d:,]+)")


def members(text: bytes) -> list[int]:
    found: list[int] = []
    for item in text.split(b","):
        first, _, last = item.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


class Client:
    """What a client makes of what it is told: `uids` by message number, and the results of each context.

    Of a message whose UID it was not told yet there is a number below 0 in its place.
    """

    def __init__(self, talk: Talk, count: int) -> None:
        self.talk = talk
        self.uids = list(range(1, count + 1))
        self.results: dict[bytes, list[int]] = {}
        self.by_uid: set[bytes] = set()
        self._tags = 0
        self._unknown = 0

    async def say(self, command: bytes) -> bytes:
        self._tags += 1
        told = await self.talk.say(b"t%d %b" % (self._tags, command))
        for line in told.split(b"\r\n"):
            self.hear(line)
        assert re.search(rb"^t%d OK" % self._tags, told, re.MULTILINE), told
        return told

    def hear(self, line: bytes) -> None:
        if found := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
            gone = self.uids.pop(int(found[1]) - 1)
            assert all(gone not in results for results in self.results.values()), "REMOVEFROM comes first"
        elif found := re.fullmatch(rb"\* (\d+) EXISTS", line):
            while len(self.uids) < int(found[1]):
                self._unknown -= 1
                self.uids.append(self._unknown)  # its UID is asked for below
        elif found := re.match(rb"\* (\d+) FETCH \(UID (\d+)", line):
            before, uid = self.uids[int(found[1]) - 1], int(found[2])
            self.uids[int(found[1]) - 1] = uid
            for results in self.results.values():
                results[:] = [uid if one == before else one for one in results]
        elif found := re.match(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)?', line):
            for kind, pairs in re.findall(rb"(ADDTO|REMOVEFROM) \(([\d:, ]+)\)", line):
                for place, names in _SETS.findall(pairs):
                    self.change(found[1], kind == b"ADDTO", int(place), members(names))

    def change(self, tag: bytes, adds: bool, place: int, names: list[int]) -> None:
        results = self.results[tag]
        uids = names if tag in self.by_uid else [self.uids[name - 1] for name in names]
        if adds and place:
            results[place - 1 : place - 1] = uids
        elif adds:
            results += uids
        elif place:
            assert results[place - 1 : place - 1 + len(uids)] == uids
            del results[place - 1 : place - 1 + len(uids)]
        else:
            for uid in uids:
                results.remove(uid)

    async def learn(self) -> None:
        """Ask for the UIDs of messages that are known by number only."""
        if min(self.uids, default=0) < 0:
            await self.say(b"FETCH 1:* (UID)")

    async def keep(self, command: bytes, uid: bool) -> None:
        self._tags += 1
        tag = b"t%d" % self._tags
        told = await self.talk.say(tag + b" " + command)
        found = re.search(rb" ALL ([\d:,]+)", told)
        names = members(found[1]) if found else []
        self.results[tag] = names if uid else [self.uids[name - 1] for name in names]
        if uid:
            self.by_uid.add(tag)


async def act(client: Client, other: Client, chance: random.Random, numbers: list[int]) -> None:
    doer = chance.choice((client, other))
    what = chance.random()
    if what < 0.25:
        numbers.append(len(numbers) + 1)
        octets = simple_message(numbers[-1] % 9 + 1)
        doer.talk.connection.send(b"x APPEND INBOX {%d+}\r\n%b\r\n" % (len(octets), octets))
        for line in (await doer.talk.until(b"x ")).split(b"\r\n"):
            doer.hear(line)
        await doer.learn()
    elif what < 0.45:
        await doer.say(b"EXPUNGE")
    elif what < 0.55 and doer.uids:
        await doer.say(b"FETCH %d UID" % chance.randint(1, len(doer.uids)))
    elif doer.uids:
        sign = chance.choice([b"+", b"-"])
        silent = chance.choice([b"", b".SILENT"])
        first = chance.randint(1, len(doer.uids))
        last = chance.randint(first, len(doer.uids))
        await doer.say(b"UID STORE %d:%d %bFLAGS%b (%b)" % (first, last, sign, silent, chance.choice(FLAGS)))


@pytest.mark.parametrize("seed", range(18))
def test_what_is_told_leads_to_what_a_search_gives(seed: int) -> None:
    chance = random.Random(seed)

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as server:
                for number in range(1, 6):
                    await server.deliver(simple_message(number))
                client = Client(await logged_in(server, "INBOX"), 5)
                other = Client(await logged_in(server, "INBOX"), 5)
                uid = b"UID " if chance.random() < 0.5 else b""
                key, sort = chance.choice(KEYS), chance.choice(SORTS)
                await client.keep(uid + b"SEARCH RETURN (UPDATE ALL) " + key, bool(uid))
                await client.keep(uid + b"SORT RETURN (UPDATE ALL) (%b) UTF-8 %b" % (sort, key), bool(uid))
                searched, sorted_ = client.results
                numbers = list(range(5))
                for _ in range(25):
                    await act(client, other, chance, numbers)
                    for _ in range(chance.randrange(8)):  # of all of which the client hears together
                        await act(other, other, chance, numbers)
                    await client.say(b"NOOP")
                    await client.learn()
                    told = await client.say(b"UID SEARCH " + key)
                    found = re.search(rb"^\* SEARCH([\d ]*)", told, re.MULTILINE)
                    assert found is not None
                    assert sorted(client.results[searched]) == list(map(int, found[1].split()))
                    told = await client.say(b"UID SORT (%b) UTF-8 %b" % (sort, key))
                    found = re.search(rb"^\* SORT([\d ]*)", told, re.MULTILINE)
                    assert found is not None
                    assert client.results[sorted_] == list(map(int, found[1].split()))
                for one in (client, other):
                    await one.talk.finish()

    asyncio.run(run())
