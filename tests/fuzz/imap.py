"""Fuzzes the IMAP machine. Invariant: whatever octets come, however they are cut, the machine gives the same events
(a message's chunks taken together), raises PeerError at most, keeps no more than one command, and what was said before
TLS is never heard of again.

    python -m tests.fuzz.imap [SECONDS] [SEED]
"""

import random

from tests.fuzz._driver import command, fuzz

from pennypost.model.errors import PeerError
from pennypost.proto.imap.commands.authenticate import Authenticate
from pennypost.proto.imap.commands.idle import Idle
from pennypost.proto.imap.commands.starttls import StartTls
from pennypost.proto.imap.events import (
    AppendChunk,
    AppendStart,
    AppendText,
    AuthenticateResponse,
    BadCommand,
    Command,
    Event,
    LiteralRequested,
)
from pennypost.proto.imap.responses.status import bad, no, ok
from pennypost.proto.imap.session import ImapServerSession

SEEDS = [
    b'a CAPABILITY\r\nb ID ("name" "x")\r\nc LOGIN alice secret\r\nd SELECT INBOX\r\ne FETCH 1:* (UID FLAGS)\r\n'
    b"f UID FETCH 1,3:* (BODY.PEEK[1.HEADER.FIELDS (From To)]<0.10> BINARY.SIZE[2])\r\ng LOGOUT\r\nh NOOP\r\n",
    b'a LOGIN {5}\r\nalice {6+}\r\nsecret\r\nb ENABLE IMAP4rev2\r\nc LIST (SUBSCRIBED) "" (a% "b*") RETURN (CHILDREN '
    b"STATUS (MESSAGES))\r\nd STATUS &APw- (UIDNEXT)\r\ne CREATE x (USE (\\Sent))\r\nf RENAME x y\r\n",
    b'a AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\nb APPEND INBOX (\\Seen $x) "17-Jul-1996 02:44:25 -0700" {12}\r\n'
    b"Subject: x\r\n\r\nc APPEND {1+}\r\na ~{3+}\r\nabc\r\nd APPEND q {4+}\r\nabcd x {2+}\r\nxx\r\ne IDLE\r\nDONE\r\n",
    b"a LOGIN a b\r\nb SELECT a\r\nc SEARCH RETURN (MIN COUNT) CHARSET UTF-8 OR OR FROM a TO {1}\r\nb (NOT 1:5,* SINCE "
    b'1-Feb-1994 HEADER x "")\r\nd UID STORE 5 +FLAGS.SILENT (\\Deleted)\r\ne UID EXPUNGE $\r\nf COPY 1 b\r\n'
    b'g MOVE 2 c\r\nh CLOSE\r\ni GETQUOTAROOT a\r\nj SETQUOTA "" (STORAGE 5)\r\n',
    b"a STARTTLS\r\nb LOGIN a b\r\n",
]
PARTS = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"(",
    b")",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"{3}\r\n",
    b"{3+}\r\n",
    b"~{3+}\r\n",
    b"{0+}\r\n",
    b"{5000+}\r\n",
    b"{70000}\r\n",
    b"{9999999999999999999}\r\n",
    b"*",
    b"&",
    b"\xff",
    b"9" * 12,
    b"A" * 9000,
    b"NOT (" * 50,
    b"1:*,",
    b"\r\na IDLE\r\n",
    b"\r\na STARTTLS\r\n",
    b'\r\nx APPEND a CATENATE (TEXT {3}\r\nabc URL "/a/;UID=1" TEXT {2+}\r\nab URL x)\r\n',
    b'\r\nx UID REPLACE 1 a CATENATE (URL "/a/;UID=1" TEXT {3}\r\nabc URL "/a/;UID=1")\r\n',
    b'\r\nx REPLACE 1 a CATENATE (URL {3}\r\nabc URL "/a/;UID=1")\r\n',
    b"\r\nx SETMETADATA a (/private/b ~{2+}\r\n\x00a /shared/c NIL)\r\n",
    b'\r\nx URLFETCH "imap://u@h/m/;UID=1/;SECTION=1.2/;PARTIAL=1.2;URLAUTH=user+a:INTERNAL:01"\r\n',
    b"\r\nx SETACL a -anyone +lrsc\r\n",
    b"\r\nx APPEND a {3}\r\n",
    b"\r\nx APPEND a UTF8 (~{3+}\r\nabc) (\\Seen) UTF8 (~{3}\r\n",
    b"\r\nx APPEND a CATENATE (UTF8 (~{3+}\r\nabc) TEXT {3+}\r\nabc)\r\n",
]


def answer(machine: ImapServerSession, event: Event) -> bytes:
    """Answer as a server would that lets everybody in, and every second thing happen."""
    match event:
        case BadCommand(_, reason):
            return machine.send(bad(reason))
        case LiteralRequested(_, size):
            return machine.accept_literal() if size != 2 else machine.send(no("not this one"))
        case AppendStart(_, append):
            return machine.accept_literal() if append.size % 3 == 0 else machine.send(no("not this one"))
        case AppendText(_, text):
            return machine.accept_literal() if text.size % 3 == 0 else machine.send(no("not this one"))
        case Command(_, Idle()):
            return machine.continue_()
        case Command(_, Authenticate(_, None)) | AuthenticateResponse(b""):
            return machine.challenge(b"")
        case AppendChunk():
            return b""
        case _:
            return machine.send(ok("done"))


def events_of(pieces: list[bytes]) -> list[Event | str]:
    """Feed pieces; give the events, neighbouring chunks as one, and what ended the session early."""
    machine = ImapServerSession()
    events: list[Event | str] = []
    for piece in pieces:
        try:
            machine.receive_data(piece)
            while (event := machine.next_event()) is not None:
                octets = answer(machine, event)
                if isinstance(event, AppendChunk) and events and isinstance(events[-1], AppendChunk):
                    events[-1] = AppendChunk(events[-1].data + event.data)
                else:
                    events.append(event)
                if octets.startswith(b"a OK") and event == Command(b"a", StartTls()):
                    # What comes before the handshake is dropped, how much that is depends on the cut: end here.
                    machine.tls_started()
                    assert machine.buffered == 0
                    return [*events, "TLS"]
        except PeerError as error:
            return [*events, str(error)]
        limits = machine.limits
        assert machine.buffered <= limits.command + limits.line + 2, "more than a command is kept"
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
    octets = mutated(chance, chance.choice(SEEDS) + chance.choice([b"", *SEEDS]))
    pieces: list[bytes] = []
    position = 0
    while position < len(octets):
        size = chance.choice([1, 1, 2, chance.randint(1, 100), chance.randint(1, 3000)])
        pieces.append(octets[position : position + size])
        position += size
    whole, cut = events_of([octets]), events_of(pieces)
    assert whole == cut, f"{octets!r}: {whole} is not {cut}"


def main(seconds: float = 10.0, seed: int | None = None) -> int:
    """Fuzz for a time; give how many conversations were tried."""
    return fuzz("imap", once, seconds, seed)


if __name__ == "__main__":
    command("imap", main)
