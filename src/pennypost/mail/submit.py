"""Submit: mail from our own users (RFC 6409), for ourselves and for everybody else.

The account must own what the message says of its author: the reverse-path, and every address in From and Sender. What a
client forgot is added: Date, Message-ID, From (RFC 6409 §8). What is nobody's business is taken out: Bcc (RFC 5322
§3.6.3) and the client's address, which the Received field does not name.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pennypost.mail import bounce
from pennypost.mail.bounce import Action, Fate, Original
from pennypost.mail.post import Destination, Parcel, Post, Sending, Stored
from pennypost.mail.queue import recall
from pennypost.mail.queue.settings import Suppress
from pennypost.mail.queue.suppressing import concerns
from pennypost.mail.reception import Reception, SmtpClient
from pennypost.mail.route import Route, route
from pennypost.mail.signing import signature_fields
from pennypost.mail.ties import envelope_key
from pennypost.mail.trace import new_id
from pennypost.mail.transaction import MailTransaction
from pennypost.message import headers
from pennypost.message.addresses import addresses, parse_addresses
from pennypost.message.digest import MessageDigest, digest
from pennypost.message.limits import MAX_ADDRESSES
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import (
    AccountDisabled,
    AuthenticationRequired,
    BadMessage,
    NullMx,
    OverQuota,
    RecipientSuppressed,
    SenderNotOwned,
    UnqualifiedDomain,
)
from pennypost.model.relaying import HopKind
from pennypost.store import junk, quota, suppression, timeline
from pennypost.store.directory import is_enabled
from pennypost.store.engine import Operation, Transaction
from pennypost.store.resolve import owns
from pennypost.store.timeline import EventKind, trace_number

_HIDDEN_FIELDS = (b"bcc", b"resent-bcc", b"return-path")
"""Taken out of what a client submits. Return-Path belongs to the host of final delivery (RFC 5321 §4.4)."""


class Submitter:
    """The `reception.Intake` of the submission doors."""

    def __init__(self, post: Post) -> None:
        self._post = post

    @property
    def max_message_size(self) -> int:
        return self._post.settings.max_message_size

    @property
    def max_recipients(self) -> int:
        return self._post.settings.max_recipients

    def begin(self, client: SmtpClient) -> Reception:
        """Open a transaction of an authenticated client."""
        return _Submission(self._post, client)


class _Submission(MailTransaction):
    _suppressed: tuple[Recipient, ...] = ()
    """Whom the message does not go to, since mail to them bounced before."""
    _draft: tuple[bytes, MessageDigest] | None = None
    """The header, and the digest, of what the user is shown of a message that is to be sent later."""

    _counted = False
    """Whether the message is counted already."""

    @property
    def _separator(self) -> str:
        return self._store.settings.subaddress_separator

    @property
    def _user(self) -> Authenticated:
        if self._client.authenticated is None:
            raise AuthenticationRequired
        return self._client.authenticated

    async def _judge_sender(self, envelope: Envelope) -> None:
        """The null reverse-path is open to users: read receipts need it (RFC 8098 §3)."""
        account, sender = self._user.account, envelope.reverse_path
        if self._post.sending is not None:
            await self._post.sending.admit(self._user)
        senders = self._post.senders
        if senders.known((account, sender)):
            return
        generation = senders.generation
        if not await self._store.glance(lambda tx: is_enabled(tx, account)):
            raise AccountDisabled
        if sender is not None and not await self._store.read(lambda tx: owns(tx, account, sender, self._separator)):
            raise SenderNotOwned
        senders.keep((account, sender), True, generation)

    async def recipient(self, recipient: Recipient) -> None:
        """Judge RCPT TO; refuse a domain that says it takes no mail while the user can hear of it (RFC 7505 §4.1)."""
        await super().recipient(recipient)
        check = self._post.check_domain
        if check is None:
            return
        try:
            for address in self._destinations[-1].route.remote:
                _, hop = self._post.outbox.router.find(self._envelope.reverse_path, address)
                if hop.kind is HopKind.MX:
                    await check(hop.domain)
        except NullMx:
            self._destinations.pop()
            raise

    async def _route(self, tx: Transaction, address: Address) -> Route:
        found = await route(
            tx, address, self._separator, relay=True, subaddress_mailboxes=self._settings.subaddress_mailboxes
        )
        if found.remote == (address,) and "." not in address.domain and address.domain.isascii():
            _, hop = self._post.outbox.router.find(self._envelope.reverse_path, address)
            if hop.kind is HopKind.MX and not address.domain.startswith("["):
                raise UnqualifiedDomain
        if concerns(self._post.outbox.router.settings.suppress, priority=self._envelope.priority):
            for remote in found.remote:
                if await suppression.find(tx, remote) is not None:
                    raise RecipientSuppressed
        return found

    async def _write(self, parcel: Parcel, destinations: Sequence[Destination]) -> list[str]:
        mode, header = self._post.outbox.router.settings.suppress, parcel.prepared.header
        if mode is Suppress.BULK and concerns(mode, priority=self._envelope.priority, header=header):
            destinations = await self._without_suppressed(destinations)
        if self._settings.scheduled_mailbox and self._envelope.hold is not None:
            draft = recall.draft_header(header, [destination.recipient.address for destination in destinations])
            start = self._spool.header_size()
            found = await self._post.preparer.on_spool(self._spool, start, lambda body: digest(draft, bytes(body)))
            self._draft = draft, found
        strangers = _elsewhere(destinations)
        if self._post.sending is not None and strangers:
            await self._post.sending.examine(self._user, self._client.peer, strangers)
        return await super()._write(parcel, destinations)

    async def _deliver(
        self, tx: Transaction, parcel: Parcel, destinations: Sequence[Destination], sendings: Sequence[Sending]
    ) -> Stored:
        if not self._counted:
            await self._count(tx, parcel, destinations)
        stored = await super()._deliver(tx, parcel, destinations, sendings)
        if self._suppressed:
            await self._report_suppressed(tx, parcel)
        if self._draft is not None:
            await self._show_scheduled(tx, *self._draft, stored)
        return stored

    async def _show_scheduled(self, tx: Transaction, header: bytes, found: MessageDigest, stored: Stored) -> None:
        """Let the user see what is to be sent later, if there is room for it: it leaves all the same."""
        account, size = self._user.account, len(header) + self._spool.size
        try:
            await quota.check(tx, account, size)
        except OverQuota:
            return
        for outgoing in stored.outgoing:
            name = self._settings.scheduled_mailbox
            await recall.file_copy(tx, account, name, header, found, outgoing.enqueued.queued)

    async def _count(self, tx: Transaction, parcel: Parcel, destinations: Sequence[Destination]) -> None:
        """Count the message, and note what answers will name. Raises SendingLimit, SendingFrozen."""
        strangers = _elsewhere(destinations)
        if self._post.sending is not None and strangers:
            await self._post.sending.count(tx, self._user, self._client.peer, strangers)
        await self._note(tx, parcel)

    async def _note(self, tx: Transaction, parcel: Parcel) -> None:
        """Note what answers will name."""
        if own_id := headers.value(parcel.prepared.header, b"message-id"):
            await junk.note_sent(tx, self._user.account, own_id)
        if self._envelope.envelope_id is not None:
            await junk.note_sent(tx, self._user.account, envelope_key(self._envelope.envelope_id))

    async def _is_ready_to_pass(self, parcel: Parcel, destinations: Sequence[Destination]) -> bool:
        """Count it first: what has left cannot be refused any more."""
        if self._suppressed:
            return False
        if self._post.sending is not None and self._post.sending.counts:
            self._post.outbox.write_along()
            await self._store.write(lambda tx: self._count(tx, parcel, destinations))
            self._counted = True
        return True

    def _afterthought(self, parcel: Parcel) -> Operation[None] | None:
        return None if self._counted else lambda tx: self._note(tx, parcel)

    async def _without_suppressed(self, destinations: Sequence[Destination]) -> list[Destination]:
        """Take out who bounced before, now that the header says that this goes to many. Raises RecipientSuppressed when
        nobody is left; the sender gets a report on those who go while others stay."""

        async def look(tx: Transaction) -> dict[str, Recipient]:
            return {
                address.key: replace(destination.recipient, address=address)
                for destination in destinations
                for address in destination.route.remote
                if await suppression.find(tx, address) is not None
            }

        found = await self._store.glance(look)
        if not found:
            return list(destinations)
        left = []
        for destination in destinations:
            remote = tuple(one for one in destination.route.remote if one.key not in found)
            if remote or destination.route.local:
                left.append(replace(destination, route=replace(destination.route, remote=remote)))
        if not left:
            raise RecipientSuppressed
        self._suppressed = tuple(found.values())
        return left

    async def _report_suppressed(self, tx: Transaction, parcel: Parcel) -> None:
        """Tell the sender, and the timeline, whom the message does not go to: a part of the same commit."""
        original = Original(self._envelope, parcel.prepared.header, None, parcel.now)
        fates = [
            Fate(recipient, Action.FAILED, RecipientSuppressed.status, RecipientSuppressed.text, "", parcel.now)
            for recipient in self._suppressed
        ]
        trace = trace_number(parcel.id)
        wanted = [fate for fate in fates if bounce.wants(fate.recipient, Action.FAILED)]
        posted = await bounce.post(tx, self._store, self._post.hostname, original, wanted, trace, self._post.signer)
        facts: dict[str, object] = {
            "action": Action.FAILED.value,
            "recipients": [str(recipient.address) for recipient in self._suppressed],
        }
        if wanted and self._envelope.reverse_path is not None:
            facts["to"], facts["stored"] = str(self._envelope.reverse_path), list(posted.stored)
        problem = posted.problem if wanted else "nobody wants to hear of it"
        if problem is not None:
            facts["problem"] = problem
        await timeline.record(tx, trace, EventKind.REPORTED, facts)

    async def _amend(self, header: bytes, now: datetime) -> bytes:
        await self._require_ownership(header)
        header = self._post.without_our_results(headers.remove(header, _HIDDEN_FIELDS))
        added: list[tuple[bytes, bytes]] = []
        if not headers.has_field(header, b"from"):
            sender = self._envelope.reverse_path
            added.append((b"From", f"<{sender or self._user.name}>".encode()))
        if not headers.has_field(header, b"date"):
            added.append((b"Date", self._post.stamp.at(now)))
        if not headers.has_field(header, b"message-id"):
            added.append((b"Message-ID", f"<{new_id().lower()}@{self._user.name.rpartition('@')[2]}>".encode()))
        return await self._signed(headers.prepend(header, *added) if added else header, now)

    async def _signed(self, header: bytes, now: datetime) -> bytes:
        """Put signatures before the header, if the author's domain has keys (RFC 6376 §5). All else is in its place."""
        signer = self._post.signer
        keys = await signer.keys_for(header) if signer is not None else []
        if not keys:
            return header
        fields = await self._post.preparer.on_spool(
            self._spool, self._spool.header_size(), lambda body: signature_fields(header, body, keys, now)
        )
        return fields + header

    async def _require_ownership(self, header: bytes) -> None:
        """Every author named must be the account's (RFC 6409 §6.1). Raises SenderNotOwned, BadMessage."""
        authors = headers.values(header, b"from")
        if len(authors) > 1:
            raise BadMessage("More than one From header field")
        named: dict[str, Address] = {}
        for value in (*authors, *headers.values(header, b"sender")):
            found = parse_addresses(value)
            listed = list(addresses(found))
            # A list that was cut off may name more authors than can be checked.
            if (
                not listed
                or len(found) >= MAX_ADDRESSES
                or any(e.address is None and not e.is_group_start and not e.is_group_end for e in found)
            ):
                raise BadMessage("From and Sender must name addresses that mail can be sent to")
            named.update((address.key, address) for address in listed)
        account = self._user.account
        left = [address for address in named.values() if address != self._envelope.reverse_path]  # seen at MAIL FROM

        async def all_owned(tx: Transaction) -> bool:
            for address in left:
                if not await owns(tx, account, address, self._separator):
                    return False
            return True

        if left and not await self._store.read(all_owned):
            raise SenderNotOwned


def _elsewhere(destinations: Sequence[Destination]) -> list[Address]:
    """Give the recipients that are at other hosts."""
    return [address for destination in destinations for address in destination.route.remote]
