"""QRESYNC where the log of changes does not go back far enough (RFC 7162 §3.2.5.2)."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.transcripts.imap.server import simple_message, world
from tests.unit.servers.imap.test_session import logged_in

from pennypost.servers.imap import resync
from pennypost.servers.imap.session import Session
from pennypost.store import changes


@pytest.mark.parametrize("asked", [b"1:*", b"1:9"])
async def test_what_comes_meanwhile_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bytes) -> None:
    last_uid = resync._last_uid

    async with world(tmp_path) as server:

        async def with_a_delivery(session: Session) -> int:
            await server.deliver(simple_message(4))
            return await last_uid(session)

        for number in range(1, 4):
            await server.deliver(simple_message(number))
        talk = await logged_in(server)
        await talk.say(b"a ENABLE QRESYNC")
        await talk.say(b"b SELECT INBOX")
        await talk.say(b"c UID STORE 1,3 +FLAGS.SILENT (\\Deleted)")
        await talk.say(b"d EXPUNGE")
        await server.store.write(lambda tx: changes.prune(tx, server.alice.id, -timedelta.resolution))
        monkeypatch.setattr(resync, "_last_uid", with_a_delivery)
        answer = await talk.say(b"e UID FETCH %b (UID) (CHANGEDSINCE 1 VANISHED)" % asked)
        assert answer.startswith(b"* VANISHED (EARLIER) 1,3\r\n* 1 FETCH (UID 2 ")
        await talk.finish()
