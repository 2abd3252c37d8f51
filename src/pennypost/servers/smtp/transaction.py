"""One message on its way in, and its line in the log."""

import time
from collections.abc import Sequence

import structlog

from pennypost.mail.reception import Acceptance, Reception, SmtpClient
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError

_log = structlog.stdlib.get_logger("pennypost.smtp")

_LOGGED_RECIPIENTS = 20
"""Recipients that a line in the log names; of more it says the number only."""


class Transaction:
    """A mail transaction (RFC 5321 §3.3), from MAIL to its end, whichever that is. `reception`: who decides.

    `problem`: why the text has to be refused, found while it came in.
    """

    __slots__ = ("_begun", "_client", "_envelope", "_logged", "accepted", "problem", "reception", "refused", "size")

    def __init__(self, client: SmtpClient, envelope: Envelope, reception: Reception) -> None:
        self._client = client
        self._envelope = envelope
        self._begun = time.monotonic()
        self._logged = False
        self.reception = reception
        self.accepted: list[Recipient] = []
        self.refused: list[tuple[Recipient, MailError]] = []
        self.problem: MailError | None = None
        self.size = 0

    async def recipient(self, recipient: Recipient) -> None:
        """Add a recipient. Raises MailError."""
        try:
            await self.reception.recipient(recipient)
        except MailError as error:
            self.refused.append((recipient, error))
            raise
        self.accepted.append(recipient)

    def write(self, chunk: bytes) -> None:
        """Take octets of the text. What is refused is remembered for the reply."""
        self.size += len(chunk)
        if self.problem is None:
            try:
                self.reception.write(chunk)
            except MailError as error:  # too large, or the disk is full: no reply is due yet
                self.problem = error
                self.reception.discard()

    async def accept(self) -> Acceptance:
        """Have the message stored. On return it is durable, and logged. Raises MailError: it is not stored then."""
        if self.problem is not None:
            raise self.problem
        acceptance = await self.reception.accept()
        self._log(acceptance.id, "accepted", acceptance.outcomes, acceptance.stored)
        return acceptance

    def end(self, verdict: str) -> None:
        """Forget what was not accepted, and say in the log what became of it, once."""
        self.reception.discard()
        self._log(None, verdict)

    def _log(
        self,
        id_: str | None,
        verdict: str,
        outcomes: Sequence[MailError | None] = (),
        stored: Sequence[str] = (),
    ) -> None:
        if self._logged:
            return
        self._logged = True
        client, tls = self._client, self._client.tls
        line: dict[str, object] = {
            "peer": str(client.peer),
            "hello": client.hello,
            "tls": f"{tls.version} {tls.cipher}" if tls is not None else None,
            "auth": client.authenticated.name if client.authenticated is not None else None,
            "sender": f"<{self._envelope.reverse_path or ''}>",
            "recipients": _named([str(recipient.address) for recipient in self.accepted]),
            "size": self.size,
            "verdict": verdict,
            "id": id_,
            "ms": round((time.monotonic() - self._begun) * 1000, 1),
        }
        if stored:
            line["stored"] = _named(list(stored))
        refused = [f"{recipient.address}: {error.status}" for recipient, error in self.refused]
        refused += [
            f"{recipient.address}: {error.status}"
            for recipient, error in zip(self.accepted, outcomes, strict=False)
            if error is not None
        ]
        if refused:
            line["refused"] = _named(refused)
        _log.info("transaction", **line)


def _named(each: list[str]) -> str:
    if len(each) <= _LOGGED_RECIPIENTS:
        return ", ".join(each)
    return ", ".join(each[:_LOGGED_RECIPIENTS]) + f" and {len(each) - _LOGGED_RECIPIENTS} more"
