"""What a client can ask for to make a server work without end, and what it gets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.transcripts.imap.server import World, simple_message, world
from tests.unit.servers.imap.test_session import Talk, logged_in

EVERYTHING = b",".join([b"1:4294967295"] * 4000)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with world(tmp_path) as server:
        made = await _with_messages(server)
        yield made
        await made.finish()


async def _with_messages(server: World) -> Talk:
    for number in range(1, 4):
        await server.deliver(simple_message(number))
    talk = await logged_in(server)
    await talk.say(b"e ENABLE QRESYNC")
    await talk.say(b"s SELECT INBOX")
    return talk


@pytest.mark.parametrize(
    "command",
    [
        b"UID FETCH %b (UID)" % EVERYTHING,
        b"UID FETCH %b (UID) (CHANGEDSINCE 1 VANISHED)" % EVERYTHING,
        b"UID FETCH %b (UID) (PARTIAL -1:-4294967295)" % EVERYTHING,
        b"UID STORE %b +FLAGS.SILENT (\\Seen)" % EVERYTHING,
        b"UID SEARCH UID %b" % EVERYTHING,
        b"SEARCH %b" % EVERYTHING,
        b"UID EXPUNGE %b" % EVERYTHING,
        b"SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:4294967295 1:4294967295)))",
    ],
)
async def test_all_that_there_could_be(talk: Talk, command: bytes) -> None:
    """Sets that name all numbers, thousands of times over, cost what the mailbox's messages cost."""
    answer = await talk.say(b"h " + command)
    assert b"\r\nh OK " in b"\r\n" + answer
    assert answer.count(b"\r\n") < 20


@pytest.mark.parametrize(
    "command",
    [
        b"FETCH %b (UID)" % EVERYTHING,
        b"SEARCH " + b"(" * 3000 + b"ALL" + b")" * 3000,
        b"SEARCH " + b"NOT " * 5000 + b"ALL",
        b"SEARCH " + b"OR " * 5000 + b"ALL ALL",
        b"UID FETCH 4294967296 UID",
        b"UID FETCH 18446744073709551617:1 UID",
        b"UID FETCH 1 (" + b"(" * 5000,
        b'SELECT "' + b"\\\\" * 3000,
    ],
)
async def test_what_is_not_even_tried(talk: Talk, command: bytes) -> None:
    assert (await talk.say(b"h " + command)).startswith(b"h BAD ")
    assert (await talk.say(b"i NOOP")).endswith(b"i OK NOOP completed\r\n")
