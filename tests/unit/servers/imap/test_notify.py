"""NOTIFY (RFC 5465) beyond what transcripts show: several workers, too much to watch, what a session leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.transcripts.imap.server import AUTH, CLEAR, World, simple_message, with_settings, world
from tests.unit.servers.imap.test_session import Talk, logged_in

from pennypost.mail.authenticate import Authenticator
from pennypost.mail.prepare import Preparer
from pennypost.mail.settings import DeliverySettings
from pennypost.model.errors import ServerBusy
from pennypost.model.units import MIB
from pennypost.servers.imap import survey
from pennypost.servers.imap.door import ImapDoor
from pennypost.store import mailboxes
from pennypost.store.store import Store

EVERYTHING = (
    b"n NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange)) "
    b"(PERSONAL (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange))"
)


@asynccontextmanager
async def second_worker(one: World) -> AsyncIterator[World]:
    """Open the store of a world once more, as another worker does."""
    store = await Store.open(one.store.settings, worker=1)
    preparer = Preparer(store, DeliverySettings())
    try:
        door = ImapDoor(store, Authenticator(store, AUTH, b"x" * 32), preparer, CLEAR, 50 * MIB)
        yield World(store, door, one.alice, one.bob)
    finally:
        preparer.close()
        await store.close()


async def test_what_another_worker_does_is_told_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as one, second_worker(one) as other:
        await one.deliver(simple_message(1))
        here, there = await logged_in(one, "INBOX"), await logged_in(other, "INBOX")
        assert b"n OK" in await here.say(EVERYTHING)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await there.say(b"c STORE 1 +FLAGS.SILENT (\\Flagged)")
        assert b"UID 1 FLAGS (" in await here.until(b"* 1 FETCH")
        await other.deliver(simple_message(2))
        await here.until(b"* 2 EXISTS")
        await here.until(b"* 2 FETCH")
        await other.deliver(simple_message(3), mailbox="Archive")
        assert b"MESSAGES 1" in await here.until(b'* STATUS "Archive"')
        await there.say(b"d CREATE New/Below")
        await here.until(b'* LIST (\\HasNoChildren) "/" "New/Below"')
        await there.say(b"e SETMETADATA New (/shared/comment {3+}\r\nyes)")
        await here.until(b'* METADATA "New" /shared/comment')
        assert loop.time() - began < 2
        await here.finish()
        await there.finish()


async def test_more_mailboxes_than_may_be_watched(tmp_path: Path) -> None:
    async with world(tmp_path, with_settings(watched_mailboxes=7)) as server:
        talk = await logged_in(server)
        assert b"n OK" in await talk.say(b"n NOTIFY SET (PERSONAL (MailboxName))")
        await server.store.write(lambda tx: mailboxes.create(tx, server.alice.id, "Seventh"))
        await talk.until(b'* LIST (\\HasNoChildren) "/" "Seventh"')
        await server.store.write(lambda tx: mailboxes.create(tx, server.alice.id, "Eighth"))
        await talk.until(b"* OK [NOTIFICATIONOVERFLOW]")
        await server.store.write(lambda tx: mailboxes.create(tx, server.alice.id, "Ninth"))
        assert await talk.say(b"o NOOP") == b"o OK NOOP completed\r\n"  # as after NOTIFY NONE (RFC 5465 §5.8)
        assert (await talk.say(b"p NOTIFY SET (INBOXES (MailboxName))")).startswith(b"p NO [NOTIFICATIONOVERFLOW]")
        assert b"q OK" in await talk.say(b"q NOTIFY SET (SUBTREE INBOX (MessageNew MessageExpunge))")
        await server.deliver(simple_message(1))
        await talk.until(b"* STATUS INBOX")
        await talk.finish()


async def test_a_refused_notify_leaves_what_was_there(tmp_path: Path) -> None:
    async with world(tmp_path, with_settings(watched_mailboxes=1)) as server:
        talk = await logged_in(server)
        assert b"n OK" in await talk.say(b"n NOTIFY SET (MAILBOXES INBOX (MessageNew MessageExpunge))")
        for refused in (b"(PERSONAL (MailboxName))", b"(PERSONAL (Whatever))", b"(SELECTED (FlagChange))"):
            assert b"o OK" not in await talk.say(b"o NOTIFY SET " + refused)
        await server.deliver(simple_message(1))
        await talk.until(b"* STATUS INBOX")
        await talk.finish()


async def test_many_events_become_one(tmp_path: Path) -> None:
    """What a client does not take in time does not pile up: it is told the last state."""
    async with world(tmp_path) as server:
        talk = await logged_in(server)
        await talk.say(b"n NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
        await asyncio.gather(*[server.deliver(simple_message(number), mailbox="Archive") for number in range(1, 51)])
        told = b""
        while b"MESSAGES 50" not in told:
            told += await talk.until(b'* STATUS "Archive"')
        assert told.count(b"* STATUS") < 50
        assert await talk.say(b"o NOOP") == b"o OK NOOP completed\r\n"
        await talk.finish()


async def test_nothing_is_listened_to_once_it_is_over(tmp_path: Path) -> None:
    async with world(tmp_path) as server:
        talk = await logged_in(server, "INBOX")
        listeners = server.store._notices._subscribers
        assert server.alice.id not in listeners
        await talk.say(EVERYTHING)
        await talk.say(EVERYTHING)
        assert len(listeners[server.alice.id]) == 1
        await talk.say(b"o NOTIFY NONE")
        assert server.alice.id not in listeners
        await talk.say(EVERYTHING)
        await talk.finish()
        assert server.alice.id not in listeners


@pytest.mark.parametrize("problem", [ServerBusy(), RuntimeError("a bug")])
async def test_a_store_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    async def fail(*_: object) -> None:
        raise problem

    async with world(tmp_path) as server:
        talk: Talk = await logged_in(server)
        await talk.say(b"n NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
        monkeypatch.setattr(survey, "follow", fail)
        await server.deliver(simple_message(1))
        await talk.until(b"* OK [NOTIFICATIONOVERFLOW]")
        assert await talk.say(b"o NOOP") == b"o OK NOOP completed\r\n"
        await talk.finish()
