"""Reports that come as mail: on our TLS (RFC 8460), and on mail in the name of our domains (RFC 9990).

They are read beside the message that brings them. Whatever is wrong with one, or with how we read it, the message is
taken all the same; and once it is stored nothing may say otherwise, or its sender would bring it again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import structlog

from pennypost.mail import dmarc_feedback, tls_reports
from pennypost.model.errors import MailError
from pennypost.net.incident import log_incident
from pennypost.store import dmarc, tls_results
from pennypost.store.store import Store
from pennypost.store.tls_results import ReceivedReport
from pennypost.verify.dmarc.report import Report

_log = structlog.stdlib.get_logger("pennypost.receive")

T = TypeVar("T")


class Brought:
    """The reports of one message. `read_…` before it is stored, `keep` after that."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._on_tls: ReceivedReport | None = None
        self._on_mail: Report | None = None

    async def read_on_tls(self, octets: bytes, now: datetime) -> None:
        """Find a report on our TLS."""
        self._on_tls = await _read(lambda: tls_reports.report_in(octets, now))

    async def read_on_mail(self, octets: bytes) -> None:
        """Find a report on mail in the name of our domains."""
        self._on_mail = await _read(lambda: dmarc_feedback.report_in(octets))

    async def keep(self) -> None:
        """Store what was found. Raises nothing: what the store cannot take is lost."""
        on_tls, on_mail, store = self._on_tls, self._on_mail, self._store
        if on_tls is not None:
            await _beside(lambda: store.write(lambda tx: tls_results.put_report(tx, on_tls)))
        if on_mail is not None:
            await _beside(lambda: store.write_large(lambda tx: dmarc.put_report(tx, on_mail)))


async def _read(read: Callable[[], T | None]) -> T | None:
    try:
        return await asyncio.to_thread(read)
    except Exception as problem:
        log_incident("report.read", problem)
        return None


async def _beside(write: Callable[[], Awaitable[object]]) -> None:
    try:
        await write()
    except MailError as problem:
        _log.warning("a report is lost", reason=str(problem))
    except Exception as problem:
        log_incident("report.keep", problem)
