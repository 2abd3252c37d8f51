"""A mail transaction about which others are asked. Who they are and what they say is `screening`'s; what follows for
the message is done here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import structlog

from pennypost.clients.screening.shape import Ruling, Specimen, Visit
from pennypost.mail.post import Destination
from pennypost.mail.reception import Language
from pennypost.mail.route import LocalTarget, Route, held_mailbox
from pennypost.mail.screening import Inspection, Screeners
from pennypost.mail.trace import new_id
from pennypost.mail.transaction import MailTransaction
from pennypost.message import headers
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError, ScreenerRefused
from pennypost.model.ids import MailboxId
from pennypost.store import timeline
from pennypost.store.engine import Transaction
from pennypost.store.spool import Spool
from pennypost.store.timeline import EventKind, trace_number

COPIED_OCTETS = 1 << 18
"""Octets of a new body that are copied at a time."""

_log = structlog.stdlib.get_logger("pennypost.receive")


class ScreenedTransaction(MailTransaction):
    """Without `have_inspected` nobody is asked. Subclasses ask at their moments, and give `_inspect` the header."""

    _inspection: Inspection | None = None
    _held_mailbox = ""

    def have_inspected(self, screeners: Screeners, held_mailbox: str) -> None:
        """Have others asked about the message."""
        client, user = self._client, self._client.authenticated
        self._held_mailbox = held_mailbox
        self._inspection = screeners.begin(
            Visit(
                client.peer,
                client.hello,
                self._post.hostname,
                new_id(),
                client.tls,
                user.name if user is not None else "",
                client.language is not Language.SMTP,
            )
        )

    async def _inspect(self, inspection: Inspection, header: bytes) -> bytes:
        """Ask others about the message, and make of it what they want. Raises ScreenerRefused, ScreenerDeferred."""
        start = self._spool.header_size()
        envelope = self._with_recipients()
        with memoryview(self._spool.octets()) as whole, whole[start:] as body:
            specimen = Specimen(envelope, header, body, self._verdicts())
            examined = await inspection.message(specimen, self._store.spools, self._settings.max_message_size)
        if examined.body is not None:
            with examined.body as new:
                await self._replace_body(new, start)
            if headers.header_end(examined.header, 0, len(examined.header)) < 0:  # nothing ended it, as it came
                examined = replace(examined, header=examined.header + b"\r\n")
        if examined.sender is not None:
            self._envelope = replace(self._envelope, reverse_path=examined.sender[0])
        await self._readdress(examined.add, examined.remove)
        if inspection.ruling is Ruling.HOLD and any(d.route.remote for d in self._destinations):
            raise ScreenerRefused("Refused: the message would have to be held, and is for another host")
        return examined.header

    async def _replace_body(self, body: Spool, start: int) -> None:
        """Put another body behind the header that came."""
        with self._store.spools.new() as whole:
            whole.write(bytes(self._spool.octets()[:start]))
            with memoryview(body.octets()) as octets:
                for at in range(0, len(octets), COPIED_OCTETS):
                    whole.write(bytes(octets[at : at + COPIED_OCTETS]))
                    await asyncio.sleep(0)
            self._spool.become(whole)

    async def _readdress(self, add: Sequence[Address], remove: Sequence[Address]) -> None:
        """Add and take away recipients. When none would be left, they stay: the message is filed as junk then."""
        for address in add[: max(0, self._settings.max_recipients - len(self._destinations))]:
            look: Callable[[Transaction], Awaitable[Route]] = partial(self._route, address=address)
            try:
                route = await self._store.glance(look)
            except MailError as problem:
                _log.warning("recipient not added", recipient=str(address), reason=str(problem))
                continue
            self._destinations.append(Destination(Recipient(address), route))
        gone = {address.key for address in remove}
        left = [d for d in self._destinations if d.recipient.address.key not in gone]
        if left:
            self._destinations = left
        elif self._inspection is not None:
            self._inspection.file_as_junk("all recipients were taken away")

    def _with_recipients(self) -> Envelope:
        return replace(self._envelope, recipients=tuple(d.recipient for d in self._destinations))

    async def _tell_of_refusal(self, problem: MailError, size: int) -> None:
        """Let the timeline tell of a message that others did not want, as far as the store is able to."""
        facts = {
            "peer": str(self._client.peer),
            "from": str(self._envelope.reverse_path or ""),
            "to": [str(destination.recipient.address) for destination in self._destinations],
            "size": size,
            "reason": str(problem),
            "verdicts": self._verdicts(),
        }
        trace = trace_number(self._name())
        with suppress(MailError):
            await self._store.write(lambda tx: timeline.record(tx, trace, EventKind.TURNED_AWAY, facts))

    def discard(self) -> None:
        if self._inspection is not None:
            self._inspection.end()
        super().discard()

    def _name(self) -> str:
        return self._inspection.visit.id if self._inspection is not None else super()._name()

    async def _mailbox(self, tx: Transaction, target: LocalTarget) -> MailboxId:
        if self._inspection is not None and self._inspection.ruling is Ruling.HOLD and self._held_mailbox:
            return await held_mailbox(tx, target, self._held_mailbox)
        return await super()._mailbox(tx, target)
