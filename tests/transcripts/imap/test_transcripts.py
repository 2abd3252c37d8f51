"""Plays every IMAP transcript. Headers they may have beside the runner's own:

% messages: 3                 the INBOX holds so many `simple_message`s
% message: multipart.eml      … and this one, from the folder `messages`
% clear: no                   no password in clear, not even on loopback
% quota: 2048                 alice's, in octets
% append-limit: 1000
% administrator: alice@example.org
% message-limit: 3            % save-limit: 3
% comment: what the server says of itself
% referral: alice@example.org imap://alice@imap.example.net/
"""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.transcripts.imap.server import FIRST_ARRIVAL, simple_message, with_settings, world
from tests.transcripts.runner import case_id, cases, play
from tests.transcripts.script import parse

from pennypost.model.units import MIB, Octets

HERE = Path(__file__).parent


@pytest.mark.parametrize(("path", "way"), cases(HERE), ids=case_id)
async def test_transcript(path: Path, way: str, tmp_path: Path) -> None:
    transcript = parse(path.read_text("utf-8"))  # noqa: ASYNC240 - nothing waits

    def header(name: str) -> str | None:
        found = transcript.headers.get(name)
        return found[0] if found else None

    settings = with_settings(
        clear_text_login_on_loopback=header("clear") != "no",
        administrators=tuple(transcript.headers.get("administrator", ())),
        comment=header("comment") or "",
        annotation_size=Octets(1024),
        message_limit=int(header("message-limit") or 0),
        save_limit=int(header("save-limit") or 0),
    )
    quota = header("quota")
    limit = int(header("append-limit") or 50 * MIB)
    async with world(tmp_path, settings, int(quota) if quota else None, limit) as server:
        for number in range(1, int(header("messages") or 0) + 1):
            await server.deliver(simple_message(number), at=FIRST_ARRIVAL + timedelta(hours=number))
        for name in transcript.headers.get("message", []):
            octets = (HERE / "messages" / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            await server.deliver(octets)
        for line in transcript.headers.get("referral", []):
            await server.refer(*line.split())
        await play(transcript, way, server)
