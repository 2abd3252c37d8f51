"""Find out who really sent a message: SPF, DKIM, ARC and iprev side by side, then DMARC, then BIMI.

Theory of operation. The evaluators of `verify` are calculations that ask the DNS. Here they are driven under a budget
of questions and of time: what is asked past either counts as an answer that failed, so that a message takes no longer
than that, whatever its records say. SPF, DKIM, ARC and iprev go by domains that whoever sends the message chose; so the
policy of the author's domain, which is what a forger has to fear, has a budget of its own that none of them can use up.
Answers that are cached cost no turn of the loop. The hashes of a large body are made on a thread, which is free for
others while a key is waited for.
"""

import asyncio
import mmap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TypeVar, cast

from pennypost.mail.sender_policy import decide, within
from pennypost.mail.verification import Verdicts
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.message import headers
from pennypost.model.address import Address
from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsStatus, RecordType
from pennypost.model.peer import Peer
from pennypost.model.verification import ArcVerdict, BimiVerdict, DkimVerdict, DmarcPolicy, DmarcResult, SpfVerdict
from pennypost.net.resolver import MAX_IN_FLIGHT, Resolver
from pennypost.verify import arc, authentication_results, bimi, dkim, iprev, spf
from pennypost.verify.authentication_results import Outcome
from pennypost.verify.dmarc import Author, find_author, verify_all
from pennypost.verify.dmarc.author import domain_name
from pennypost.verify.dmarc.evaluate import MAX_AUTHORS
from pennypost.verify.dmarc.tree import PREFIX

OFFLOAD_OCTETS = 256 * 1024
"""Bodies above this size are hashed on a thread."""

AUTHORS_SHARE = 3
"""One part in so many of the questions, and as much time again, is for the policy of the author's domain alone."""

MOST_OF_STRANGERS = MAX_IN_FLIGHT * 5 // 8
"""Questions about what senders chose, other than the author's policy, that are asked at once. Name servers that keep
silent hold so many places in the resolver, and no more: the rest is for policies, and for mail that leaves."""

T = TypeVar("T")

_FAILED = DnsAnswer(DnsStatus.FAILED)

FAILURES_OF_A_DEAD_DNS = 6
"""So many time-outs in a row make us doubt that the DNS is there."""
_SLOW_SECONDS = 1.0
"""A failure that came faster was an answer, or is remembered."""
PROBE_SECONDS = 10.0
"""How often it is found out whether it is."""


class DnsHealth:
    """Whether the DNS answers at all. While it does not, mail is not held up by it.

    Time-outs alone say nothing: whoever sends mail may have its domains looked up at servers that keep silent. So where
    there is doubt our own resolvers are asked for a name that they answer by themselves (RFC 6761 §6.4).
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._failures = 0
        self._dead = False
        self._probes = 0
        self._probe_at = 0.0
        self._probing: asyncio.Task[None] | None = None

    def note(self, answered: bool) -> None:
        """Take in how a question ended."""
        self._failures = 0 if answered else self._failures + 1
        self._dead = self._dead and not answered

    async def worth_asking(self) -> bool:
        """Whether a message should ask anything."""
        if self._failures < FAILURES_OF_A_DEAD_DNS:
            return True
        loop = asyncio.get_running_loop()
        if self._probing is None and loop.time() >= self._probe_at:
            self._probing = loop.create_task(self._probe())
        if self._probing is not None and not self._dead:
            await asyncio.shield(self._probing)
        return not self._dead

    async def _probe(self) -> None:
        """Ask anew: under a name that is in no cache."""
        self._probes += 1
        try:
            answer = await self._resolver.ask(DnsQuestion(f"probe-{self._probes}.pennypost.invalid", RecordType.A))
            self._dead = answer.status is DnsStatus.FAILED
            if not self._dead:
                self._failures = 0
        finally:
            self._probe_at = asyncio.get_running_loop().time() + PROBE_SECONDS
            self._probing = None


class Budget:
    """The questions and the time that some of the checks of one message have. `room`: asked at once by all messages."""

    def __init__(
        self,
        resolver: Resolver,
        health: DnsHealth,
        questions: int,
        seconds: float,
        room: asyncio.Semaphore | None,
    ) -> None:
        self._resolver = resolver
        self._room = room
        self._health = health
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._left = questions

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """Answer a question, or FAILED when question or time is one too many."""
        self._left -= 1
        if self._left < 0:
            return _FAILED
        if (known := self._resolver.known(question)) is not None:
            return known
        begun = self._loop.time()
        if begun >= self._deadline:
            return _FAILED
        try:
            async with asyncio.timeout_at(self._deadline):
                answer = await self._resolver.ask(question, self._room)
        except TimeoutError:
            answer = _FAILED
        if answer.status is not DnsStatus.FAILED or self._loop.time() - begun > _SLOW_SECONDS:
            self._health.note(answer.status is not DnsStatus.FAILED)
        return answer

    async def consult(self, consultation: Consultation[T]) -> T:
        """Drive a calculation on the loop."""
        try:
            question = next(consultation)
            while True:
                question = consultation.send(await self.ask(question))
        except StopIteration as done:
            result: T = done.value
            return result

    async def consult_on(self, threads: ThreadPoolExecutor, consultation: Consultation[T]) -> T:
        """Drive a calculation on a thread, which others may have while an answer is waited for.

        Returns when the thread is done with it, also when it is cancelled.
        """
        answer: DnsAnswer | None = None

        def go_on() -> tuple[DnsQuestion | None, T | None]:
            try:
                return (next(consultation) if answer is None else consultation.send(answer)), None
            except StopIteration as done:
                return None, done.value

        while True:
            job = self._loop.run_in_executor(threads, go_on)
            try:
                question, result = await asyncio.shield(job)
            except asyncio.CancelledError:
                await asyncio.wait([job])
                raise
            if question is None:
                return cast(T, result)
            answer = await self.ask(question)


def _is_signed(header: bytes) -> bool:
    """Whether the body may have to be hashed."""
    lower = header.lower()
    return b"dkim-signature" in lower or b"arc-" in lower


def _both(header: bytes, body: memoryview, now: int) -> Consultation[tuple[tuple[DkimVerdict, ...], ArcVerdict]]:
    signatures = yield from dkim.verify(header, body, now)
    chain = yield from arc.validate(header, body, now)
    return signatures, chain


class Verifier:
    """Verifies the messages of one worker. `hostname`: who we are to SPF's explanations and in the results.

    `observe`: hears what was found of each message.
    """

    def __init__(
        self,
        resolver: Resolver,
        settings: VerificationSettings,
        hostname: str,
        clock: Callable[[], datetime],
        observe: Callable[[Verdicts], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.authserv_id = settings.authserv_id or hostname
        self._resolver = resolver
        self._health = DnsHealth(resolver)
        self._room = asyncio.Semaphore(MOST_OF_STRANGERS)
        self._hostname = hostname
        self._clock = clock
        self._observe = observe
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="verify")

    def wants(self, peer: Peer) -> bool:
        """Whether mail of a peer is verified."""
        return self.settings.enabled and peer.ip is not None and not within(peer.ip, self.settings.exempt)

    async def verify(
        self, peer: Peer, hello: str, sender: Address | None, header: bytes, octets: bytes | mmap.mmap, start: int
    ) -> Verdicts:
        """Verify a message, and decide what follows. `octets`: the whole message; its body begins at `start`.

        Takes no more questions and time than the settings say; raises nothing of its own.
        """
        assert peer.ip is not None
        settings = self.settings
        questions = settings.max_questions if await self._health.worth_asking() else 0
        kept = questions // AUTHORS_SHARE
        seconds = settings.time.total_seconds()
        budget = Budget(self._resolver, self._health, questions - kept, seconds, self._room)
        now = int(self._clock().timestamp())
        who = self._spf_sender(peer, hello, sender, now)
        author = find_author(header)
        with self._policies_coming(author if questions else None):
            (mail_from, helo), (signatures, chain), reverse = await asyncio.gather(
                self._spf(budget, who),
                self._signatures(budget, header, octets, start, now),
                budget.consult(iprev.verify(peer.ip)),
            )
        budget = Budget(self._resolver, self._health, kept, seconds / AUTHORS_SHARE, None)
        dmarc = await budget.consult(verify_all(author.domains, mail_from, signatures))
        verdicts = Verdicts(mail_from, helo, signatures, dmarc, chain, reverse, forgeries=author.forgeries)
        if settings.bimi and dmarc.result is DmarcResult.PASS and dmarc.policy is not DmarcPolicy.NONE:
            verdicts = replace(verdicts, bimi=await self._bimi(budget, header, author, dmarc.organizational_domain))
        self._observe(verdicts)
        decision = decide(verdicts, peer.ip, settings)
        return replace(
            verdicts, handling=decision.handling, override=decision.override, override_comment=decision.comment
        )

    @contextmanager
    def _policies_coming(self, author: Author | None) -> Iterator[None]:
        """Have the policies of the authors looked up while others are asked: so they are there when they are needed."""
        domains = author.domains[:MAX_AUTHORS] if author is not None else ()
        questions = [DnsQuestion(PREFIX + domain, RecordType.TXT) for domain in domains]
        room = self._room if len(questions) > 1 else None
        asking = [asyncio.create_task(self._resolver.ask(question, room)) for question in questions]
        try:
            yield
        finally:
            for task in asking:
                task.cancel()  # who asks the same now has the answer of the question that goes on

    def _spf_sender(self, peer: Peer, hello: str, sender: Address | None, now: int) -> spf.Sender:
        assert peer.ip is not None
        if sender is None:
            return spf.Sender(peer.ip, hello, receiver=self._hostname, timestamp=now)
        domain = domain_name(sender.domain) or sender.domain
        return spf.Sender(peer.ip, hello, sender.local_part, domain, self._hostname, now)

    @staticmethod
    async def _spf(budget: Budget, who: spf.Sender) -> tuple[SpfVerdict, SpfVerdict]:
        """Check both identities. Of a null reverse-path they are the same (RFC 7208 §2.4)."""
        helo = await budget.consult(spf.verify_helo(who))
        if not who.domain:
            return replace(helo, identity="mailfrom"), helo
        return await budget.consult(spf.verify_mail_from(who)), helo

    async def _signatures(
        self, budget: Budget, header: bytes, octets: bytes | mmap.mmap, start: int, now: int
    ) -> tuple[tuple[DkimVerdict, ...], ArcVerdict]:
        with memoryview(octets) as whole, whole[start:] as body:
            if len(body) > OFFLOAD_OCTETS and _is_signed(header):
                return await budget.consult_on(self._threads, _both(header, body, now))
            return await budget.consult(_both(header, body, now))

    async def _bimi(self, budget: Budget, header: bytes, author: Author, organization: str) -> BimiVerdict | None:
        selector = headers.value(header, b"bimi-selector")
        return await budget.consult(bimi.look_up(author.domains[0], organization, selector))

    def results(self, peer: Peer, sender: Address | None, verdicts: Verdicts) -> bytes:
        """Give our Authentication-Results, to stand on top of a header."""
        return authentication_results.field(self.authserv_id, outcomes(peer, sender, verdicts))

    def without_forged(self, header: bytes) -> bytes:
        """Take out of a header what others wrote in our name."""
        return authentication_results.without_ours(header, self.authserv_id)

    def close(self) -> None:
        """End the thread when it has done what it was given."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def outcomes(peer: Peer, sender: Address | None, verdicts: Verdicts) -> list[Outcome]:
    """Give the results in the order in which they are written."""
    found: list[Outcome] = []
    if verdicts.iprev is not None and peer.ip is not None:
        found.append(authentication_results.iprev_outcome(verdicts.iprev, peer.ip))
    if verdicts.spf_helo is not None:
        found.append(authentication_results.spf_outcome(verdicts.spf_helo, ""))
    if verdicts.spf is not None:
        found.append(authentication_results.spf_outcome(verdicts.spf, str(sender) if sender is not None else ""))
    found += map(authentication_results.dkim_outcome, verdicts.dkim)
    if not verdicts.dkim:
        found.append(authentication_results.NO_DKIM)
    if verdicts.arc is not None:
        found.append(authentication_results.arc_outcome(verdicts.arc))
    if verdicts.dmarc is not None:
        found.append(authentication_results.dmarc_outcome(verdicts.dmarc))
    return found


def in_short(verdicts: Verdicts) -> dict[str, str]:
    """Give the verdicts in a few words, for the log and the timeline."""
    short: dict[str, str] = {}
    if verdicts.spf is not None:
        short["spf"] = f"{verdicts.spf.result.value} {verdicts.spf.domain}"
    if verdicts.dkim:
        short["dkim"] = ", ".join(f"{verdict.result.value} {verdict.domain}" for verdict in verdicts.dkim)
    if verdicts.dmarc is not None:
        short["dmarc"] = f"{verdicts.dmarc.result.value} {verdicts.dmarc.from_domain}"
    if verdicts.arc is not None:
        short["arc"] = verdicts.arc.result.value
    if verdicts.iprev is not None:
        short["iprev"] = f"{verdicts.iprev.result.value} {verdicts.iprev.name}".strip()
    if verdicts.bimi is not None:
        short["bimi"] = verdicts.bimi.location
    if verdicts.forgeries:
        short["from"] = ", ".join(forgery.value for forgery in verdicts.forgeries)
    if verdicts.override:
        short["override"] = f"{verdicts.override} {verdicts.override_comment}".strip()
    return short
