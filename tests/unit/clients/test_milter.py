"""A filter that fails at every stage, in every way: it costs its time and no more, and the message goes on or waits."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.clients.peers import VISIT, listening, specimen

from pennypost.clients.milter import MAX_CHANGES, Milter, MilterSettings
from pennypost.clients.screening.guard import Guard
from pennypost.clients.screening.settings import Fallback
from pennypost.clients.screening.shape import Opinion, Ruling, Specimen
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.net.endpoint import TcpEndpoint
from pennypost.proto.milter.commands import packet

AGREED = packet(b"O", b"\0\0\0\6\0\0\1\xff\0\0\0\0")
STAGES = (b"O", b"C", b"H", b"M", b"R", b"T", b"L", b"N", b"B", b"E")
SHORT = timedelta(milliseconds=150)

Misdeed = Callable[[asyncio.StreamWriter], bytes | None]


def hang(writer: asyncio.StreamWriter) -> None:
    return None


def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def garbage(writer: asyncio.StreamWriter) -> bytes:
    return b"220 mail.example ESMTP\r\n"


def cut_off(writer: asyncio.StreamWriter) -> bytes:
    return b"\0\0\0\x10c"


def endless(writer: asyncio.StreamWriter) -> bytes:
    return (1 << 30).to_bytes(4) + b"c" * 100_000


def nonsense(writer: asyncio.StreamWriter) -> bytes:
    return packet(b"y", b"\xff\xfe no code")


MISDEEDS: tuple[Misdeed, ...] = (hang, reset, garbage, cut_off, endless, nonsense)


class Filter:
    """Answers everything with CONTINUE, but what `stage` says with `answer`. `heard`: the letters of what it was
    told."""

    def __init__(self, stage: bytes = b"", answer: Misdeed = hang) -> None:
        self.stage, self.answer = stage, answer
        self.heard: list[bytes] = []
        self.largest = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length = int.from_bytes(await reader.readexactly(4))
            letter = (await reader.readexactly(length))[:1]
            self.largest = max(self.largest, length)
            self.heard.append(letter)
            if letter == b"Q":
                self.left.set()
            if letter in (b"D", b"A", b"Q"):
                continue
            good = AGREED if letter == b"O" else packet(b"c", b"")
            said = self.answer(writer) if letter == self.stage else good
            if said:
                writer.write(said)


def milter(address: TcpEndpoint, **settings: object) -> tuple[Milter, Guard]:
    made = Milter(MilterSettings(name="test", address=address, timeout=SHORT, longest=SHORT))
    made.settings = replace(made.settings, **settings)  # type: ignore[arg-type]
    return made, Guard(made, lambda kind, outcome, seconds: None, lambda kind, amount: None)


async def go(made: Milter, guard: Guard, shown: Specimen | None = None) -> Opinion:
    """Go through a transaction until the filter has said its last."""
    screening = made.begin(VISIT)
    envelope = Envelope(Address("carl", "example.org"))
    try:
        for question in (
            lambda: screening.sender(envelope),
            lambda: screening.recipient(envelope, Recipient(Address("a", "x.test"))),
            lambda: screening.message(shown if shown is not None else specimen()),
        ):
            opinion = await guard.ask(question)
            if opinion.finished:
                break
        return opinion
    finally:
        screening.end()
        screening.end()


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: misdeed.__name__)
@pytest.mark.parametrize("stage", STAGES)
async def test_it_fails_at_every_stage_in_every_way(stage: bytes, misdeed: Misdeed) -> None:
    bad = Filter(stage, misdeed)
    async with listening(bad.serve) as address:
        begun = asyncio.get_running_loop().time()
        opinion = await go(*milter(address))
        assert asyncio.get_running_loop().time() - begun < 5
    assert (opinion.ruling, opinion.failed, opinion.finished) == (Ruling.DEFER, True, True)
    assert stage in bad.heard


async def test_it_says_for_ever_that_it_is_at_work() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(17)
        writer.write(AGREED)
        while True:
            writer.write(packet(b"p", b""))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with listening(serve) as address:
        opinion = await go(*milter(address, on_failure=Fallback.ACCEPT))
    assert (opinion.ruling, opinion.note) == (Ruling.ACCEPT, "failed: no answer in time")


async def test_it_makes_changes_without_an_end() -> None:
    many = Filter(b"E", lambda writer: packet(b"h", b"X-A\0b\0") * (MAX_CHANGES + 1) + packet(b"c", b""))
    async with listening(many.serve) as address:
        opinion = await go(*milter(address, timeout=timedelta(seconds=5), longest=timedelta(seconds=5)))
    assert opinion.note == "failed: it makes too many changes"


async def test_a_field_that_is_too_long_for_libmilter_is_shown_in_part() -> None:
    good = Filter()
    header = b"X-Long: " + b"x" * 200_000 + b"\r\n" + b"Subject: hello\r\n\r\n"
    async with listening(good.serve) as address:
        opinion = await go(*milter(address), specimen(header=header))
    assert opinion.note == "accepted"
    assert good.heard.count(b"L") == 2
    assert good.largest <= 65536  # with its letter


@pytest.mark.parametrize(
    ("path", "sender"),
    [(b"<>", (None,)), (b"", (None,)), (b"<a@x.test>", (Address("a", "x.test"),)), (b"a@@b, c <d>", None)],
)
async def test_what_is_no_address_is_no_new_sender(path: bytes, sender: tuple[Address | None] | None) -> None:
    changing = Filter(b"E", lambda writer: packet(b"e", path + b"\0") + packet(b"c", b""))
    async with listening(changing.serve) as address:
        opinion = await go(*milter(address))
    assert opinion.sender == sender


async def test_a_transaction_that_ends_early_is_aborted() -> None:
    good = Filter()
    async with listening(good.serve) as address:
        screening = milter(address)[0].begin(VISIT)
        await screening.sender(Envelope(None))
        screening.end()
        async with asyncio.timeout(5):
            await good.left.wait()
    assert good.heard == [b"O", b"D", b"C", b"H", b"D", b"M", b"A", b"Q"]


async def test_a_large_body_goes_in_chunks_and_others_have_their_turn() -> None:
    good = Filter()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    async with listening(good.serve) as address:
        opinion = await go(
            *milter(address, timeout=timedelta(seconds=20), longest=timedelta(seconds=20)), specimen(bytes(5_000_000))
        )
    counting.cancel()
    assert opinion.note == "accepted"
    assert good.heard.count(b"B") == 77
    assert turns > 77


@pytest.mark.parametrize(
    "settings",
    [{}, {"name": "x"}, {"name": "Bad Name", "address": TcpEndpoint("x", 1)}, {"address": TcpEndpoint("x", 1)}],
)
def test_settings_that_cannot_be(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|is required"):
        MilterSettings(**settings)  # type: ignore[arg-type]
