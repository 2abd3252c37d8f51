r"""Plays the next host's part of a session against our client: what it says, and what it has to be told.

A transcript is a text file in UTF-8; on the wire each line ends with CRLF.

    # a comment; empty lines are for the eye
    % to: alice@example.org bob@example.org     recipients of the one message that is sent
    % lmtp: yes          % body: 8BITMIME        % smtputf8: yes       % chunking: no
    % text: Subject: x|||line|.dot|              the message, "|" is CRLF
    S: 220 next.example          the next host says this line
    C: EHLO me.example           it is told exactly this line
    C~: a\r\n                    it is told exactly these octets; escapes: \r \n \xNN
    S: <close>                   it closes the connection

    = alice@example.org 250 2.0.0 kept           what came of a recipient: the reply
    = bob@example.org -                          nothing was said of it
    ! MAIL: the connection was closed at MAIL     how the session failed

Each is played with whole lines and octet by octet.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from tests.transcripts.peer import Hears, Peer, Says
from tests.unit.clients.peers import listening

from pennypost.clients.smtp import SessionFailed, SmtpClient, SmtpTimeouts, Transaction
from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Recipient
from pennypost.net.outbound import connect

FOLDER = Path(__file__).parent
PATIENCE = timedelta(seconds=10)


@dataclass
class Transcript:
    headers: dict[str, str] = field(default_factory=dict)
    steps: list[Says | Hears] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)


def read(file: Path) -> Transcript:
    transcript = Transcript()
    for line in file.read_text("utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        match kind:
            case "" | "#":
                pass
            case "%":
                name, _, value = rest.partition(": ")
                transcript.headers[name] = value
            case "=" | "!":
                transcript.outcome.append(line)
            case "S:":
                transcript.steps.append(Says(b"" if rest == "<close>" else rest.encode() + b"\r\n"))
            case "C:":
                transcript.steps.append(Hears(rest.encode() + b"\r\n"))
            case "C~:":
                transcript.steps.append(Hears(rest.encode("latin-1").decode("unicode_escape").encode("latin-1")))
            case _:
                raise ValueError(f"{file.name}: {line}")
    return transcript


async def speak(transcript: Transcript, port: int) -> tuple[Envelope, Transaction | SessionFailed]:
    headers = transcript.headers
    recipients = tuple(Recipient(Address(*to.split("@"))) for to in headers.get("to", "alice@example.org").split())
    body = BodyType(headers.get("body", "7BIT"))
    envelope = Envelope(Address("me", "me.example"), recipients, body, "smtputf8" in headers)
    text = headers.get("text", "Subject: x||y|").replace("|", "\r\n").encode()
    timeouts = SmtpTimeouts(*(PATIENCE,) * 8)
    connection = await connect("127.0.0.1", port, patience=PATIENCE, read_patience=PATIENCE)
    client = SmtpClient(connection, timeouts, lmtp="lmtp" in headers, chunking=headers.get("chunking") != "no")
    try:
        await client.begin("me.example")
        done = await client.send(envelope, text)
        await client.quit()
    except SessionFailed as failure:
        return envelope, failure
    finally:
        connection.close()
    return envelope, done


def outcome(envelope: Envelope, done: Transaction | SessionFailed) -> list[str]:
    if isinstance(done, SessionFailed):
        return [f"! {done}"]
    lines = [
        f"= {recipient.address} {answer.said.text if answer is not None else '-'}"
        for recipient, answer in zip(envelope.recipients, done.answers, strict=True)
    ]
    return lines + ([f"! {done.failure}"] if done.failure is not None else [])


@pytest.mark.parametrize("piece", [1000, 1], ids=["lines", "octets"])
@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.txt")))
async def test_transcript(name: str, piece: int) -> None:
    transcript = read(FOLDER / f"{name}.txt")
    host = Peer(transcript.steps, piece)
    async with listening(host.serve) as endpoint:
        envelope, done = await speak(transcript, endpoint.port)
        assert await host.finished() is None
    assert outcome(envelope, done) == transcript.outcome
