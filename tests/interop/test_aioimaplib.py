"""aioimaplib, a client for asyncio that waits for news in IDLE and sends commands side by side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.interop.tools import imap
from tests.running import Account, RunningServer

aioimaplib: Any = pytest.importorskip("aioimaplib")

MESSAGE = b"From: a@example.net\r\nSubject: %b\r\n\r\nText\r\n"


@asynccontextmanager
async def logged_in(server: RunningServer, account: Account) -> AsyncIterator[Any]:
    client = aioimaplib.IMAP4_SSL("localhost", server.ports["imaps"], timeout=20, ssl_context=server.tls)
    await client.wait_hello_from_server()
    try:
        assert (await client.login(account.name, account.password)).result == "OK"
        yield client
        await client.logout()
    finally:  # it leaves its connection to the garbage collector
        client.protocol.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)


async def test_news_in_idle(server: RunningServer, account: Account) -> None:
    async with logged_in(server, account) as client:
        assert (await client.select("INBOX")).result == "OK"
        idle = await client.idle_start(timeout=60)

        def change() -> None:
            with imap(server, account) as other:
                assert other.append("INBOX", None, None, MESSAGE % b"one")[0] == "OK"
                other.select()
                other.store("1", "+FLAGS", r"(\Flagged)")

        await asyncio.to_thread(change)
        heard: list[bytes] = []
        while not any(b"FETCH" in line for line in heard):
            heard += await client.wait_server_push()
        assert b"1 EXISTS" in heard
        client.idle_done()
        await asyncio.wait_for(idle, 10)
        answer = await client.uid("fetch", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        assert answer.result == "OK"
        assert b"Flagged" in answer.lines[0]
        assert answer.lines[1] == b"Subject: one\r\n\r\n"


async def test_commands_side_by_side(server: RunningServer, account: Account) -> None:
    async with logged_in(server, account) as client:
        for number in range(5):
            assert (await client.append(MESSAGE % str(number).encode())).result == "OK"
        await client.select("INBOX")
        answers = await asyncio.gather(
            client.uid_search("SUBJECT 3"),
            client.fetch("1:*", "(UID FLAGS)"),
            client.status("Trash", "(MESSAGES)"),
            client.uid("copy", "1:2", "Archive"),
            client.namespace(),
        )
        assert [answer.result for answer in answers] == ["OK"] * 5
        assert answers[0].lines[0] == b"4"
        assert len([line for line in answers[1].lines if b" FETCH (" in line]) == 5
        assert (await client.uid("move", "3", "Trash")).result == "OK"
        assert (await client.expunge()).result == "OK"
        assert b"MESSAGES 2" in (await client.status("Archive", "(MESSAGES)")).lines[0]
