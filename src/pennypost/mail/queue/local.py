"""Delivery to mailboxes here of what has waited in the queue: submissions that were to be held (RFC 4865).

All else is delivered here by the transaction that accepts it.
"""

from collections.abc import Sequence
from dataclasses import replace

from pennypost.mail.forwarding import Forwarder
from pennypost.mail.route import Route, mailbox_now, route
from pennypost.mail.trace import delivered_to, return_path
from pennypost.message.digest import MessageDigest, digest
from pennypost.model.envelope import Recipient
from pennypost.model.errors import MailError, TransientFailure
from pennypost.model.relaying import RecipientResult, RelayState
from pennypost.store import messages, queue, quota
from pennypost.store.engine import Transaction
from pennypost.store.messages import NewMessage
from pennypost.store.queue import QueuedMessage
from pennypost.store.store import Store


def digest_of(message: QueuedMessage, octets: bytes) -> MessageDigest:
    """Digest a queued message. `octets`: header and body."""
    return digest(message.header, octets[len(message.header) :])


async def deliver_here(
    tx: Transaction,
    store: Store,
    message: QueuedMessage,
    recipients: Sequence[Recipient],
    found: MessageDigest,
    forwarder: Forwarder | None = None,
) -> list[RecipientResult]:
    """File a message for recipients of ours: an operation. What an alias sends on goes into the queue."""
    results = []
    for recipient in recipients:
        try:
            home = await route(
                tx, recipient.address, store.settings.subaddress_separator, relay=True, subaddress_mailboxes=True
            )
            for target in home.local:
                # Those of one domain share its quota: what does not fit must be known before anything is written.
                await quota.check(tx, target.account, len(home.local) * (message.size + 1000))
        except MailError as error:
            state = RelayState.DEFERRED if isinstance(error, TransientFailure) else RelayState.FAILED
            results.append(RecipientResult(recipient, state, error.status, error.reason))
        else:
            await _file(tx, message, recipient, home, found, forwarder)
            results.append(RecipientResult(recipient, RelayState.SENT, "2.0.0", "delivered here", dsn_passed_on=True))
    return results


async def _file(
    tx: Transaction,
    message: QueuedMessage,
    recipient: Recipient,
    home: Route,
    found: MessageDigest,
    forwarder: Forwarder | None,
) -> None:
    mark = delivered_to(recipient.address)
    header = return_path(message.envelope.reverse_path) + mark + message.header
    for target in home.local:
        new = NewMessage(header, message.blob, message.body_size, found, tx.now)
        await messages.append(tx, target.account, await mailbox_now(tx, target), new)
    if home.remote:
        onward = tuple(Recipient(address, recipient.notify, recipient.original_recipient) for address in home.remote)
        passed_on = message.to(mark, onward)
        if forwarder is not None:
            sender = await forwarder.reverse_path_within(tx, message.envelope.reverse_path, recipient.address)
            passed_on = replace(passed_on, envelope=replace(passed_on.envelope, reverse_path=sender))
        await queue.enqueue(tx, passed_on)
