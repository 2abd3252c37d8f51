"""Receive: mail for our domains from anybody (RFC 5321), and over LMTP from a host that trusts us (RFC 2033).

Nobody relays here: a recipient outside our domains, and those we are a backup for, is refused, however it is spelled.
Percent signs, exclamation marks and quoted at-signs in a local part have no meaning; a source route is dropped (RFC
5321 §4.1.1.3, appendix C).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from pennypost.clients.screening.shape import Ruling
from pennypost.junk.evidence import Evidence as Reason
from pennypost.mail import srs
from pennypost.mail.brought import Brought
from pennypost.mail.dmarc_feedback import Feedback
from pennypost.mail.dmarc_feedback import may_hold_report as may_hold_aggregate
from pennypost.mail.forwarding import Evidence, seal
from pennypost.mail.greylisting import Doubt, Outcome, decide, doubt
from pennypost.mail.heard import MAX_REPORT_OCTETS
from pennypost.mail.judge import EVIDENCE_FIELD, SCORE_FIELD, Judge, Judgement, Verdict, look_at
from pennypost.mail.limits import Defence
from pennypost.mail.post import Destination, Parcel, Post, Sending, Stored
from pennypost.mail.reception import Acceptance, Reception, SmtpClient
from pennypost.mail.route import LocalTarget, Route, route
from pennypost.mail.screened import ScreenedTransaction
from pennypost.mail.screening import Screeners
from pennypost.mail.ties import Heard, Reporter, hear
from pennypost.mail.tls_reports import is_signed, may_hold_report
from pennypost.mail.verification import Filing, Handling, Verdicts, filing
from pennypost.mail.verifier import Verifier, in_short, outcomes
from pennypost.message import headers
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.errors import (
    BadMessage,
    ComeAgain,
    MailError,
    NotWanted,
    NotWantedNow,
    ScreenerDeferred,
    ScreenerRefused,
    SenderNotVerifiable,
    SenderPolicyRefused,
)
from pennypost.model.ids import AccountId
from pennypost.model.verification import DmarcResult
from pennypost.net.incident import log_incident
from pennypost.store import junk, quota, suppression, timeline
from pennypost.store.engine import Transaction
from pennypost.store.timeline import EventKind, trace_number
from pennypost.verify.dmarc import Forgery, find_author

_log = structlog.stdlib.get_logger("pennypost.receive")


class Receiver:
    """The `reception.Intake` of the MX door and of LMTP.

    `defence`: limits what strangers may ask. `verifier`, `feedback`: find out who sent a message, and count that for
    the reports to domains. `judge`: says whether a message is wanted. `screeners`: who else is asked; `held_mailbox`:
    where what they want held lies, "" for the mailbox for junk. None of them for LMTP, whose clients we trust.
    """

    def __init__(
        self,
        post: Post,
        defence: Defence | None = None,
        verifier: Verifier | None = None,
        feedback: Feedback | None = None,
        judge: Judge | None = None,
        screeners: Screeners | None = None,
        held_mailbox: str = "",
    ) -> None:
        self._post = post
        self._screeners = screeners
        self._held_mailbox = held_mailbox
        self._judge = judge if judge is not None and judge.settings.enabled else None
        self._defence = defence
        self._verifier = verifier
        self._feedback = feedback

    @property
    def max_message_size(self) -> int:
        return self._post.settings.max_message_size

    @property
    def max_recipients(self) -> int:
        return self._post.settings.max_recipients

    def begin(self, client: SmtpClient) -> Reception:
        """Open a transaction with whoever connected."""
        verifier = self._verifier
        if verifier is not None and not verifier.wants(client.peer):
            verifier = None
        incoming = _Incoming(self._post, client, self._defence, verifier, self._feedback, self._judge)
        incoming.is_unverified = self._verifier is not None and not self._verifier.settings.enabled
        if self._screeners is not None and self._screeners.wants(client.peer):
            incoming.have_inspected(self._screeners, self._held_mailbox)
        return incoming


class _Incoming(ScreenedTransaction):
    _heard: Heard | None = None
    is_unverified = False
    """Whether the client is a stranger whose mail nobody verifies."""

    _found: Verdicts | None = None

    def __init__(
        self,
        post: Post,
        client: SmtpClient,
        defence: Defence | None,
        verifier: Verifier | None,
        feedback: Feedback | None,
        judge: Judge | None,
    ) -> None:
        super().__init__(post, client)
        self._judge = judge
        self._judgements: dict[AccountId, Judgement] = {}
        self._defence = defence
        self._verifier = verifier
        self._feedback = feedback
        self._seals: dict[str, bytes] = {}
        self._top = b""
        self._doubt: Doubt | None = None
        self._held = False
        self._brought = Brought(post.store)

    async def accept(self) -> Acceptance:
        """Store the message, and beside it what it reports on our TLS (RFC 8460) or our mail (RFC 9990)."""
        size = self._spool.size
        acceptance, unwanted = None, None
        try:
            acceptance = await super().accept()
        except (ScreenerRefused, ScreenerDeferred) as problem:
            unwanted = problem
        if unwanted is not None:
            await self._tell_of_refusal(unwanted, size)
            raise unwanted
        assert acceptance is not None
        if self._inspection is not None:
            self._inspection.delivered(self._with_recipients(), acceptance.size, acceptance.stored)
        await self._brought.keep()
        return acceptance

    async def _judge_sender(self, envelope: Envelope) -> None:
        """Take any sender whose domain is not banned, as often as the limits allow."""
        if self._defence is not None:
            self._defence.sender(self._client.peer, envelope.reverse_path)
        if self._inspection is not None:
            await self._inspection.sender(envelope)

    async def recipient(self, recipient: Recipient) -> None:
        await super().recipient(recipient)
        try:
            if self._defence is not None:
                self._defence.recipient(self._client.peer, recipient.address)
            if self._inspection is not None:
                await self._inspection.recipient(self._envelope, recipient)
        except MailError:
            self._destinations.pop()
            raise

    async def _parcel(self) -> Parcel:
        if self._defence is not None:
            self._defence.octets(self._client.peer, self._spool.size)
        parcel = await super()._parcel()
        if self._judge is not None:
            await self._weigh(self._judge, parcel)
        return parcel

    def _is_digested(self) -> bool:
        return self._judge is not None or super()._is_digested()

    async def _weigh(self, judge: Judge, parcel: Parcel) -> None:
        """Find out whether the message is wanted. Raises NotWanted, NotWantedNow when nobody it is for wants it."""
        prepared = parcel.prepared
        content = await self._post.preparer.on_spool(
            self._spool,
            self._spool.header_size(),
            lambda body: look_at(parcel.received + prepared.header, prepared.digest.index, body),
        )
        accounts = list(dict.fromkeys(target.account for d in self._destinations for target in d.route.local))
        more: Sequence[Reason] = ()
        if self._inspection is not None:
            await self._inspection.content(self._with_recipients(), content)
            more = self._inspection.evidence
        self._judgements = await judge.judge(content, self._client, self._found, accounts, more)
        elsewhere = any(d.route.remote for d in self._destinations)
        if not accounts or elsewhere:
            return
        if self._inspection is not None and self._inspection.ruling is Ruling.HOLD:
            return  # somebody wants to look at it
        verdicts = {judgement.verdict for judgement in self._judgements.values()}
        if verdicts == {Verdict.REFUSE}:
            raise NotWanted
        if verdicts <= {Verdict.REFUSE, Verdict.DEFER}:
            raise NotWantedNow
        if self._filing_of_sender() is Filing.INBOX:
            summary, draft = prepared.digest.summary, prepared.draft
            found = self._judgements.values()
            sender = self._envelope.reverse_path
            name = summary.own_id or summary.date or None
            self._doubt = doubt(self._client, sender, name, draft.hash, found, judge.settings)

    async def _write(self, parcel: Parcel, destinations: Sequence[Destination]) -> list[str]:
        """Have the message stored; one that is doubtful is held. Raises ComeAgain when that is so, and is durable."""
        found, judge = self._doubt, self._judge
        if found is None or judge is None:
            return await super()._write(parcel, destinations)
        targets = [target for destination in destinations for target in destination.route.local]

        async def operation(tx: Transaction) -> Outcome:
            stored: set[LocalTarget] = set()

            async def deliver(chosen: Sequence[LocalTarget], held: bool) -> list[str]:
                self._held = held
                stored.update(chosen)
                kept = [_only(destination, chosen) for destination in destinations]
                return (await self._deliver(tx, parcel, [d for d in kept if d.route.local], ())).names

            outcome = await decide(tx, found, targets, judge.settings, deliver)
            let_in = [d.recipient for d in destinations if stored.isdisjoint(d.route.local)]
            told = [recipient for recipient in let_in if Notify.SUCCESS in recipient.notify]
            if told and not outcome.wait and self._envelope.reverse_path is not None:
                await self._report_let_in(tx, parcel, told)
            return outcome

        outcome = await self._store.write(operation)
        if outcome.wait:
            raise ComeAgain
        return outcome.stored

    async def _is_ready_to_pass(self, parcel: Parcel, destinations: Sequence[Destination]) -> bool:
        return self._heard is None

    async def _deliver(
        self, tx: Transaction, parcel: Parcel, destinations: Sequence[Destination], sendings: Sequence[Sending]
    ) -> Stored:
        """Store the message; a report on one of ours goes into that one's timeline (RFC 3464)."""
        stored = await super()._deliver(tx, parcel, destinations, sendings)
        for account, judgement in self._judgements.items():
            if judgement.stranger and not judgement.is_junk and not self._held:
                await junk.note_heard(tx, account, judgement.stranger)
        if self._heard is not None and destinations[0].recipient is self._destinations[0].recipient:
            await timeline.record(tx, self._heard.trace, EventKind.HEARD, self._heard.facts)
            for address, said in self._heard.gone:
                await suppression.suppress(tx, address, said)
        return stored

    async def _report_success(
        self, tx: Transaction, parcel: Parcel, delivered: Sequence[Recipient], trace: int
    ) -> None:
        """What is held is not delivered yet: its sender hears of it when it is let in."""
        if not self._held:
            await super()._report_success(tx, parcel, delivered, trace)

    async def _report_let_in(self, tx: Transaction, parcel: Parcel, delivered: Sequence[Recipient]) -> None:
        await super()._report_success(tx, parcel, delivered, trace_number(parcel.id))

    async def _route(self, tx: Transaction, address: Address) -> Route:
        separator = self._store.settings.subaddress_separator
        relay = self._post.outbox.router.backs_up(address.domain)
        if self._envelope.reverse_path is None and (sender := await srs.find_back(tx, address)) is not None:
            address, relay = sender, True  # a bounce of what we sent on goes to whom it came from
        found = await route(
            tx, address, separator, relay=relay, subaddress_mailboxes=self._settings.subaddress_mailboxes
        )
        for target in found.local:
            if target.bounded:
                await quota.check(tx, target.account, self._envelope.declared_size or 0)
        return found

    async def _amend(self, header: bytes, now: datetime) -> bytes:
        """Mail from others is stored as it came, below what we found out about its sender."""
        came = header
        if self._verifier is not None:
            header = await self._verify(self._verifier, header)
        elif self.is_unverified:
            header = self._post.without_our_results(header)
        if self._judge is not None:  # only now: a signature may cover what another host wrote there
            header = headers.remove(header, (SCORE_FIELD, EVIDENCE_FIELD))
        if self._inspection is not None:
            header = await self._inspect(self._inspection, header)
        size = self._spool.size
        if may_hold_report(header, size) and self._reporter_signed(header):
            await self._brought.read_on_tls(bytes(self._spool.octets()), now)
        recipients = (destination.recipient.address for destination in self._destinations)
        if self._verifier is not None and may_hold_aggregate(recipients, size, self._verifier.settings):
            await self._take_aggregate()
        if self._envelope.reverse_path is None:
            await self._hear(came)
        return self._top + header

    async def _hear(self, header: bytes) -> None:
        """Find out whether the message is a report on one of ours."""
        start = self._spool.header_size()
        try:
            self._heard = await hear(
                self._store,
                self._post.hostname,
                self._post.outbox.router.settings.suppress,
                [destination.recipient.address for destination in self._destinations],
                [target.account for destination in self._destinations for target in destination.route.local],
                header,
                self._spool.octets()[start : start + MAX_REPORT_OCTETS],
                Reporter(self._client.peer.ip, self._found, self._verifier is None and not self.is_unverified),
            )
        except MailError:
            raise
        except Exception as problem:  # whatever it says, it is mail for somebody
            log_incident("report.hear", problem)

    def _reporter_signed(self, header: bytes) -> bool:
        """Whether a report on our TLS is from whom it says. Who is not verified here we trust."""
        if self._verifier is None or self._found is None:
            return True
        return any(is_signed(self._found.dkim, domain) for domain in find_author(header).domains)

    async def _verify(self, verifier: Verifier, header: bytes) -> bytes:
        """Find out who sent the message, and follow what its domain asks for (RFC 9989 §5.3.6).

        Raises SenderPolicyRefused, SenderNotVerifiable.
        """
        client, sender = self._client, self._envelope.reverse_path
        found = await verifier.verify(
            client.peer, client.hello, sender, header, self._spool.octets(), self._spool.header_size()
        )
        self._found = found
        if self._feedback is not None:
            self._feedback.note(client.peer, sender.domain.lower() if sender is not None else "", found)
            self._feedback.failures.note(client.peer, sender, header, found)
        match found.handling:
            case Handling.REFUSE if Forgery.SEVERAL_FIELDS in found.forgeries:
                raise BadMessage("More than one From header field")
            case Handling.REFUSE if found.override:
                raise SenderPolicyRefused("Refused: SPF says that this host may not send for the domain")
            case Handling.REFUSE:
                raise SenderPolicyRefused
            case Handling.DEFER:
                raise SenderNotVerifiable
        self._top = verifier.results(client.peer, sender, found)
        return verifier.without_forged(header)

    async def _seal(self, parcel: Parcel, domain: str) -> bytes:
        forwarder, verifier, found = self._post.forwarder, self._verifier, self._found
        if forwarder is None or verifier is None or found is None or found.arc is None:
            return b""
        name = domain.lower()
        if name not in self._seals:
            key = await forwarder.sealing_key(name)
            if key is None:
                return b""
            told = outcomes(self._client.peer, self._envelope.reverse_path, found)
            evidence = Evidence(verifier.authserv_id, told, found.arc)
            self._seals[name] = await self._post.preparer.on_spool(
                self._spool,
                self._spool.header_size(),
                lambda body: seal(parcel.prepared.header, body, key, evidence, parcel.now),
            )
        return self._seals[name]

    async def _take_aggregate(self) -> None:
        """Read the report in a message, if it really is from whom it says (RFC 9990 §3.5.2)."""
        found = self._found
        if found is not None and found.dmarc is not None and found.dmarc.result is DmarcResult.PASS:
            await self._brought.read_on_mail(bytes(self._spool.octets()))

    def _filing(self, target: LocalTarget) -> Filing:
        judgement = self._judgements.get(target.account)
        unwanted = judgement is not None and judgement.is_junk
        return Filing.JUNK if unwanted or self._held else self._filing_of_sender()

    def _filing_of_sender(self) -> Filing:
        """Say where the message goes whomever it is for."""
        unwanted = self._inspection is not None and self._inspection.ruling in (Ruling.JUNK, Ruling.HOLD)
        return filing(self._found, junk=unwanted)

    def _explained(self, target: LocalTarget) -> bytes:
        judgement = self._judgements.get(target.account)
        return judgement.fields(held=self._held) if judgement is not None else b""

    def _verdicts(self) -> dict[str, str]:
        short = in_short(self._found) if self._found is not None else {}
        if self._judgements:
            short["junk"] = ", ".join(f"{judgement.score.total:.1f}" for judgement in self._judgements.values())
        if self._inspection is not None:
            short.update(self._inspection.notes)
        return short


def _only(destination: Destination, targets: Sequence[LocalTarget]) -> Destination:
    """Give a destination without its targets that are not among some."""
    local = tuple(target for target in destination.route.local if target in targets)
    return replace(destination, route=replace(destination.route, local=local))
