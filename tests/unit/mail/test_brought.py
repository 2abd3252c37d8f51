"""Whatever goes wrong with what a message brings beside itself: it is taken, and taken once."""

import gzip
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.test_transaction import STRANGER, post, receive, run, stored

from pennypost.mail import receive as receiving
from pennypost.mail import tls_reports
from pennypost.mail.receive import Receiver
from pennypost.mail.tls_reports import build_mail
from pennypost.model.envelope import Envelope
from pennypost.model.errors import ServerBusy
from pennypost.store import tls_results
from pennypost.verify.tls_report import TlsReport, write_report

DAY = datetime(2026, 1, 31, tzinfo=UTC)
REPORT = TlsReport("them", "p@them.example", "1@them", DAY, DAY, ())
CONTENT = gzip.compress(write_report(REPORT))
MESSAGE = build_mail(REPORT, "penny.test", "p@them.example", ["anna@penny.test"], CONTENT, DAY)


async def reports(world: World) -> int:
    return len(await world.store.read(lambda tx: tx.fetch_all("SELECT 1 FROM tls_report")))


async def test_a_report_is_kept_beside_its_message(world: World) -> None:
    await receive(world, "anna@penny.test", message=MESSAGE)
    assert len(await stored(world, world.anna)) == await reports(world) == 1


@pytest.mark.parametrize("problem", [ZeroDivisionError(), ServerBusy()])
async def test_a_report_that_cannot_be_kept_does_not_bring_its_message_again(
    world: World, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    async def broken(*_: Any) -> bool:
        raise problem

    monkeypatch.setattr(tls_results, "put_report", broken)
    assert (await receive(world, "anna@penny.test", message=MESSAGE)).outcomes == (None,)
    assert len(await stored(world, world.anna)) == 1
    assert await reports(world) == 0


async def test_a_report_that_cannot_be_read_is_mail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tls_reports, "report_in", broken)
    await receive(world, "anna@penny.test", message=MESSAGE)
    assert len(await stored(world, world.anna)) == 1


async def test_a_bounce_that_cannot_be_heard_is_mail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(receiving, "hear", broken)
    reception = Receiver(post(world)).begin(STRANGER)
    await run(reception, Envelope(None), ["anna@penny.test"], MESSAGE)
    assert len(await stored(world, world.anna)) == 1
