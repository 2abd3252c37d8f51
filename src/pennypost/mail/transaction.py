"""What receiving and submitting have in common: the course of one mail transaction (RFC 5321 §3.3).

Theory of operation
-------------------
Recipients are routed when they are named, so that RCPT can be refused. The octets of the message go into a spool:
memory for small ones, a file for large. `accept` then, in this order:

1. cuts off the header block and examines it (hops, loops; a submission amends it here);
2. digests the message once and makes its body a blob draft: on the spot when small, in threads when large;
3. in one transaction of the store puts the blob, a message and an entry for every local target, and queue rows for
   every remote one. Each local copy has trace fields of its own before the common header.

LMTP wants an outcome for each recipient (RFC 2033 §4.2): there each recipient is an operation of its own, and the store
commits them as one group.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pennypost.mail.prepare import Prepared, Preparer
from pennypost.mail.reception import Acceptance, Language, SmtpClient
from pennypost.mail.route import LocalTarget, Route, mailbox_now, route
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.success import success_report
from pennypost.mail.trace import DateStamp, delivered_to, new_id, received, return_path
from pennypost.message import headers
from pennypost.message.digest import digest
from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Notify, Recipient
from pennypost.model.errors import MailError, MessageTooLarge, RoutingLoop, TooManyRecipients
from pennypost.model.ids import BlobId
from pennypost.store import blobs, messages, queue
from pennypost.store.engine import Transaction
from pennypost.store.messages import NewMessage
from pennypost.store.queue import QueuedMessage
from pennypost.store.store import Store


@dataclass(frozen=True, slots=True)
class Post:
    """What all transactions of one worker share. `hostname`: who we say we are in Received (RFC 5321 §4.4)."""

    store: Store
    preparer: Preparer
    settings: DeliverySettings
    hostname: str
    stamp: DateStamp


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message ready to be stored. `received`: our Received field; `now`: when the last octet came."""

    id: str
    now: datetime
    received: bytes
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Destination:
    """A recipient that was accepted, and where it leads."""

    recipient: Recipient
    route: Route


class MailTransaction(ABC):
    """A `reception.Reception`. Subclasses judge senders and recipients, and may amend the header."""

    def __init__(self, post: Post, client: SmtpClient) -> None:
        self._post = post
        self._store = post.store
        self._settings = post.settings
        self._client = client
        self._envelope = Envelope(None)
        self._destinations: list[Destination] = []
        self._spool = post.store.spools.new()

    # -- What the door calls

    async def sender(self, envelope: Envelope) -> None:
        """Judge MAIL FROM (RFC 5321 §4.1.1.2)."""
        if envelope.declared_size is not None and envelope.declared_size > self._settings.max_message_size:
            raise MessageTooLarge
        await self._judge_sender(envelope)
        self._envelope = envelope

    async def recipient(self, recipient: Recipient) -> None:
        """Judge RCPT TO and remember where it leads (RFC 5321 §4.1.1.3)."""
        if len(self._destinations) >= self._settings.max_recipients:
            raise TooManyRecipients
        found = await self._store.glance(lambda tx: self._route(tx, recipient.address))
        self._destinations.append(Destination(recipient, found))

    def write(self, chunk: bytes) -> None:
        """Take octets of the message."""
        if self._spool.size + len(chunk) > self._settings.max_message_size:
            raise MessageTooLarge
        self._spool.write(chunk)

    async def accept(self) -> Acceptance:
        """Store the message for all recipients. On return it is durable."""
        try:
            size = self._spool.size
            parcel = await self._parcel()
            if self._client.language is Language.LMTP:
                return await self._deliver_each(parcel, size)
            stored = await self._store.write(lambda tx: self._deliver(tx, parcel, self._destinations))
            return Acceptance(parcel.id, (None,) * len(self._destinations), size, tuple(stored))
        finally:
            self.discard()

    def discard(self) -> None:
        """Free what the transaction holds."""
        self._spool.close()

    # -- What subclasses decide

    @abstractmethod
    async def _judge_sender(self, envelope: Envelope) -> None:
        """Raise a MailError to refuse the sender."""

    @abstractmethod
    async def _route(self, tx: Transaction, address: Address) -> Route:
        """Find where a recipient leads, or raise a MailError."""

    @abstractmethod
    async def _amend(self, header: bytes, now: datetime) -> bytes:
        """Give the header to store, without the trace fields of this hop; raise a MailError to refuse the message."""

    # -- From the last octet to the commit

    async def _parcel(self) -> Parcel:
        now = self._store.clock()
        prepared = await self._post.preparer.prepare(self._spool, self._examine)
        trace_id = new_id()
        only = self._destinations[0].recipient.address if len(self._destinations) == 1 else None
        date = self._post.stamp.at(now)
        field = received(self._client, self._post.hostname, trace_id, self._envelope.smtputf8, only, date)
        return Parcel(trace_id, now, field, prepared)

    async def _examine(self, header: bytes) -> bytes:
        refuse_loops(header, (d.recipient.address for d in self._destinations), self._settings.max_hops)
        return await self._amend(header, self._store.clock())

    async def _deliver_each(self, parcel: Parcel, size: int) -> Acceptance:
        """Deliver to each recipient on its own. The operations are handed over together: one commit holds them all."""

        async def deliver_one(destination: Destination) -> list[str]:
            return await self._store.write(lambda tx: self._deliver(tx, parcel, [destination]))

        results = await asyncio.gather(*map(deliver_one, self._destinations), return_exceptions=True)
        outcomes: list[MailError | None] = []
        stored: list[str] = []
        for result in results:
            if isinstance(result, MailError):
                outcomes.append(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                outcomes.append(None)
                stored += result
        return Acceptance(parcel.id, tuple(outcomes), size, tuple(stored))

    async def _deliver(self, tx: Transaction, parcel: Parcel, destinations: Sequence[Destination]) -> list[str]:
        """Store the message for `destinations`: the operation behind every 250. Gives `Acceptance.stored`."""
        prepared = parcel.prepared
        blob = await blobs.put(tx, prepared.draft)
        top = return_path(self._envelope.reverse_path)
        common = parcel.received + prepared.header
        stored: list[str] = []
        done: set[LocalTarget] = set()
        remote: dict[str, Recipient] = {}
        for destination in destinations:
            mark = delivered_to(destination.recipient.address)
            for target in destination.route.local:
                if target not in done:
                    done.add(target)
                    message = NewMessage(top + mark + common, blob, prepared.draft.size, prepared.digest, parcel.now)
                    appended = await messages.append(tx, target.account, await mailbox_now(tx, target), message)
                    stored.append(f"{target.account}/{appended.message}")
            onward = [replace(destination.recipient, address=address) for address in destination.route.remote]
            if onward and (len(onward) > 1 or onward[0].address != destination.recipient.address):
                # An alias sends it on: the mark lets us know the message if it comes back (RFC 9228 §1).
                stored += await self._enqueue(tx, mark + common, blob, parcel, tuple(onward))
            elif onward:
                remote.setdefault(onward[0].address.key, onward[0])
        if remote:
            stored += await self._enqueue(tx, common, blob, parcel, tuple(remote.values()))
        told = [d.recipient for d in destinations if d.route.local and Notify.SUCCESS in d.recipient.notify]
        if told and self._envelope.reverse_path is not None:
            await self._report_success(tx, parcel, told, self._envelope.reverse_path)
        return stored

    async def _enqueue(
        self, tx: Transaction, header: bytes, blob: BlobId, parcel: Parcel, recipients: tuple[Recipient, ...]
    ) -> list[str]:
        """Put the message for other hosts into the queue. It carries no Return-Path: that is theirs to add."""
        user = self._client.authenticated
        envelope = replace(self._envelope, recipients=recipients)
        size = parcel.prepared.draft.size
        message = QueuedMessage(user.account if user else None, blob, header, size, envelope, parcel.now)
        return [f"q{delivery}" for delivery in await queue.enqueue(tx, message)]

    async def _report_success(
        self, tx: Transaction, parcel: Parcel, delivered: Sequence[Recipient], sender: Address
    ) -> None:
        """Tell the sender of deliveries he asked to hear of; the report is part of the same commit.

        It goes to the reverse-path with a null one of its own (RFC 3464 §2). A sender here who is gone is not told.
        """
        report = success_report(
            hostname=self._post.hostname,
            report_id=new_id(),
            sender=sender,
            envelope=self._envelope,
            recipients=delivered,
            arrived=parcel.now,
            header=parcel.prepared.header,
        )
        try:
            home = await route(
                tx, sender, self._store.settings.subaddress_separator, relay=True, subaddress_mailboxes=False
            )
        except MailError:
            return
        header, body = headers.split(report)
        blob = await blobs.put(tx, self._store.blobs.draft(body))
        found = digest(header, body)
        top = return_path(None) + delivered_to(sender)
        for target in home.local:
            message = NewMessage(top + header, blob, len(body), found, parcel.now)
            await messages.append(tx, target.account, target.inbox, message)
        if home.remote:
            recipients = tuple(Recipient(address, Notify.NEVER) for address in home.remote)
            body_type = BodyType.SEVEN_BIT if report.isascii() else BodyType.EIGHT_BIT_MIME
            envelope = Envelope(None, recipients, body=body_type, smtputf8=self._envelope.smtputf8)
            await queue.enqueue(tx, QueuedMessage(None, blob, header, len(body), envelope, parcel.now))


def refuse_loops(header: bytes, recipients: Iterable[Address], max_hops: int) -> None:
    """Raise RoutingLoop for a message that has passed too many hosts, or was here already for one of `recipients`.

    RFC 5321 §6.3; RFC 9228 for Delivered-To.
    """
    lines = b"\n" + header.lower()
    if lines.count(b"\nreceived:") > max_hops:
        raise RoutingLoop("Too many hops")
    if b"\ndelivered-to:" in lines:
        seen = {value.decode("utf-8", "replace").casefold() for value in headers.values(header, b"delivered-to")}
        if any(address.key in seen for address in recipients):
            raise RoutingLoop("The message was delivered to this recipient already")
