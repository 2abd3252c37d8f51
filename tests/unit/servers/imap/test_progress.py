"""A command that takes its time says so (RFC 9585)."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.transcripts.imap.server import simple_message, with_settings, world
from tests.unit.servers.imap.test_session import logged_in

from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap import dispatch
from pennypost.servers.imap.session import Session


async def test_a_long_search_tells_that_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = asyncio.Event()

    async def slow(session: Session, command: Search) -> Tagged:
        await let_go.wait()
        return ok("SEARCH completed")

    monkeypatch.setitem(dispatch.HANDLERS, Search, slow)
    async with world(tmp_path, with_settings(progress_interval=timedelta(milliseconds=5))) as server:
        await server.deliver(simple_message(1))
        talk = await logged_in(server, "INBOX")
        talk.connection.send(b"c SEARCH ALL\r\n")
        for _ in range(2):
            told = await talk.until(b"* OK [INPROGRESS")
            assert told.endswith(b'* OK [INPROGRESS ("c" NIL NIL)] Still working\r\n')
        let_go.set()
        await talk.until(b"c OK")
        assert (await talk.say(b"d NOOP")).count(b"INPROGRESS") == 0
        await talk.finish()
