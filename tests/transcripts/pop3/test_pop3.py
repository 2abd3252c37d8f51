"""Every POP3 transcript, three ways, against a door on a real store."""

from pathlib import Path

import pytest
from tests.transcripts.pop3.server import pop3_door
from tests.transcripts.runner import case_id, cases, play
from tests.transcripts.script import parse


@pytest.mark.parametrize(("path", "way"), cases(Path(__file__).parent), ids=case_id)
async def test_transcript(path, way, tmp_path):
    transcript = parse(path.read_text("utf-8"))
    async with pop3_door(tmp_path, transcript.headers) as door:
        await play(transcript, way, door)
