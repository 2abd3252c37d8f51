"""What mail gets that an alias of ours sends on to other hosts: a reverse-path of ours, and a seal.

The first lets SPF pass at the next host (`srs`), the second lets it believe what we found out about the sender (ARC,
RFC 8617). The message itself stays as it is, and with it the signatures of its author.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from pennypost.mail import srs
from pennypost.mail.signing import Signer
from pennypost.model.address import Address
from pennypost.model.errors import SigningKeyLocked
from pennypost.model.verification import ArcVerdict
from pennypost.store.engine import Transaction
from pennypost.store.store import Store
from pennypost.verify import arc
from pennypost.verify.authentication_results import Outcome
from pennypost.verify.dkim import SigningAlgorithm, SigningKey

_log = structlog.stdlib.get_logger("pennypost.forwarding")


@dataclass(frozen=True, slots=True)
class ForwardingSettings:
    """What happens to mail that an alias sends on to other hosts."""

    rewrite_sender: bool = True
    """Give it a reverse-path of the domain that forwards it (SRS), so that SPF passes at the next host. Bounces
    come back here, and go on to the sender."""

    seal: bool = True
    """Seal it (ARC) with what was found out about its sender, if the domain that forwards it has keys."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a seal tells. `authserv_id`: who found it out. `chain`: what was said of the seals that are there."""

    authserv_id: str
    outcomes: Sequence[Outcome]
    chain: ArcVerdict


class Forwarder:
    """Readies mail of one worker to be sent on. `signer`: has the keys for seals."""

    def __init__(self, store: Store, settings: ForwardingSettings, signer: Signer) -> None:
        self._store = store
        self._settings = settings
        self._signer = signer

    async def reverse_path(self, sender: Address | None, forwarded_by: Address) -> Address | None:
        """Give the reverse-path for what an address of ours sends on. What has to be written is durable on return."""
        if sender is None or not self._settings.rewrite_sender:
            return sender
        domain = forwarded_by.domain
        made = await self._store.glance(lambda tx: srs.glance(tx, sender, domain))
        return made if made is not None else await self._store.write(lambda tx: srs.rewrite(tx, sender, domain))

    async def reverse_path_within(
        self, tx: Transaction, sender: Address | None, forwarded_by: Address
    ) -> Address | None:
        """Do as `reverse_path` in a transaction: an operation."""
        if sender is None or not self._settings.rewrite_sender:
            return sender
        return await srs.rewrite(tx, sender, forwarded_by.domain)

    async def sealing_key(self, domain: str) -> SigningKey | None:
        """Give the key that seals what a domain of ours sends on. One seal is all a message may have of us, so it is
        made with the algorithm that everybody knows, where there is a key of it."""
        if not self._settings.seal:
            return None
        try:
            keys = await self._signer.keys(domain)
        except SigningKeyLocked as locked:
            _log.warning("forwarded mail is not sealed", reason=str(locked))
            return None
        return min(keys, key=lambda key: key.algorithm is not SigningAlgorithm.RSA_SHA256, default=None)


def seal(header: bytes, body: bytes | memoryview, key: SigningKey, evidence: Evidence, now: datetime) -> bytes:
    """Give the fields that seal a message, to put before its header; b"" where nothing can be said (RFC 8617 §5.1)."""
    seconds = int(now.timestamp())
    return arc.seal(header, body, key, evidence.authserv_id, evidence.outcomes, evidence.chain, seconds)
