"""Sessions: how they end, what they survive, what they cost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.transcripts.imap.server import World, simple_message, with_settings, world

from pennypost.net.connection import ConnectionEnded
from pennypost.net.memory import MemoryConnection
from pennypost.servers.imap import dispatch, news
from pennypost.servers.imap.session import Session
from pennypost.store import directory


class Talk:
    """One client of a door, in memory."""

    def __init__(self, server: World) -> None:
        self.connection = MemoryConnection(timeout=timedelta(seconds=10))
        self._task = asyncio.ensure_future(self._serve(server))
        self._heard = b""

    async def _serve(self, server: World) -> None:
        try:
            await server.handler(self.connection)
        except ConnectionEnded:
            pass
        finally:
            self.connection.close()

    async def until(self, ending: bytes) -> bytes:
        """Read up to and with a line that begins with `ending`."""
        while True:
            at = (b"\r\n" + self._heard).find(b"\r\n" + ending)
            end = self._heard.find(b"\r\n", at) if at >= 0 else -1
            if end >= 0:
                told, self._heard = self._heard[: end + 2], self._heard[end + 2 :]
                return told
            data = await asyncio.wait_for(self.connection.receive(), 10)
            assert data, self._heard
            self._heard += data

    async def say(self, line: bytes) -> bytes:
        self.connection.send(line + b"\r\n")
        return await self.until(line.split()[0] + b" ")

    async def rest(self) -> bytes:
        """Read all until the server closes."""
        while data := await asyncio.wait_for(self.connection.receive(), 10):
            self._heard += data
        return self._heard

    async def finish(self) -> None:
        self.connection.abort()
        await asyncio.wait_for(self._task, 10)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def logged_in(server: World, mailbox: str = "") -> Talk:
    talk = Talk(server)
    await talk.until(b"* OK")
    assert b"a OK" in await talk.say(b"a LOGIN alice@example.org secret")
    if mailbox:
        assert b"b OK" in await talk.say(b"b SELECT " + mailbox.encode())
    return talk


async def test_a_stranger_who_says_nothing_is_sent_away(tmp_path: Path) -> None:
    """RFC 9051 §5.4 bounds autologout for those who logged in only."""
    async with world(tmp_path, with_settings(login_timeout=timedelta(milliseconds=50))) as server:
        talk = Talk(server)
        assert (await talk.rest()).endswith(b"* BYE Login timed out\r\n")
        await talk.finish()


async def test_a_client_idle_for_too_long_is_logged_out(tmp_path: Path) -> None:
    async with world(tmp_path, with_settings(idle_timeout=timedelta(milliseconds=50))) as server:
        talk = await logged_in(server)
        assert (await talk.rest()).endswith(b"* BYE Autologout, idle for too long\r\n")
        await talk.finish()


async def test_idle_is_kept_alive_and_not_timed_out(tmp_path: Path) -> None:
    """RFC 9051 §6.3.13"""
    changes: dict[str, Any] = {"keepalive_interval": timedelta(milliseconds=20)}
    async with world(tmp_path, with_settings(**changes)) as server:
        talk = await logged_in(server, "INBOX")
        talk.connection.send(b"c IDLE\r\n")
        await talk.until(b"+ idling")
        await talk.until(b"* OK Still here")
        await talk.until(b"* OK Still here")
        talk.connection.send(b"DONE\r\n")
        await talk.until(b"c OK")
        await talk.finish()


@pytest.mark.parametrize("idling", [False, True])
async def test_shutdown_says_goodbye(server: World, idling: bool) -> None:
    talk = await logged_in(server, "INBOX")
    if idling:
        talk.connection.send(b"c IDLE\r\n")
        await talk.until(b"+ idling")
    talk.connection.shutting_down = True
    talk.connection.interrupt()
    assert (await talk.rest()).endswith(b"* BYE Server shutting down\r\n")
    await talk.finish()


async def test_a_bug_is_told_as_such_and_nothing_of_it(server: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(session: Session, command: object) -> object:
        raise RuntimeError("secret detail")

    talk = await logged_in(server)
    handlers = dispatch.HANDLERS
    monkeypatch.setitem(handlers, next(kind for kind in handlers if kind.__name__ == "Namespace"), broken)
    answer = await talk.say(b"c NAMESPACE")
    assert answer.startswith(b"c NO [SERVERBUG] Internal error, try again later (incident ")
    assert b"secret" not in answer
    assert b"d OK" in await talk.say(b"d NOOP")
    await talk.finish()


async def test_a_bug_while_idling_ends_the_session(server: World, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = await logged_in(server, "INBOX")
    talk.connection.send(b"c IDLE\r\n")
    await talk.until(b"+ idling")

    async def broken(session: Session, which: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(news, "tell", broken)
    await server.deliver(simple_message(1))
    assert await talk.rest() == b"* BYE Internal error\r\n"
    await talk.finish()


async def test_a_new_message_is_told_at_once_while_idling(server: World) -> None:
    talk = await logged_in(server, "INBOX")
    talk.connection.send(b"c IDLE\r\n")
    await talk.until(b"+ idling")
    loop = asyncio.get_running_loop()
    for number in range(1, 6):
        await server.deliver(simple_message(number))
        began = loop.time()
        await talk.until(b"* %d EXISTS" % number)
        assert loop.time() - began < 1
    await talk.finish()


async def test_a_slow_reader_holds_a_bounded_amount(tmp_path: Path) -> None:
    """Responses are made as the client takes them: what waits is bounded, whatever was asked for."""
    async with world(tmp_path) as server:
        body = b"x" * 78 + b"\r\n"
        for _ in range(8):
            await server.deliver(b"Subject: large\r\n\r\n" + body * 20_000)
        for number in range(1, 200):
            await server.deliver(simple_message(number) + body * 200)
        talk = await logged_in(server, "INBOX")
        talk.connection.send(b"c FETCH 1:* BODY.PEEK[]\r\n")
        waiting = 0
        received = 0
        while True:
            for _ in range(50):  # let it make as much as it will
                await asyncio.sleep(0)
            data = await asyncio.wait_for(talk.connection.receive(), 10)
            waiting = max(waiting, len(data))
            received += len(data)
            if b"c OK FETCH" in data[-100:]:
                break
        assert received > 8 * 1_600_000
        assert waiting < 2_500_000
        await talk.finish()


async def test_a_long_answer_lets_others_have_their_turn(server: World) -> None:
    for number in range(1, 20):
        await server.deliver(simple_message(number))
    busy, other = await logged_in(server, "INBOX"), await logged_in(server)
    for _ in range(8):  # 19 * 2^8 messages
        assert b"c OK" in await busy.say(b"c COPY 1:* INBOX")
    busy.connection.send(b"d FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE)\r\n" * 3)
    taking = asyncio.ensure_future(busy.until(b"d OK"))
    loop = asyncio.get_running_loop()
    longest = 0.0
    for number in range(10):
        began = loop.time()
        await other.say(b"n%d NOOP" % number)
        longest = max(longest, loop.time() - began)
    assert longest < 0.5
    await taking
    await busy.finish()
    await other.finish()


@pytest.mark.parametrize("idling", [False, True])
async def test_a_disabled_account_reads_no_more(server: World, monkeypatch: pytest.MonkeyPatch, idling: bool) -> None:
    monkeypatch.setattr("pennypost.servers.imap.session.ADMITTED_SECONDS", 0.0)
    talk = await logged_in(server, "INBOX")
    if idling:
        talk.connection.send(b"c IDLE\r\n")
        await talk.until(b"+ idling")
    await server.store.write(lambda tx: directory.set_enabled(tx, server.alice.id, False))
    if idling:
        await server.deliver(simple_message(1))
    else:
        talk.connection.send(b"c FETCH 1 BODY[]\r\n")
    assert (await talk.rest()) == b"* BYE Account is disabled\r\n"
    await talk.finish()
