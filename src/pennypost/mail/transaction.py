"""What receiving and submitting have in common: the course of one mail transaction (RFC 5321 §3.3).

Theory of operation
-------------------
Recipients are routed when they are named, so that RCPT can be refused. The octets of the message go into a spool:
memory for small ones, a file for large. `accept` then, in this order:

1. cuts off the header block and examines it (hops, loops; a submission amends it here);
2. digests the message once and makes its body a blob draft: on the spot when small, in threads when large;
3. where it goes on to one host that is quick, offers it to that one: what is taken needs nothing further here;
4. in one transaction of the store puts the blob, a message and an entry for every local target, queue rows for every
   remote one, and one row that tells of all this. Each local copy has trace fields of its own before the common header.

LMTP wants an outcome for each recipient (RFC 2033 §4.2): there each recipient is an operation of its own, and the store
commits them as one group.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from pennypost.mail import bounce
from pennypost.mail.bounce import Action, Fate, Original
from pennypost.mail.post import Destination, Parcel, Post, Sending, Stored
from pennypost.mail.queue.outbox import Outgoing, Passed
from pennypost.mail.queue.passage import Passage
from pennypost.mail.reception import Acceptance, Language, SmtpClient
from pennypost.mail.route import LocalTarget, Route, mailbox_now
from pennypost.mail.trace import delivered_to, new_id, received, return_path
from pennypost.mail.verification import Filing
from pennypost.message import headers
from pennypost.message.threading import message_ids
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.errors import BadMessage, MailError, MessageTooLarge, RoutingLoop, ServerFault, TooManyRecipients
from pennypost.model.ids import MailboxId
from pennypost.net.incident import log_incident
from pennypost.store import blobs, messages, timeline
from pennypost.store.engine import Operation, Transaction
from pennypost.store.messages import NewMessage
from pennypost.store.queue import QueuedMessage
from pennypost.store.timeline import EventKind, trace_number


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
        address, routes = recipient.address, self._post.routes
        found = routes.known(address) if self._envelope.reverse_path is not None else None
        if found is None:
            generation = routes.generation
            found = await self._store.glance(lambda tx: self._route(tx, address))
            separator = self._store.settings.subaddress_separator
            if found.is_plain and not (separator and separator in address.local_part):
                routes.keep(address, found, generation)
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
            stored = await self._write(parcel, self._destinations)
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
        prepared = await self._post.preparer.prepare(self._spool, self._examine, self._is_digested)
        trace_id = self._name()
        only = self._destinations[0].recipient.address if len(self._destinations) == 1 else None
        date = self._post.stamp.at(now)
        envelope = self._envelope
        field = received(self._client, self._post.hostname, trace_id, envelope.smtputf8, only, date, envelope.priority)
        return Parcel(trace_id, now, field, prepared)

    def _is_digested(self) -> bool:
        """Whether anybody here asks what is in the message: it is filed here, and not only when its time comes."""
        return self._envelope.hold is None and any(destination.route.local for destination in self._destinations)

    async def _examine(self, header: bytes) -> bytes:
        if header.startswith((b" ", b"\t")):
            # It would go on with the field that we put before it: what we found out about the sender, or a signature.
            raise BadMessage("The header begins in the middle of a field")
        refuse_loops(header, (d.recipient.address for d in self._destinations), self._settings.max_hops)
        return await self._amend(header, self._store.clock())

    async def _deliver_each(self, parcel: Parcel, size: int) -> Acceptance:
        """Deliver to each recipient on its own. The operations are handed over together: one commit holds them all."""

        async def deliver_one(destination: Destination) -> list[str]:
            return await self._write(parcel, [destination])

        results = await asyncio.gather(*map(deliver_one, self._destinations), return_exceptions=True)
        outcomes: list[MailError | None] = []
        stored: list[str] = []
        for result in results:
            if isinstance(result, MailError):
                outcomes.append(result)
            elif isinstance(result, Exception):  # the others have it: to refuse all would bring it to them again
                incident = log_incident("lmtp.delivery", result, id=parcel.id)
                outcomes.append(ServerFault(f"{ServerFault.text} (incident {incident})"))
            elif isinstance(result, BaseException):
                raise result
            else:
                outcomes.append(None)
                stored += result
        return Acceptance(parcel.id, tuple(outcomes), size, tuple(stored))

    async def _write(self, parcel: Parcel, destinations: Sequence[Destination]) -> list[str]:
        """Have the message stored for `destinations`, or taken by its next host. Gives `Acceptance.stored`."""
        sendings = await self._sendings(destinations, parcel)
        outbox, passage = self._post.outbox, None
        try:
            passage = await self._pass_on(parcel, destinations, sendings)
            if passage is not None and await passage.taken():
                outbox.passed(passage, self._as_passed(parcel, destinations))
                return []
            outbox.write_along()
            stored = await self._store.write(lambda tx: self._deliver(tx, parcel, destinations, sendings))
        except asyncio.CancelledError:
            if passage is not None:
                outbox.forsake(passage, self._as_passed(parcel, destinations))
            if sendings:
                outbox.cut_off()
            raise
        except Exception:  # a bug, too: else the passage would count as under way for ever
            if passage is None:
                raise
            if passage.went_well:  # it was, meanwhile
                outbox.passed(passage, self._as_passed(parcel, destinations))
                return []
            outbox.forsake(passage, self._as_passed(parcel, destinations))
            raise
        if stored.outgoing:
            outbox.committed(stored.outgoing, passage)
        return stored.names

    async def _pass_on(
        self, parcel: Parcel, destinations: Sequence[Destination], sendings: Sequence[Sending]
    ) -> Passage | None:
        """Offer a message to its next host at once, where it may be. None: it may not."""
        body = parcel.prepared.draft.body
        if body is None or len(sendings) != 1 or self._envelope.hold is not None:
            return None
        if self._client.language is Language.LMTP or any(destination.route.local for destination in destinations):
            return None
        sending, outbox = sendings[0], self._post.outbox
        if not outbox.may_pass(sending.places, sending.envelope):
            return None
        if not await self._is_ready_to_pass(parcel, destinations):
            return None
        octets = b"".join((sending.mark, parcel.received, parcel.prepared.header, body))
        return outbox.pass_on(sending.places, parcel.id, sending.envelope, octets)

    async def _is_ready_to_pass(self, parcel: Parcel, destinations: Sequence[Destination]) -> bool:
        """Write what has to be written before a message may leave. Gives whether that is all there is to write, beside
        the timeline. Raises a MailError to refuse it."""
        return True

    def _afterthought(self, parcel: Parcel) -> Operation[None] | None:
        """Give an operation that writes what else is to be remembered of a message that was passed on, or None."""
        return None

    def _as_passed(self, parcel: Parcel, destinations: Sequence[Destination]) -> Passed:
        """Give what is to be known of a message that its next host has taken."""
        came = self._reception(parcel, destinations, [])
        sender, more = self._envelope.reverse_path, self._afterthought(parcel)
        return Passed(trace_number(parcel.id), sender, parcel.now, came, more)

    async def _sendings(self, destinations: Sequence[Destination], parcel: Parcel) -> list[Sending]:
        """Give what has to go to other hosts, with its places in the queue."""
        now = parcel.now
        sendings: list[Sending] = []
        remote: dict[tuple[str, str], Recipient] = {}
        if self._envelope.hold is not None:  # all wait, whoever they are, and are routed anew when it is time
            here: dict[tuple[str, str], Recipient] = {}
            for recipient, found in ((d.recipient, d.route) for d in destinations):
                if found.local or recipient.address not in found.remote:
                    here[recipient.address.key, ""] = recipient
                else:
                    remote[_who(recipient.address)] = recipient
            return [self._sending(b"", (*here.values(), *remote.values()), now, frozenset(here.values()))]
        for destination in destinations:
            if not destination.route.remote:
                continue
            onward = [replace(destination.recipient, address=address) for address in destination.route.remote]
            if len(onward) > 1 or onward[0].address != destination.recipient.address:
                # An alias sends it on: the mark lets us know the message if it comes back (RFC 9228 §1).
                sendings.append(await self._forwarding(destination.recipient.address, onward, parcel))
            else:
                remote.setdefault(_who(onward[0].address), onward[0])
        if remote:
            sendings.append(self._sending(b"", remote.values(), now))
        return sendings

    async def _forwarding(self, by: Address, onward: Iterable[Recipient], parcel: Parcel) -> Sending:
        """Give what an address of ours sends on."""
        forwarder, sender = self._post.forwarder, self._envelope.reverse_path
        if forwarder is not None:
            sender = await forwarder.reverse_path(sender, by)
        mark = await self._seal(parcel, by.domain) + delivered_to(by)
        return self._sending(mark, onward, parcel.now, sender=sender)

    async def _seal(self, parcel: Parcel, domain: str) -> bytes:
        """Give fields that tell the next hosts what we found out about the sender of what `domain` sends on."""
        return b""

    def _sending(
        self,
        mark: bytes,
        recipients: Iterable[Recipient],
        now: datetime,
        here: Container[Recipient] = (),
        sender: Address | None = None,
    ) -> Sending:
        """`sender`: the reverse-path, None for the message's own."""
        user = self._client.authenticated
        path = sender if sender is not None else self._envelope.reverse_path
        envelope = replace(self._envelope, reverse_path=path, recipients=tuple(recipients))
        places = self._post.outbox.places(envelope, user.account if user else None, now, here)
        return Sending(mark, envelope, places)

    async def _deliver(
        self, tx: Transaction, parcel: Parcel, destinations: Sequence[Destination], sendings: Sequence[Sending]
    ) -> Stored:
        """Store the message for `destinations`: the operation behind every 250."""
        prepared = parcel.prepared
        blob = await blobs.put(tx, prepared.draft)
        top = return_path(self._envelope.reverse_path)
        common = parcel.received + prepared.header
        names: list[str] = []
        done: set[LocalTarget] = set()
        for destination in destinations if self._envelope.hold is None else ():
            mark = delivered_to(destination.recipient.address)
            for target in destination.route.local:
                if target not in done:
                    done.add(target)
                    own = top + self._explained(target) + mark + common
                    message = NewMessage(own, blob, prepared.draft.size, prepared.digest, parcel.now)
                    mailbox = await self._mailbox(tx, target)
                    appended = await messages.append(tx, target.account, mailbox, message)
                    names.append(f"{target.account}/{appended.message}")
        outgoing: list[Outgoing] = []
        trace = trace_number(parcel.id)
        user = self._client.authenticated
        account, size = user.account if user else None, prepared.draft.size
        for sending in sendings:  # it carries no Return-Path: that is the final host's to add
            queued = QueuedMessage(account, blob, sending.mark + common, size, sending.envelope, parcel.now, trace)
            enqueued = await self._post.outbox.put(tx, queued, sending.places)
            outgoing.append(Outgoing(enqueued, sending.places, queued, prepared.draft))
            names.append(f"q{enqueued.queued}")
        if not names:
            await blobs.note_unused(tx, blob)
        await timeline.record(tx, trace, *self._reception(parcel, destinations, names))
        held = self._envelope.hold is not None
        told = [
            d.recipient for d in destinations if not held and d.route.local and Notify.SUCCESS in d.recipient.notify
        ]
        if told and self._envelope.reverse_path is not None:
            await self._report_success(tx, parcel, told, trace)
        return Stored(names, outgoing)

    def _reception(
        self, parcel: Parcel, destinations: Sequence[Destination], names: list[str]
    ) -> tuple[EventKind, dict[str, object]]:
        """Give what the timeline is to tell: what came, from whom, and where it went."""
        client = self._client
        facts: dict[str, object] = {
            "peer": str(client.peer),
            "hello": client.hello,
            "from": str(self._envelope.reverse_path or ""),
            "to": [str(destination.recipient.address) for destination in destinations],
            "size": len(parcel.prepared.header) + parcel.prepared.draft.size,
            "stored": names,
        }
        identifier = headers.value(parcel.prepared.header, b"message-id")
        if identifier is not None and (own_ids := message_ids(identifier)):
            facts["message-id"] = own_ids[0].decode("utf-8", "replace")
        if client.tls is not None:
            facts["tls"] = f"{client.tls.version} {client.tls.cipher}"
        if client.authenticated is not None:
            facts["user"] = client.authenticated.name
        verdicts = self._verdicts()
        if verdicts:
            facts["verdicts"] = verdicts
        return EventKind.RECEIVED if client.authenticated is None else EventKind.SUBMITTED, facts

    def _name(self) -> str:
        """Give the id of the message."""
        return new_id()

    async def _mailbox(self, tx: Transaction, target: LocalTarget) -> MailboxId:
        """Give the mailbox of an account that the message goes into."""
        return await mailbox_now(tx, target, self._filing(target))

    def _filing(self, target: LocalTarget) -> Filing:
        """Say into which mailbox of an account the message goes."""
        return Filing.INBOX

    def _explained(self, target: LocalTarget) -> bytes:
        """Give fields that tell an account why the message is where it is."""
        return b""

    def _verdicts(self) -> dict[str, str]:
        """Give what checks said of the message, for its timeline: name and result of each."""
        return {}

    async def _report_success(
        self, tx: Transaction, parcel: Parcel, delivered: Sequence[Recipient], trace: int
    ) -> None:
        """Tell the sender of deliveries he asked to hear of (RFC 3461 §5.2.2); the report is part of the same
        commit."""
        original = Original(self._envelope, parcel.prepared.header, None, parcel.now)
        fates = [Fate(recipient, Action.DELIVERED, "2.0.0") for recipient in delivered]
        await bounce.post(tx, self._store, self._post.hostname, original, fates, trace, self._post.signer)


def _who(address: Address) -> tuple[str, str]:
    """Tell recipients elsewhere apart: which differences in a local part count, its own host knows (RFC 5321 §2.4)."""
    return address.local_part, address.domain.lower()


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
