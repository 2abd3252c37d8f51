"""Receive: mail for our domains from anybody (RFC 5321), and over LMTP from a host that trusts us (RFC 2033).

Nobody relays here: a recipient outside our domains is refused, however it is spelled. Percent signs, exclamation marks
and quoted at-signs in a local part have no meaning; a source route is dropped (RFC 5321 §4.1.1.3, appendix C).
"""

import asyncio
from contextlib import suppress
from datetime import datetime

from pennypost.mail.limits import Defence
from pennypost.mail.reception import Acceptance, Reception, SmtpClient
from pennypost.mail.route import Route, route
from pennypost.mail.tls_reports import may_hold_report, report_in
from pennypost.mail.transaction import MailTransaction, Parcel, Post
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError, RateLimited
from pennypost.store import quota, tls_results
from pennypost.store.engine import Transaction
from pennypost.store.tls_results import ReceivedReport


class Receiver:
    """The `reception.Intake` of the MX door and of LMTP.

    `defence`: limits what strangers may ask; None for LMTP, whose clients we trust.
    """

    def __init__(self, post: Post, defence: Defence | None = None) -> None:
        self._post = post
        self._defence = defence

    @property
    def max_message_size(self) -> int:
        return self._post.settings.max_message_size

    @property
    def max_recipients(self) -> int:
        return self._post.settings.max_recipients

    def begin(self, client: SmtpClient) -> Reception:
        """Open a transaction with whoever connected."""
        return _Incoming(self._post, client, self._defence)


class _Incoming(MailTransaction):
    _report: ReceivedReport | None = None

    def __init__(self, post: Post, client: SmtpClient, defence: Defence | None) -> None:
        super().__init__(post, client)
        self._defence = defence

    async def accept(self) -> Acceptance:
        """Store the message, and beside it what it reports on our TLS (RFC 8460)."""
        acceptance = await super().accept()
        report = self._report
        if report is not None:
            with suppress(MailError):  # the message itself is safe
                await self._store.write(lambda tx: tls_results.put_report(tx, report))
        return acceptance

    async def _judge_sender(self, envelope: Envelope) -> None:
        """Take any sender whose domain is not banned, as often as the limits allow."""
        if self._defence is not None:
            self._defence.sender(self._client.peer, envelope.reverse_path)

    async def recipient(self, recipient: Recipient) -> None:
        await super().recipient(recipient)
        if self._defence is not None:
            try:
                self._defence.recipient(self._client.peer, recipient.address)
            except RateLimited:
                self._destinations.pop()
                raise

    async def _parcel(self) -> Parcel:
        if self._defence is not None:
            self._defence.octets(self._client.peer, self._spool.size)
        return await super()._parcel()

    async def _route(self, tx: Transaction, address: Address) -> Route:
        separator = self._store.settings.subaddress_separator
        relay = self._post.outbox.router.backs_up(address.domain)
        found = await route(
            tx, address, separator, relay=relay, subaddress_mailboxes=self._settings.subaddress_mailboxes
        )
        for target in found.local:
            if target.bounded:
                await quota.check(tx, target.account, self._envelope.declared_size or 0)
        return found

    async def _amend(self, header: bytes, now: datetime) -> bytes:
        """Mail from others is stored as it came."""
        if may_hold_report(header, self._spool.size):
            self._report = await asyncio.to_thread(report_in, bytes(self._spool.octets()), now)
        return header
