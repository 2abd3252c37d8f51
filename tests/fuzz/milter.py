"""Fuzzes the milter client's machine. Invariant: whatever octets come, however they are cut, the machine gives the same
replies, raises PeerError at most, and keeps no more than one packet.

    python -m tests.fuzz.milter [SECONDS] [SEED]
"""

import random

from tests.fuzz._driver import command, fuzz
from tests.fuzz.smtp import cut, mutate

from pennypost.model.errors import PeerError
from pennypost.proto.milter.client import MilterClientSession
from pennypost.proto.milter.commands import (
    Body,
    Command,
    Connect,
    Data,
    EndOfHeaders,
    EndOfMessage,
    Header,
    Helo,
    Mail,
    Negotiate,
    Rcpt,
    packet,
)
from pennypost.proto.milter.replies import MAX_PACKET

LARGEST_PIECE = 4096

COMMANDS: tuple[Command, ...] = (
    Negotiate(),
    Connect(b"mx.example", b"4", 4711, b"192.0.2.7"),
    Helo(b"mx.example"),
    Mail(b"<a@b>", (b"SIZE=3",)),
    Rcpt(b"<c@d>"),
    Rcpt(b"<e@f>"),
    Data(),
    Header(b"Subject", b"x"),
    EndOfHeaders(),
    Body(b"x"),
    Body(b"y"),
    EndOfMessage(),
)
"""A whole message, as a driver says it. Commands that the filter declines or does not answer are passed over."""

_ALL = packet(b"O", b"\0\0\0\6\0\0\1\xff\0\0\0\0")
_FEW = packet(b"O", b"\0\0\0\6\0\0\0\1\0\x10\x80\xd3" + b"\0\0\0\2i {mail_addr}\0")
_GO_ON = packet(b"c", b"")
SEEDS = [
    _ALL + _GO_ON * 12,
    _ALL + _GO_ON * 10 + packet(b"h", b"A\0b\0") + packet(b"p", b"") + packet(b"b", b"body") + packet(b"a", b""),
    _ALL + _GO_ON * 10 + packet(b"m", b"\0\0\0\1A\0\0") + packet(b"+", b"<a@b>\0") + packet(b"q", b"why\0") + _GO_ON,
    _ALL + _GO_ON * 3 + packet(b"y", b"550-5.7.1 no\r\n550 5.7.1 100%%\0") + _GO_ON * 9,
    _ALL + _GO_ON * 8 + packet(b"s", b"") + _GO_ON,
    _FEW + _GO_ON * 3,
    packet(b"O", b"\0\0\0\2\0\0\0\x3f\0\0\0\0") + _GO_ON * 3 + packet(b"t", b""),
]


def replies_to(pieces: list[bytes]) -> list[str]:
    """Go through a message as far as the filter's octets lead; give what it said, and what ended it early."""
    machine = MilterClientSession()
    said: list[str] = []
    waiting = list(reversed(pieces))
    try:
        for each in COMMANDS:
            machine.send(each, {b"i": b"1", b"{mail_addr}": b"a@b"})
            while machine.reply_due:
                reply = machine.next_reply()
                if reply is not None:
                    said.append(repr(reply))
                elif waiting:
                    machine.receive_data(waiting.pop())
                    assert len(machine._buffer) <= 4 + MAX_PACKET + LARGEST_PIECE
                else:
                    return said
    except PeerError as problem:
        said.append(str(problem))
    machine.leave()
    return said


def check(octets: bytes, chance: random.Random) -> None:
    """Hold the invariant against one stream."""
    whole = replies_to([octets[i : i + LARGEST_PIECE] for i in range(0, len(octets), LARGEST_PIECE)])
    assert replies_to(cut(octets, chance)) == whole, octets


def once(chance: random.Random) -> None:
    """Try one stream: up to two conversations, each mutated."""
    check(b"".join(mutate(chance.choice(SEEDS), chance) for _ in range(chance.randint(1, 2))), chance)


def main(seconds: float = 10.0, seed: int | None = None) -> int:
    """Fuzz for a time; give how many conversations were tried."""
    return fuzz("milter", once, seconds, seed)


if __name__ == "__main__":
    command("milter", main)
