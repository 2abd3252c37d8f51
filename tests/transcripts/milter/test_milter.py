r"""Plays a filter's part of a conversation with our milter client: what it says, and what it has to be told.

A transcript is a text file. Each packet is a line: its letter and its data; the length before them is put there.

    # a comment; empty lines are for the eye
    % text: Subject: x|||line|      the message, "|" is CRLF
    % to: a@x.test b@x.test         its recipients
    C: M <carl@example.org>\0       we say this; escapes: \0 \n \xNN, and "\ " for a blank at the beginning
    M: c                            the filter says this
    M: <close>                      it closes the connection

    = sender: accept                what we made of it, moment by moment: ruling and note
    = header: …                     a change of the header
    ! sender: it hung up            how a moment failed

Each is played with whole packets and octet by octet.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from tests.transcripts.peer import Hears, Peer, Says
from tests.unit.clients.peers import VISIT, listening

from pennypost.clients.milter import Milter, MilterSettings
from pennypost.clients.screening.guard import TROUBLE
from pennypost.clients.screening.shape import Opinion, Screening, Specimen
from pennypost.message.headers import split
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.net.endpoint import TcpEndpoint

FOLDER = Path(__file__).parent


@dataclass
class Transcript:
    headers: dict[str, str] = field(default_factory=dict)
    steps: list[Says | Hears] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)


def octets(text: str) -> bytes:
    """Give a packet; nothing for the end of the connection."""
    if text == "<close>":
        return b""
    letter, _, rest = text.partition(" ")
    data = rest.encode("latin-1").decode("unicode_escape").encode("latin-1") if rest else b""
    return (len(data) + 1).to_bytes(4) + letter.encode() + data


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
            case "C:":
                transcript.steps.append(Hears(octets(rest)))
            case "M:":
                transcript.steps.append(Says(octets(rest)))
            case _:
                raise ValueError(f"{file.name}: {line}")
    return transcript


def told(moment: str, opinion: Opinion) -> list[str]:
    lines = [f"= {moment}: {opinion.ruling.value}{' ' if opinion.note else ''}{opinion.note}"]
    lines += [f"= header: {change}" for change in opinion.header]
    if opinion.sender is not None:
        lines.append(f"= sender is {opinion.sender[0]}")
    return (
        lines + [f"= to {address}" for address in opinion.add] + [f"= not to {address}" for address in opinion.remove]
    )


async def speak(transcript: Transcript, address: TcpEndpoint) -> list[str]:
    settings = MilterSettings(name="test", address=address, timeout=timedelta(seconds=5))
    screening = Milter(settings).begin(VISIT)
    outcome: list[str] = []
    try:
        return await _moments(transcript, screening, outcome)
    finally:
        screening.end()


async def _moments(transcript: Transcript, screening: Screening, outcome: list[str]) -> list[str]:
    headers = transcript.headers
    envelope = Envelope(Address("carl", "example.org"), declared_size=100)
    moment = "sender"
    try:
        opinion = await screening.sender(envelope)
        outcome += told(moment, opinion)
        accepted: list[Recipient] = []
        for to in headers.get("to", "a@x.test").split() if not opinion.finished else ():
            moment = "recipient"
            recipient = Recipient(Address(*to.split("@")))
            opinion = await screening.recipient(envelope, recipient)
            outcome += told(moment, opinion)
            if opinion.finished:
                return outcome
            if opinion.reply is None:
                accepted.append(recipient)
        if accepted:
            moment = "message"
            header, body = split(headers.get("text", "Subject: x||y|").replace("|", "\r\n").encode())
            new = bytearray()
            shown = Specimen(envelope, header, memoryview(body), replace_body=new.extend)
            outcome += told(moment, await screening.message(shown))
            if new:
                outcome.append(f"= body: {bytes(new)!r}")
    except TROUBLE as problem:
        outcome.append(f"! {moment}: {problem}")
    return outcome


@pytest.mark.parametrize("piece", [1000, 1], ids=["packets", "octets"])
@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.txt")))
async def test_transcript(name: str, piece: int) -> None:
    transcript = read(FOLDER / f"{name}.txt")
    milter = Peer(transcript.steps, piece)
    async with listening(milter.serve) as address:
        outcome = await speak(transcript, address)
        assert await milter.finished() is None
    assert outcome == transcript.outcome
