"""SMTP, submission and LMTP, played against their doors with a small intake behind them.

Headers: `% door: smtp|submission|lmtp`; `% set: name value` for SmtpSettings; `% hold: seconds` for how long a
submission may be held; `% stored: octets` for each message that
has to be stored at the end, in order; `% to: addresses` for the recipients of each.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.transcripts.runner import case_id, cases, play
from tests.transcripts.script import Transcript, parse, unescape
from tests.transcripts.smtp.intake import FakeAuthenticator, FakeIntake

from pennypost.proto.smtp import Flavour
from pennypost.servers.smtp import BareCr, EarlyTalker, SmtpDoor, SmtpSettings

FLAVOURS = {"smtp": Flavour.SMTP, "submission": Flavour.SUBMISSION, "lmtp": Flavour.LMTP}

SETTINGS = {
    "max_errors": int,
    "max_idle_commands": int,
    "max_messages": int,
    "max_login_failures": int,
    "submission_requires_tls": lambda text: text == "true",
    "receive_requires_tls": lambda text: text == "true",
    "clear_text_login_on_loopback": lambda text: text == "true",
    "greeting_delay": lambda text: timedelta(milliseconds=int(text)),
    "text_timeout": lambda text: timedelta(milliseconds=int(text)),
    "early_talker": EarlyTalker,
    "bare_cr": BareCr,
}


def _read(path: Path) -> Transcript:
    return parse(path.read_text("utf-8"))


@pytest.mark.parametrize(("path", "way"), cases(Path(__file__).parent), ids=case_id)
async def test_transcript(path: Path, way: str) -> None:
    transcript = _read(path)
    chosen = {"greeting_delay": "0"}
    for line in transcript.headers.get("set", ()):
        name, value = line.split()
        chosen[name] = value
    settings = SmtpSettings(**{name: SETTINGS[name](value) for name, value in chosen.items()})
    flavour = FLAVOURS[transcript.headers.get("door", ("smtp",))[0]]
    intake = FakeIntake()
    authenticator = FakeAuthenticator() if flavour is Flavour.SUBMISSION else None
    hold = timedelta(seconds=int(transcript.headers.get("hold", ("0",))[0]))
    door = SmtpDoor(flavour, intake, settings, "mx.example.org", authenticator, max_hold=hold)
    await play(transcript, way, door)
    assert [text for _, _, _, text in intake.stored] == [unescape(t) for t in transcript.headers.get("stored", ())]
    if "to" in transcript.headers:
        got = [" ".join(str(recipient.address) for recipient in taken) for _, _, taken, _ in intake.stored]
        assert got == list(transcript.headers["to"])
    assert intake.open == 0, "a transaction was not ended"
