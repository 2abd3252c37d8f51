"""Fuzzes the SMTP machine. Invariant: whatever octets come, however they are cut, the machine gives the same events
(but for the cut of messages), raises PeerError at most, and keeps no more than one line.

    python -m tests.fuzz.smtp [SECONDS] [SEED]
"""

import random

from tests.fuzz._driver import command, fuzz

from pennypost.model.errors import PeerError
from pennypost.proto.smtp import Flavour, Offer, Reply, SmtpServerSession
from pennypost.proto.smtp.events import (
    Answer,
    Authenticate,
    AuthResponse,
    BodyChunk,
    BodyEnd,
    ChunkEnd,
    DataStart,
    Event,
    Hello,
    Quit,
    StartTls,
)
from pennypost.proto.smtp.limits import MAX_AUTH_LINE
from pennypost.proto.smtp.reply import challenge

LARGEST_PIECE = 4096

SEEDS = [
    b"EHLO c\r\nMAIL FROM:<a@b> SIZE=10\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\nDATA\r\nx\r\n..\r\n.\r\nQUIT\r\n",
    b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nBDAT 3\r\na\r\nBDAT 0 LAST\r\nRSET\r\nNOOP\r\n",
    b"EHLO c\r\nAUTH PLAIN\r\nAGEAYg==\r\nAUTH PLAIN =\r\n*\r\nHELP\r\nVRFY a\r\nEXPN a\r\n",
    b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\na\n.\nb\r.\rc\r\n.\n\r\n.\r\nSTARTTLS\r\nNOOP\r\n",
    b'HELO c\r\nMAIL FROM:<@x,@y:a@b> ENVID=a+2B RET=HDRS\r\nRCPT TO:<"a b"@[IPv6:::1]> ORCPT=rfc822;a+40b\r\n',
]
PARTS = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b".",
    b"\r\n.\r\n",
    b"\n.\n",
    b" ",
    b"<",
    b"\xff",
    "ä".encode(),
    b"9" * 12,
    b"A" * 600,
    b"BDAT 5\r\n",
    b"DATA\r\n",
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<a@b>\r\n",
    b"SMTPUTF8",
]
OFFERS = [Offer("h", flavour, 200, 3, 5, True, ("PLAIN",), ("PLAIN", "SCRAM-SHA-256")) for flavour in Flavour]


def replies(session: SmtpServerSession, event: Event) -> list[Reply]:
    """Agree to everything; ask for one more response in an exchange."""
    match event:
        case Answer(reply):
            return [reply]
        case Hello(_, extended):
            return [session.hello_reply(extended)]
        case DataStart():
            return [Reply(354, None, ("Go on",))]
        case StartTls():
            return [Reply(220, None, ("Ready",))]
        case Quit():
            return [Reply(221, "2.0.0", ("Bye",))]
        case Authenticate(_, None):
            return [challenge(b"")]
        case Authenticate() | AuthResponse():
            return [Reply(235, "2.7.0", ("Welcome",))]
        case BodyChunk():
            return []
        case BodyEnd(_, problem) | ChunkEnd(_, problem) if problem is not None:
            return [Reply(550, problem.status, (problem.reason,))] * session.replies_due
        case _:
            return [Reply(250, "2.0.0", ("OK",))] * session.replies_due


def events_of(pieces: list[bytes], offer: Offer) -> list[str]:
    """Feed pieces; give what happened, the octets of a message joined, and what ended the session early."""
    session = SmtpServerSession(offer)
    session.send(session.greeting())
    happened: list[str] = []
    octets = b""
    refused = False
    for piece in pieces:
        session.receive_data(piece)
        try:
            while (event := session.next_event()) is not None:
                if isinstance(event, BodyChunk):
                    assert not refused
                    octets += event.octets
                    assert len(octets) <= offer.max_message_size
                    continue
                if isinstance(event, BodyEnd | ChunkEnd):
                    refused = isinstance(event, ChunkEnd) and event.problem is not None
                    # How much is given out before a problem is found depends on the cut.
                    happened.append(repr(octets) if event.problem is None else type(event.problem).__name__)
                    if isinstance(event, BodyEnd) or refused:
                        octets = b""
                        refused = False
                    happened.append(f"{type(event).__name__} {event.size}")
                else:
                    happened.append(repr(event))
                for reply in replies(session, event):
                    sent = session.send(reply)
                    assert sent.endswith(b"\r\n")
                if isinstance(event, StartTls):
                    # What comes before the handshake is dropped, how much that is depends on the cut: end here.
                    return happened
        except PeerError as error:
            return [*happened, str(error)]
        assert len(session._lines) <= MAX_AUTH_LINE
    return happened


def cut(octets: bytes, chance: random.Random) -> list[bytes]:
    """Cut at random places, often at every octet."""
    size = chance.choice([1, 2, 3, 10, 100, LARGEST_PIECE])
    pieces = []
    while octets:
        length = chance.randint(1, size)
        pieces.append(octets[:length])
        octets = octets[length:]
    return pieces


def mutate(octets: bytes, chance: random.Random) -> bytes:
    """Insert, delete, double, and change."""
    data = bytearray(octets)
    for _ in range(chance.randint(0, 8)):
        at = chance.randint(0, len(data))
        match chance.randint(0, 3):
            case 0:
                data[at:at] = chance.choice(PARTS)
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 40)]
            case _:
                data[at : at + 1] = bytes((chance.randint(0, 255),))
    return bytes(data)


def check(octets: bytes, chance: random.Random) -> None:
    """Hold the invariant against one stream."""
    offer = chance.choice(OFFERS)
    whole = events_of([octets[i : i + LARGEST_PIECE] for i in range(0, len(octets), LARGEST_PIECE)], offer)
    assert events_of(cut(octets, chance), offer) == whole, octets


def once(chance: random.Random) -> None:
    """Try one stream: up to three conversations, each mutated."""
    check(b"".join(mutate(chance.choice(SEEDS), chance) for _ in range(chance.randint(1, 3))), chance)


def main(seconds: float = 10.0, seed: int | None = None) -> int:
    """Fuzz for a time; give how many conversations were tried."""
    return fuzz("smtp", once, seconds, seed)


if __name__ == "__main__":
    command("smtp", main)
