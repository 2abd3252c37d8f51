"""Fuzzes the POP3 machine. Invariant: whatever octets come, however they are cut, the machine gives the same events,
raises PeerError at most, and keeps no more than one line.

    python -m tests.fuzz.pop3 [SECONDS] [SEED]
"""

import random

from tests.fuzz._driver import command, fuzz

from pennypost.model.errors import PeerError
from pennypost.proto.pop3 import (
    Authenticate,
    BadCommand,
    Challenge,
    Err,
    Event,
    Offer,
    Ok,
    Pop3ServerSession,
    Response,
    SaslResponse,
    State,
)
from pennypost.proto.pop3.session import COMMAND_LIMIT
from pennypost.proto.sasl import MAX_LINE

OFFER = Offer(mechanisms=("PLAIN", "SCRAM-SHA-256"), user=True, stls=True)
SEEDS = [
    b"CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nTOP 1 10\r\nDELE 1\r\nRSET\r\nQUIT\r\n",
    b"AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\nNOOP\r\nLANG *\r\nLIST 2\r\n",
    b"UTF8\r\nSTLS\r\nCAPA\r\nAUTH SCRAM-SHA-256 biws\r\n*\r\nAUTH PLAIN =\r\n",
]
PARTS = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"*",
    b"=",
    b"\xff",
    b"9" * 12,
    b"A" * 300,
    b"USER ",
    b"AUTH PLAIN ",
    b"STLS",
]


def answer(event: Event) -> Response:
    """Answer as a server would that lets everybody in after one challenge."""
    match event:
        case BadCommand(response, _):
            return response
        case Authenticate(_, None):
            return Challenge(b"")
        case SaslResponse(None):
            return Err("cancelled")
        case _:
            return Ok()


def events_of(pieces: list[bytes]) -> list[Event | str]:
    """Feed pieces; give the events, and what ended the session early."""
    machine = Pop3ServerSession(OFFER)
    events: list[Event | str] = []
    for piece in pieces:
        machine.receive_data(piece)
        try:
            while (event := machine.next_event()) is not None:
                events.append(event)
                octets = machine.send(answer(event))
                assert octets.endswith(b"\r\n")
        except PeerError as error:
            return [*events, str(error)]
        if machine.state is State.STARTING_TLS:
            # What comes before the handshake is dropped, how much that is depends on the cut: end here.
            return [*events, "TLS"]
        limit = MAX_LINE + 2 if machine.state is State.SASL else COMMAND_LIMIT
        assert len(machine._buffer) <= limit, "more than a line is kept"
    return events


def mutated(chance: random.Random, octets: bytes) -> bytes:
    """Change some octets of a conversation."""
    for _ in range(chance.randint(0, 6)):
        start = chance.randint(0, len(octets))
        end = chance.choice([start, start, start + chance.randint(0, 20)])
        part = chance.choice([chance.choice(PARTS), chance.randbytes(chance.randint(0, 8))])
        octets = octets[:start] + part + octets[end:]
    return octets


def once(chance: random.Random) -> None:
    """Try one conversation in two cuts. Raises AssertionError, or whatever the machine should not have."""
    octets = mutated(chance, chance.choice(SEEDS))
    pieces: list[bytes] = []
    position = 0
    while position < len(octets):
        size = chance.choice([1, 1, 2, chance.randint(1, 100)])
        pieces.append(octets[position : position + size])
        position += size
    whole, cut = events_of([octets]), events_of(pieces)
    assert whole == cut, f"{octets!r}: {whole} is not {cut}"


def main(seconds: float = 10.0, seed: int | None = None) -> int:
    """Fuzz for a time; give how many conversations were tried."""
    return fuzz("pop3", once, seconds, seed)


if __name__ == "__main__":
    command("pop3", main)
