"""Fuzzes the client's SMTP machine. Invariant: whatever octets come, however they are cut, the machine gives the same
events, raises PeerError at most, and keeps no more than one reply and one line.

    python -m tests.fuzz.smtp_client [SECONDS] [SEED]
"""

import random

from tests.fuzz._driver import command, fuzz
from tests.fuzz.smtp import cut, mutate

from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import PeerError
from pennypost.proto.smtp.client import Answered, Greeted, SmtpClientSession
from pennypost.proto.smtp.limits import MAX_AUTH_LINE, MAX_REPLY_OCTETS
from pennypost.proto.smtp.requests import Chunk, Data, Hello, Mail, Quit, Rcpt, Request, Reset, StartTls, Text, Verb

LARGEST_PIECE = 4096

SEEDS = [
    b"220 h ESMTP\r\n250-h\r\n250-PIPELINING\r\n250 SIZE 10\r\n250 ok\r\n250 ok\r\n354 go\r\n250 kept\r\n221 b\r\n",
    b"220-a\r\n220 b\r\n250-h\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 ok\r\n550-5.1.1 no\r\n550 5.1.1 no\r\n421 b\r\n",
    b"220 h\r\n500 what\r\n250 h\r\n250 ok\r\n250 ok\r\n354 go\r\n250 one\r\n450 two\r\n",
    b"554 go away\r\n221 bye\r\n",
]
TRANSACTION: tuple[Request, ...] = (
    Mail(Envelope(None), 3),
    Rcpt(Recipient(Address("a", "b"))),
    Rcpt(Recipient(Address("c", "d"))),
)


def follow(session: SmtpClientSession, verb: Verb, answered: Request | None, code: int) -> list[Request]:
    """Say what a client would send next."""
    good = code < 400
    match answered:
        case None:
            return [Hello(verb, "me")] if good else [Quit()]
        case Hello() if not good:
            return [Hello(Verb.HELO, "me")] if answered.verb is Verb.EHLO else [Quit()]
        case Hello():
            if not session.announced.pipelining:
                return [TRANSACTION[0]]
            return [*TRANSACTION, Chunk(b"x\r\n") if session.announced.chunking else Data()]
        case Mail() if not session.replies_due:
            return [TRANSACTION[1]] if good else [Quit()]
        case Rcpt() if not session.replies_due and not session.announced.pipelining:
            return [Data()]
        case Data() if code == 354:
            return [Text(b"x\r\n")]
        case Text() | Chunk() | Data() if not session.replies_due:
            return [Reset()] if session.needs_reset else [Quit()]
        case Reset():
            return [StartTls()]
    return []


def events_of(pieces: list[bytes], verb: Verb) -> list[str]:
    """Feed pieces; give what happened, and what ended the session early."""
    session = SmtpClientSession()
    happened: list[str] = []
    for piece in pieces:
        session.receive_data(piece)
        try:
            while (event := session.next_event()) is not None:
                happened.append(repr(event))
                if session.closed:
                    continue
                answered = event.request if isinstance(event, Answered) else None
                if isinstance(answered, StartTls) and event.reply.code < 400:
                    return happened  # what comes before the handshake is dropped, how much that is depends on the cut
                if isinstance(event, Greeted | Answered):
                    for request in follow(session, verb, answered, event.reply.code):
                        session.send(request)
        except PeerError as error:
            return [*happened, str(error)]
        assert len(session._reader) <= MAX_AUTH_LINE + MAX_REPLY_OCTETS
        assert session.replies_due <= len(TRANSACTION) + 1
    return happened


def check(octets: bytes, chance: random.Random) -> None:
    """Hold the invariant against one stream."""
    verb = chance.choice(list(Verb))
    whole = events_of([octets[i : i + LARGEST_PIECE] for i in range(0, len(octets), LARGEST_PIECE)], verb)
    assert events_of(cut(octets, chance), verb) == whole, octets


def once(chance: random.Random) -> None:
    """Try one stream: up to three conversations, each mutated."""
    check(b"".join(mutate(chance.choice(SEEDS), chance) for _ in range(chance.randint(1, 3))), chance)


def main(seconds: float = 10.0, seed: int | None = None) -> int:
    """Fuzz for a time; give how many conversations were tried."""
    return fuzz("smtp_client", once, seconds, seed)


if __name__ == "__main__":
    command("smtp_client", main)
