"""Python's own IMAP client, over a real socket."""

import asyncio
import imaplib
from datetime import timedelta
from pathlib import Path

from tests.transcripts.imap.server import simple_message, world

from pennypost.net.listener import Listener, bind_tcp
from pennypost.net.settings import ListenerLimits


def session(port: int) -> None:
    with imaplib.IMAP4("127.0.0.1", port, timeout=10) as client:
        assert "IMAP4REV1" in client.capabilities
        assert client.login("alice@example.org", "secret")[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"3"])
        assert client.search(None, "SUBJECT", '"Message 2"') == ("OK", [b"2"])
        status, data = client.fetch("2", "(UID RFC822.SIZE BODY.PEEK[TEXT])")
        assert status == "OK"
        assert data[0] == (b"2 (UID 2 RFC822.SIZE 166 BODY[TEXT] {20}", b"Body of message 2.\r\n")
        assert client.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])
        assert client.append("Sent", "(\\Seen)", "", b"Subject: sent\r\n\r\nbody\r\n")[0] == "OK"
        assert client.status("Sent", "(MESSAGES UNSEEN)") == ("OK", [b'"Sent" (MESSAGES 1 UNSEEN 0)'])
        assert client.uid("MOVE", "2", "Archive")[0] == "OK"
        assert client.uid("SEARCH", "ALL") == ("OK", [b"3"])
        assert client.close()[0] == "OK"


async def test_imaplib(tmp_path: Path) -> None:
    async with world(tmp_path) as server:
        for number in range(1, 4):
            await server.deliver(simple_message(number))
        listener = Listener("imap", server.handler, limits=ListenerLimits(), refusal=b"")
        for sock in bind_tcp("127.0.0.1", 0):
            await listener.open(sock)
        try:
            await asyncio.to_thread(session, int(listener.addresses[0][1]))
        finally:
            await listener.stop(timedelta(seconds=5))
