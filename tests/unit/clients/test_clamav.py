"""What clamd is sent, what its answers mean, and that nothing it does hurts."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.clients.peers import FAULTS, HEADER, VISIT, Handler, listening, specimen

from pennypost.clients.clamav import Clamav, ClamavSettings, OnVirus, opinion_on
from pennypost.clients.screening.guard import TROUBLE, Guard
from pennypost.clients.screening.shape import Opinion, Ruling, ScreenerFailed
from pennypost.model.units import Octets

SETTINGS = ClamavSettings(timeout=timedelta(seconds=5))


async def scan(handler: Handler, body: bytes, settings: ClamavSettings = SETTINGS) -> Opinion:
    async with listening(handler) as address:
        return await Clamav(replace(settings, address=address)).begin(VISIT).message(specimen(body))


async def test_the_whole_message_is_streamed() -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
        while size := int.from_bytes(await reader.readexactly(4)):
            assert size <= 65536
            heard.extend(await reader.readexactly(size))
        writer.write(b"stream: OK\0")
        await writer.drain()

    body = bytes(range(256)) * 8000
    assert (await scan(serve, body)).note == "clean"
    assert heard == HEADER + body


async def test_what_is_too_large_is_not_sent() -> None:
    opinion = await Clamav(ClamavSettings(max_size=Octets(10))).begin(VISIT).message(specimen())
    assert opinion == Opinion(note="not scanned: too large")


async def test_an_answer_that_comes_early_is_heard() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.write(b"INSTREAM size limit exceeded. ERROR\0")
        await writer.drain()
        with contextlib.suppress(ConnectionError):  # what comes after it is not wanted
            while await reader.read(65536):
                pass

    assert "StreamMaxLength" in (await scan(serve, bytes(3_000_000))).note


@pytest.mark.parametrize(
    ("on_virus", "ruling"),
    [(OnVirus.REFUSE, Ruling.REFUSE), (OnVirus.JUNK, Ruling.JUNK), (OnVirus.HOLD, Ruling.HOLD)],
)
def test_a_virus(on_virus: OnVirus, ruling: Ruling) -> None:
    opinion = opinion_on("stream: Win.Evil\r\n250 OK FOUND", on_virus)
    assert opinion.ruling is ruling
    assert opinion.reply is not None
    assert opinion.reply.text == "Refused: the message contains Win.Evil 250 OK"
    assert (opinion.reply.code, opinion.reply.status) == (550, "5.7.1")


@pytest.mark.parametrize("answer", ["", "stream: ERROR", "OK", "stream: Can't allocate memory ERROR", "stream:  OK"])
def test_what_is_no_answer_is_a_failure(answer: str) -> None:
    with pytest.raises(ScreenerFailed):
        opinion_on(answer, OnVirus.REFUSE)


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults_are_the_scanners(fault: str) -> None:
    settings = replace(SETTINGS, timeout=timedelta(milliseconds=200))
    with pytest.raises(TROUBLE):
        await scan(FAULTS[fault], b"x" * 300_000, settings)


async def test_nobody_is_there_and_then_somebody_is() -> None:
    """The breaker opens, and closes again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"stream: OK\0")
        await writer.drain()

    async with listening(serve) as address:
        pass
    settings = replace(SETTINGS, address=address, failures=2, pause=timedelta(milliseconds=10))
    clamav = Clamav(settings)
    outcomes: list[str] = []
    guard = Guard(clamav, lambda kind, outcome, seconds: outcomes.append(outcome), lambda kind, amount: None)
    for _ in range(3):
        assert (await guard.ask(lambda: clamav.begin(VISIT).message(specimen()))).ruling is Ruling.DEFER
    assert outcomes == ["failed", "failed", "skipped"]
    await asyncio.sleep(0.02)
    async with listening(serve, address.port):
        assert (await guard.ask(lambda: clamav.begin(VISIT).message(specimen()))).note == "clean"
    assert not guard.is_open
