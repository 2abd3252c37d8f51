"""What may be said when, and how a connection is left in each state."""

import pytest

from pennypost.model.errors import UsageError
from pennypost.proto.milter.client import MilterClientSession
from pennypost.proto.milter.commands import (
    Abort,
    Body,
    Connect,
    Data,
    EndOfMessage,
    Header,
    Helo,
    Mail,
    Negotiate,
    Quit,
    Rcpt,
    packet,
)
from pennypost.proto.milter.replies import Refuse, read

ABORTED = packet(b"A", b"") + packet(b"Q", b"")
LEFT = packet(b"Q", b"")


def agreed(steps: int = 0) -> MilterClientSession:
    machine = MilterClientSession()
    machine.send(Negotiate())
    machine.receive_data(packet(b"O", b"\0\0\0\6\0\0\1\xff" + steps.to_bytes(4)))
    machine.next_reply()
    return machine


def test_nothing_is_said_out_of_order() -> None:
    machine = MilterClientSession()
    for command in (Helo(b"x"), Mail(b"<>"), EndOfMessage(), Abort()):
        with pytest.raises(UsageError):
            machine.send(command)
    machine.send(Negotiate())
    with pytest.raises(UsageError, match="before the answer to Negotiate"):
        machine.send(Connect(b"x", b"U"))
    machine.send(Quit())
    with pytest.raises(UsageError):
        machine.send(Quit())


def test_it_can_be_left_at_any_time() -> None:
    assert MilterClientSession().leave() == LEFT
    assert agreed().leave() == LEFT
    machine = agreed(0xFFFFF & ~0x800 & ~0x400 & ~0x1)  # nothing but CONNECT is wanted, and nothing answered
    for command in (Connect(b"x", b"U"), Helo(b"x"), Mail(b"<>"), Rcpt(b"<x>"), Data(), Header(b"A", b"b")):
        machine.send(command)
    assert not machine.reply_due
    assert machine.leave() == ABORTED
    assert machine.leave() == b""


def test_what_cannot_be_sent() -> None:
    machine = agreed()
    with pytest.raises(UsageError):
        machine.send(Connect(b"a\0b", b"U"))
    with pytest.raises(UsageError):
        Body(bytes(65536)).encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"451 4.7.1 Later\0", Refuse(True, 451, "4.7.1", "Later")),
        (b"550\0", Refuse(False, 550, "", "")),
        (b"550 5.7.1\0", Refuse(False, 550, "5.7.1", "")),
        (b"550 4.7.1 x\0", Refuse(False, 550, "", "x")),
        (b"421 4.3.2 100%% busy\0", Refuse(True, 421, "4.3.2", "100% busy")),
        (b"554-5.7.1 a\r\n554-5.7.1 b\r\n554 5.7.1 c\0", Refuse(False, 554, "5.7.1", "a b c")),
        (b"550 \xff\0", Refuse(False, 550, "", "�")),
    ],
)
def test_reply_codes(data: bytes, expected: Refuse) -> None:
    assert read(b"y", data) == expected
