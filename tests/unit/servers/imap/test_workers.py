"""A session of one worker sees at once what another worker did."""

import asyncio
from pathlib import Path

from tests.transcripts.imap.server import AUTH, CLEAR, World, simple_message, world
from tests.unit.servers.imap.test_session import logged_in

from pennypost.mail.authenticate import Authenticator
from pennypost.mail.prepare import Preparer
from pennypost.mail.settings import DeliverySettings
from pennypost.model.units import MIB
from pennypost.servers.imap.door import ImapDoor
from pennypost.store.store import Store


async def test_changes_cross_workers(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await one.deliver(simple_message(1))
        store = await Store.open(one.store.settings, worker=1)
        preparer = Preparer(store, DeliverySettings())
        try:
            door = ImapDoor(store, Authenticator(store, AUTH, b"x" * 32), preparer, CLEAR, 50 * MIB)
            other = World(store, door, one.alice, one.bob)
            first, second = await logged_in(one, "INBOX"), await logged_in(other, "INBOX")
            answer = await first.say(b"c STORE 1 +FLAGS.SILENT (\\Flagged)")
            assert answer == b"c OK STORE completed\r\n"
            assert b"* 1 FETCH (FLAGS (\\Flagged))" in await second.say(b"c NOOP")
            second.connection.send(b"d IDLE\r\n")
            await second.until(b"+ idling")
            await one.deliver(simple_message(2))
            loop = asyncio.get_running_loop()
            began = loop.time()
            await second.until(b"* 2 EXISTS")
            assert loop.time() - began < 1
            await first.finish()
            await second.finish()
        finally:
            preparer.close()
            await store.close()
