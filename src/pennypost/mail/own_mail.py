"""Mail of the server's own to other hosts: reports to senders, and to domains.

It is signed as our users' mail is: many hosts take nothing unsigned, a report without a reverse-path has no SPF of its
author's to pass DMARC by, and receivers of reports want it (RFC 8460 §3, RFC 9990 §3.5.2).
"""

import structlog

from pennypost.mail.signing import Signer, signature_fields
from pennypost.message import headers
from pennypost.model.envelope import Envelope
from pennypost.model.errors import SigningKeyLocked
from pennypost.model.ids import QueuedId
from pennypost.store import blobs, queue
from pennypost.store.engine import Transaction
from pennypost.store.queue import QueuedMessage
from pennypost.store.store import Store

_log = structlog.stdlib.get_logger("pennypost.own-mail")


async def send(
    tx: Transaction, store: Store, signer: Signer | None, octets: bytes, envelope: Envelope, trace: int = 0
) -> QueuedId:
    """Sign a message for the domain of its From and put it into the queue, in the caller's transaction: an operation.

    `octets`: CRLF lines, no trace fields. `signer`: None signs nothing. A key that cannot be opened is logged, and the
    message goes unsigned: what it says is not lost for that. When the transaction is committed the message is durable.
    """
    header, body = headers.split(octets)
    if signer is not None:
        try:
            keys = await signer.keys_within(tx, header)
        except SigningKeyLocked as locked:
            _log.warning("own mail is not signed", reason=str(locked))
            keys = []
        if keys:
            header = signature_fields(header, body, keys, tx.now) + header
    blob = await blobs.put(tx, store.blobs.draft(body))
    return (await queue.enqueue(tx, QueuedMessage(None, blob, header, len(body), envelope, tx.now, trace))).queued
