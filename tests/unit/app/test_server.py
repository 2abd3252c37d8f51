"""One worker's server, in the process of its tests."""

import asyncio
import time
from pathlib import Path

import pytest

from pennypost.app.config.load import load_config
from pennypost.app.figures import Figures
from pennypost.app.server import Server
from pennypost.net.busy_poll import QUICK_READS, BusyPoll
from pennypost.net.listener import bind_tcp
from pennypost.net.self_signed import ensure_self_signed


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_quick_client_is_looked_for_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr("pennypost.net.busy_poll.POLL_SECONDS", 60.0)
    monkeypatch.setattr("pennypost.net.inbox.POLL_SECONDS", 60.0)
    poll = BusyPoll()
    monkeypatch.setattr("pennypost.app.server.busy_poll", lambda wanted: poll if wanted else None)
    config = load_config(None, [f"server.data_dir={tmp_path}", f"server.busy_poll={str(wanted).lower()}"]).config
    server = Server(config, (ensure_self_signed(tmp_path, "mx.example.org"),), Figures())
    sockets = {"imap": bind_tcp("127.0.0.1", 0)}
    address = sockets["imap"][0].getsockname()
    try:
        await server.start(sockets)
        reader, writer = await asyncio.open_connection(*address)
        await reader.readline()
        for _ in range(QUICK_READS + 1):
            writer.write(b"x NOOP\r\n")
            assert (await reader.readline()).startswith(b"x OK")
        assert poll.is_due(time.monotonic()) is wanted
        writer.close()
    finally:
        await server.stop()
