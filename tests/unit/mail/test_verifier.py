"""Who really sent a message: the driver over a DNS that fails in every way, and what follows at the MX door."""

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.dns_server import FakeDns, Fault
from tests.unit.mail.conftest import World
from tests.unit.mail.test_signing import SETTINGS, make

from pennypost.mail.attached import attached
from pennypost.mail.dmarc_failures import wanted
from pennypost.mail.dmarc_feedback import Feedback, report_in
from pennypost.mail.judge import Judge, JunkSettings
from pennypost.mail.post import Post
from pennypost.mail.prepare import Preparer
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Acceptance, Language, SmtpClient
from pennypost.mail.sender_policy import decide
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.signing import Signer
from pennypost.mail.submit import Submitter
from pennypost.mail.tls_reports import build_mail as build_tls_mail
from pennypost.mail.trace import DateStamp
from pennypost.mail.verification import Handling, Verdicts
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.mail.verifier import DnsHealth, Verifier
from pennypost.message import headers
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import BadMessage, SenderNotVerifiable, SenderPolicyRefused
from pennypost.model.peer import Peer
from pennypost.model.verification import (
    ArcResult,
    ArcVerdict,
    DkimResult,
    DmarcPolicy,
    DmarcResult,
    DmarcVerdict,
    IprevResult,
    SpfResult,
)
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings
from pennypost.store import dmarc, mailboxes, queue_view, tls_results
from pennypost.store.engine import Transaction
from pennypost.verify.dkim import SigningKey, public_record, sign
from pennypost.verify.dmarc import parse as parse_policy
from pennypost.verify.tls_report import PolicySummary, TlsReport, write_report

CLIENT = Peer(ip_address("192.0.2.1"), 4711)
STRANGER = Peer(ip_address("198.51.100.66"), 1)
CARL = Address("carl", "example.org")
HEADER = b"From: Carl <carl@example.org>\r\nTo: anna@penny.test\r\nSubject: hello\r\n\r\n"
BODY = b"A body.\r\n"
ALL_FAULTS = [
    fault for fault in Fault if fault not in (Fault.TRUNCATED, Fault.NO_EDNS, Fault.NXDOMAIN, Fault.OTHER_NAME)
]


@pytest.fixture
def zone() -> Iterator[FakeDns]:
    dns = FakeDns(
        {
            ("example.org", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
            ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:agg@example.org"'],
            ("default._bimi.example.org", "TXT"): ['"v=BIMI1; l=https://example.org/logo.svg"'],
            ("quarantined.example", "TXT"): ['"v=spf1 -all"'],
            ("_dmarc.quarantined.example", "TXT"): ['"v=DMARC1; p=quarantine"'],
            ("1.2.0.192.in-addr.arpa", "PTR"): ["mx.example.org."],
            ("mx.example.org", "A"): ["192.0.2.1"],
            ("mx.example.org", "TXT"): ['"v=spf1 a -all"'],
        }
    )
    with dns:
        yield dns


@asynccontextmanager
async def verifying(world: World, zone: FakeDns, patience: float = 2.0, **settings: Any) -> AsyncIterator[Verifier]:
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=patience)), (zone.server,))
    verifier = Verifier(resolver, VerificationSettings(**settings), "mail.penny.test", world.clock)
    try:
        yield verifier
    finally:
        verifier.close()
        await resolver.close()


async def look(
    verifier: Verifier,
    header: bytes = HEADER,
    body: bytes = BODY,
    *,
    peer: Peer = CLIENT,
    sender: Address | None = CARL,
) -> Verdicts:
    return await verifier.verify(peer, "mx.example.org", sender, header, header + body, len(header))


async def test_everything_about_a_good_message(world: World, zone: FakeDns) -> None:
    key = SigningKey("example.org", "s1", Ed25519PrivateKey.generate())
    zone.records["s1._domainkey.example.org", "TXT"] = [f'"{public_record(key.key.public_key())}"']
    header = sign(HEADER, BODY, [key], int(world.clock.now.timestamp())) + HEADER
    async with verifying(world, zone) as verifier:
        found = await look(verifier, header)
        amended = verifier.results(CLIENT, CARL, found) + verifier.without_forged(header)
    assert found.spf is not None
    assert found.spf_helo is not None
    assert found.dmarc is not None
    assert found.iprev is not None
    assert found.bimi is not None
    assert (found.spf.result, found.spf_helo.result) == (SpfResult.PASS, SpfResult.PASS)
    assert [verdict.result for verdict in found.dkim] == [DkimResult.PASS]
    assert (found.dmarc.result, found.dmarc.spf_aligned, found.dmarc.dkim_aligned) == (DmarcResult.PASS, True, True)
    assert (found.iprev.result, found.iprev.name) == (IprevResult.PASS, "mx.example.org")
    assert found.bimi.location == "https://example.org/logo.svg"
    assert found.handling is Handling.DELIVER
    written = headers.value(amended, b"authentication-results") or b""
    assert written.startswith(b"mail.penny.test;")
    for part in (b"spf=pass", b"dkim=pass", b"dmarc=pass", b"iprev=pass", b"arc=none"):
        assert part in written


async def test_results_in_our_name_are_taken_out_and_those_of_others_stay(world: World, zone: FakeDns) -> None:
    forged = (
        b"Authentication-Results: mail.penny.test; dmarc=pass\r\nauthentication-RESULTS: (x) MAIL.penny.test 1;\r\n"
    )
    foreign = b"Authentication-Results: other.example; spf=fail\r\n"
    async with verifying(world, zone) as verifier:
        results = verifier.results(CLIENT, CARL, await look(verifier))
        amended = results + verifier.without_forged(forged + foreign + HEADER)
    values = headers.values(amended, b"authentication-results")
    assert [value.partition(b";")[0] for value in values] == [b"mail.penny.test", b"other.example"]
    assert amended.endswith(foreign + HEADER)


@pytest.mark.parametrize("fault", ALL_FAULTS)
async def test_a_dns_that_fails_is_temporary_and_takes_bounded_time(world: World, zone: FakeDns, fault: Fault) -> None:
    names = {name for name, _ in zone.records} | {"mx.example.org", "_dmarc.org"}
    zone.faults = dict.fromkeys(names, fault)
    begun = asyncio.get_running_loop().time()
    async with verifying(world, zone, 0.1, time=timedelta(milliseconds=500)) as verifier:
        found = await look(verifier)
    assert asyncio.get_running_loop().time() - begun < 2
    assert found.spf is not None
    assert found.dmarc is not None
    assert found.iprev is not None
    assert (found.spf.result, found.dmarc.result) == (SpfResult.TEMPERROR, DmarcResult.TEMPERROR)
    assert found.iprev.result is IprevResult.TEMPERROR
    assert found.handling is Handling.DELIVER


async def test_questions_are_bounded(world: World, zone: FakeDns) -> None:
    terms = " ".join(f"a:h{n}.example.net" for n in range(10))
    zone.records["example.org", "TXT"] = [f'"v=spf1 {terms} -all"']
    zone.records |= {(f"h{n}.example.net", "A"): ["198.51.100.1"] for n in range(10)}
    async with verifying(world, zone, max_questions=10) as verifier:
        found = await look(verifier)
    assert len(zone.asked) <= 10
    assert found.spf is not None
    assert found.spf.result is SpfResult.TEMPERROR


async def test_a_dead_dns_is_asked_now_and_then_only(world: World, zone: FakeDns) -> None:
    zone.faults = {f"probe-{n}.pennypost.invalid": Fault.SILENCE for n in range(1, 4)}
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=0.1)), (zone.server,))
    health = DnsHealth(resolver)
    for _ in range(6):
        assert await health.worth_asking()
        health.note(False)
    assert not await health.worth_asking()
    assert not await health.worth_asking()
    assert {name for name, _ in zone.asked} == {"probe-1.pennypost.invalid"}
    health.note(True)
    assert await health.worth_asking()
    await resolver.close()


async def test_servers_that_keep_silent_are_not_a_dead_dns(world: World, zone: FakeDns) -> None:
    """Else somebody could have nothing verified by sending mail of domains that nobody answers for."""
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=0.1)), (zone.server,))
    health = DnsHealth(resolver)
    for _ in range(50):
        health.note(False)
    assert all(await asyncio.gather(*(health.worth_asking() for _ in range(5))))
    assert zone.asked == [("probe-1.pennypost.invalid", "A")]
    await resolver.close()


async def test_a_forger_cannot_use_up_the_questions_about_the_author(world: World, zone: FakeDns) -> None:
    terms = " ".join(f"mx:m{n}.evil.example" for n in range(10))
    zone.records["evil.example", "TXT"] = [f'"v=spf1 {terms} -all"']
    zone.records |= {(f"m{n}.evil.example", "MX"): [f"{k} h{n}{k}.evil.example." for k in range(10)] for n in range(10)}
    zone.records |= {(f"h{n}{k}.evil.example", "A"): ["203.0.113.9"] for n in range(10) for k in range(10)}
    async with verifying(world, zone) as verifier:
        found = await look(verifier, sender=Address("x", "evil.example"), peer=STRANGER)
    assert found.spf is not None
    assert found.spf.result is SpfResult.TEMPERROR
    assert found.handling is Handling.REFUSE


async def test_a_forger_cannot_use_up_the_time_for_the_author(world: World, zone: FakeDns) -> None:
    zone.faults["evil.example", "TXT"] = Fault.SILENCE
    async with verifying(world, zone, patience=5, time=timedelta(milliseconds=900)) as verifier:
        found = await look(verifier, sender=Address("x", "evil.example"), peer=STRANGER)
    assert found.handling is Handling.REFUSE


async def test_nothing_is_asked_when_the_time_is_over(world: World, zone: FakeDns) -> None:
    keys = [SigningKey("evil.example", f"s{n}", Ed25519PrivateKey.generate()) for n in range(3)]
    zone.faults["s0._domainkey.evil.example", "TXT"] = Fault.SILENCE
    now = int(world.clock.now.timestamp())
    header = b"".join(sign(HEADER, BODY, [key], now) for key in keys) + HEADER
    async with verifying(world, zone, patience=5, time=timedelta(milliseconds=300)) as verifier:
        found = await look(verifier, header, peer=STRANGER)
        await asyncio.sleep(0.05)
    assert [verdict.result for verdict in found.dkim] == [DkimResult.TEMPERROR] * 3
    assert {name for name, _ in zone.asked if "_domainkey" in name} == {"s0._domainkey.evil.example"}


async def test_silent_name_servers_do_not_fill_the_resolver(
    world: World, zone: FakeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennypost.net.resolver.MAX_IN_FLIGHT", 4)
    monkeypatch.setattr("pennypost.mail.verifier.MOST_OF_STRANGERS", 2)
    zone.faults = {(f"evil{n}.example", "TXT"): Fault.SILENCE for n in range(8)}
    async with verifying(world, zone, patience=5, time=timedelta(milliseconds=900)) as verifier:
        header = HEADER.replace(b"example.org", b"nobody.example")
        slow = []
        for n in range(8):  # one after the other, so that each gives up while later ones still have time
            one = look(verifier, header, sender=Address("x", f"evil{n}.example"), peer=STRANGER)
            slow.append(asyncio.create_task(one))
            await asyncio.sleep(0.03)
        found = await look(verifier, sender=Address("x", "evil0.example"), peer=STRANGER)
        await asyncio.gather(*slow)
        again = await look(verifier, sender=Address("x", "evil0.example"), peer=STRANGER)
    assert found.handling is Handling.REFUSE
    assert again.handling is Handling.REFUSE
    assert len({name for name, _ in zone.asked if name.startswith("evil")}) == 2  # no more while they keep silent


async def test_an_author_with_a_slow_dns_does_not_hide_another(world: World, zone: FakeDns) -> None:
    zone.faults["_dmarc.evil.example", "TXT"] = Fault.SILENCE
    header = HEADER.replace(b"From: ", b"From: x@evil.example, ")
    async with verifying(world, zone, patience=5, time=timedelta(milliseconds=900)) as verifier:
        found = await look(verifier, header, sender=Address("x", "evil.example"), peer=STRANGER)
    assert found.handling is Handling.REFUSE


async def test_a_signature_whose_key_was_not_asked_for_does_not_excuse(world: World, zone: FakeDns) -> None:
    """Signatures of the author's domain that cannot be judged leave it in doubt: then the mail waits."""
    key = SigningKey("quarantined.example", "s1", Ed25519PrivateKey.generate())
    zone.faults["s1._domainkey.quarantined.example", "TXT"] = Fault.SERVFAIL
    header = HEADER.replace(b"example.org", b"quarantined.example")
    header = sign(header, BODY, [key], int(world.clock.now.timestamp())) + header
    async with verifying(world, zone) as verifier:
        found = await look(verifier, header, sender=Address("x", "evil.example"), peer=STRANGER)
    assert found.handling is Handling.DEFER


async def test_a_large_body_is_hashed_elsewhere_and_a_cancelled_one_leaves_nothing(world: World, zone: FakeDns) -> None:
    key = SigningKey("example.org", "s1", Ed25519PrivateKey.generate())
    zone.records["s1._domainkey.example.org", "TXT"] = [f'"{public_record(key.key.public_key())}"']
    body = b"x" * 70 + b"\r\n"
    body *= 20_000
    header = sign(HEADER, body, [key], int(world.clock.now.timestamp())) + HEADER
    async with verifying(world, zone) as verifier:
        found = await look(verifier, header, body)
        assert [verdict.result for verdict in found.dkim] == [DkimResult.PASS]
        octets = bytearray(header + body)
        job = asyncio.create_task(verifier.verify(CLIENT, "h", CARL, header, bytes(octets), len(header)))
        await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job


async def test_a_key_that_does_not_come_holds_up_no_other_large_message(world: World, zone: FakeDns) -> None:
    key = SigningKey("example.org", "s1", Ed25519PrivateKey.generate())
    zone.records["s1._domainkey.example.org", "TXT"] = [f'"{public_record(key.key.public_key())}"']
    zone.faults["s1._domainkey.evil.example", "TXT"] = Fault.SILENCE
    body = (b"x" * 70 + b"\r\n") * 5_000
    good, evil = (
        sign(HEADER, body, [signer], int(world.clock.now.timestamp())) + HEADER
        for signer in (key, replace(key, domain="evil.example"))
    )
    async with verifying(world, zone, patience=5, time=timedelta(seconds=1)) as verifier:
        slow = [asyncio.create_task(look(verifier, evil, body, peer=STRANGER)) for _ in range(3)]
        await asyncio.sleep(0)
        found = await look(verifier, good, body)
        await asyncio.gather(*slow)
    assert [verdict.result for verdict in found.dkim] == [DkimResult.PASS]


# -- What follows


FAILED = DmarcVerdict(
    DmarcResult.FAIL, "a.example", "a.example", "a.example", DmarcPolicy.REJECT, record="v=DMARC1;p=reject"
)


@pytest.mark.parametrize(
    ("verdict", "settings", "handling", "override"),
    [
        (FAILED, {}, Handling.REFUSE, ""),
        (FAILED, {"refuse_by_dmarc": False}, Handling.QUARANTINE, "local_policy"),
        (replace(FAILED, policy=DmarcPolicy.QUARANTINE), {}, Handling.QUARANTINE, ""),
        (
            replace(FAILED, policy=DmarcPolicy.QUARANTINE),
            {"quarantine_by_dmarc": False},
            Handling.DELIVER,
            "local_policy",
        ),
        (replace(FAILED, policy=DmarcPolicy.NONE), {}, Handling.DELIVER, ""),
        (replace(FAILED, result=DmarcResult.PASS), {}, Handling.DELIVER, ""),
        (replace(FAILED, result=DmarcResult.TEMPERROR), {}, Handling.DEFER, ""),
        (replace(FAILED, result=DmarcResult.TEMPERROR, policy=DmarcPolicy.QUARANTINE), {}, Handling.DEFER, ""),
        (replace(FAILED, result=DmarcResult.TEMPERROR), {"defer_unverifiable": False}, Handling.DELIVER, ""),
        (replace(FAILED, result=DmarcResult.TEMPERROR, record=""), {}, Handling.DELIVER, ""),
        (DmarcVerdict(DmarcResult.PERMERROR, ""), {}, Handling.QUARANTINE, ""),
        (DmarcVerdict(DmarcResult.NONE, "a.example"), {}, Handling.DELIVER, ""),
        (FAILED, {"trusted_forwarders": (ip_network("192.0.2.0/24"),)}, Handling.DELIVER, "trusted_forwarder"),
        (FAILED, {"ignored_domains": ("example",)}, Handling.DELIVER, "local_policy"),
        (FAILED, {"trusted_sealers": ("lists.example",)}, Handling.DELIVER, "trusted_forwarder"),
        (FAILED, {"trusted_sealers": ("other.example",)}, Handling.REFUSE, ""),
    ],
)
def test_a_decision(verdict: DmarcVerdict, settings: Any, handling: Handling, override: str) -> None:
    chain = ArcVerdict(
        ArcResult.PASS,
        ("first.example", "lists.example"),
        0,
        "lists.example; spf=fail; dmarc = pass header.from=a.example",
    )
    decision = decide(Verdicts(dmarc=verdict, arc=chain), ip_address("192.0.2.1"), VerificationSettings(**settings))
    assert (decision.handling, decision.override) == (handling, override)


@pytest.mark.parametrize(
    "chain",
    [
        ArcVerdict(ArcResult.FAIL, ("lists.example",), None, "lists.example; dmarc=pass"),
        ArcVerdict(ArcResult.PASS, ("lists.example",), None, "lists.example; dmarc=fail"),
        ArcVerdict(ArcResult.PASS, ("lists.example",), None, "lists.example; dmarc=pass header.from=b.example"),
        ArcVerdict(ArcResult.PASS, ("lists.example",), None, 'lists.example; spf=fail smtp.mailfrom="; dmarc=pass"'),
        ArcVerdict(ArcResult.PASS, ("lists.example",), None, "lists.example; dmarc=fail (dmarc=pass)"),
        ArcVerdict(ArcResult.PASS, ("lists.example",), None, ""),
        ArcVerdict(ArcResult.PASS, ("lists.example", "stranger.example"), None, "stranger.example; dmarc=pass"),
        ArcVerdict(ArcResult.NONE),
    ],
)
def test_only_the_newest_seal_of_somebody_trusted_helps(chain: ArcVerdict) -> None:
    settings = VerificationSettings(trusted_sealers=("lists.example",))
    decision = decide(Verdicts(dmarc=FAILED, arc=chain), ip_address("192.0.2.1"), settings)
    assert decision.handling is Handling.REFUSE


# -- At the door


async def receive(
    world: World,
    verifier: Verifier | None,
    octets: bytes,
    *,
    feedback: Feedback | None = None,
    peer: Peer = CLIENT,
    sender: Address | None = CARL,
    to: str = "anna",
    judge: Judge | None = None,
) -> Acceptance:
    delivery = DeliverySettings()
    post = Post(
        world.store,
        Preparer(world.store, delivery),
        delivery,
        "mail.penny.test",
        DateStamp(),
        authserv_id="mail.penny.test",
    )
    client = SmtpClient(peer, "mx.example.org", Language.ESMTP)
    reception = Receiver(post, None, verifier, feedback, judge).begin(client)
    try:
        await reception.sender(Envelope(sender))
        await reception.recipient(Recipient(Address(to, "penny.test")))
        reception.write(octets)
        return await reception.accept()
    finally:
        reception.discard()


async def totals(world: World) -> dict[str, int]:
    listed = await world.store.read(lambda tx: mailboxes.list_all(tx, world.anna))
    return {mailbox.name: mailbox.total for mailbox in listed if mailbox.total}


async def test_a_forgery_is_refused_and_nothing_of_it_is_stored(world: World, zone: FakeDns) -> None:
    async with verifying(world, zone) as verifier:
        with pytest.raises(SenderPolicyRefused):
            await receive(world, verifier, HEADER + BODY, peer=STRANGER, sender=Address("x", "evil.example"))
        await receive(world, verifier, HEADER + BODY)
    assert await totals(world) == {"INBOX": 1}


async def test_a_signature_over_a_score_of_somebody_else_holds(
    world: World, zone: FakeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score of another host goes, but only when the signatures were looked at."""
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    record = public_record(key.public_key())
    zone.records["s1._domainkey.example.org", "TXT"] = [f'"{record[:200]}" "{record[200:]}"']
    message = b"X-Junk-Score: -9.0\r\n" + HEADER + BODY
    covered = [b"from", b"to", b"subject", b"x-junk-score"]
    monkeypatch.setattr("time.time", world.clock.now.timestamp)
    signature = dkim.sign(message, b"s1", b"example.org", pem, include_headers=covered)
    async with verifying(world, zone) as verifier:
        await receive(world, verifier, signature + message, judge=Judge(world.store, JunkSettings()))
    (stored,) = await world.store.read(lambda tx: tx.fetch_all("SELECT header FROM message"))
    assert b"dkim=pass" in stored[0]
    assert b"-9.0" not in stored[0]


async def test_what_is_to_be_quarantined_goes_to_junk(world: World, zone: FakeDns) -> None:
    octets = HEADER.replace(b"example.org", b"quarantined.example") + BODY
    async with verifying(world, zone) as verifier:
        await receive(world, verifier, octets)
        await receive(world, verifier, octets, to="anna+INBOX")
    assert await totals(world) == {"Junk": 2}


async def test_two_authors_are_refused_and_none_is_junk(world: World, zone: FakeDns) -> None:
    async with verifying(world, zone) as verifier:
        with pytest.raises(BadMessage, match="More than one From"):
            await receive(world, verifier, b"From: x@evil.example\r\n" + HEADER + BODY)
        await receive(world, verifier, b"Subject: nobody\r\n\r\nx\r\n")
    assert await totals(world) == {"Junk": 1}


async def test_mail_is_put_off_only_when_a_forgery_could_get_through(world: World, zone: FakeDns) -> None:
    zone.faults["example.org", "TXT"] = Fault.SERVFAIL
    async with verifying(world, zone, 0.2) as verifier:
        with pytest.raises(SenderNotVerifiable):
            await receive(world, verifier, HEADER + BODY)
    assert await totals(world) == {}


async def test_who_is_exempt_is_not_looked_at(world: World, zone: FakeDns) -> None:
    async with verifying(world, zone, exempt=(ip_network("198.51.100.0/24"),)) as verifier:
        await receive(world, verifier, HEADER + BODY, peer=STRANGER)
        await receive(world, verifier, HEADER + BODY, peer=Peer(None, 0))
    async with verifying(world, zone, enabled=False) as verifier:
        await receive(world, verifier, HEADER + BODY, peer=STRANGER)
    assert zone.asked == []
    assert await totals(world) == {"INBOX": 3}


async def test_nobody_speaks_in_our_name_where_nothing_is_verified_either(world: World, zone: FakeDns) -> None:
    """RFC 8601 §5: results that claim to be ours are taken out, of what users submit, too."""
    claim = b"Authentication-Results: mail.penny.test; dkim=pass header.d=example.org\r\n"
    async with verifying(world, zone, enabled=False) as verifier:
        await receive(world, verifier, claim + HEADER + BODY, peer=STRANGER)
    delivery = DeliverySettings()
    preparer = Preparer(world.store, delivery)
    post = Post(world.store, preparer, delivery, "h", DateStamp(), authserv_id="mail.penny.test")
    user = Authenticated(world.anna, "anna@penny.test")
    submission = Submitter(post).begin(SmtpClient(CLIENT, "laptop", Language.ESMTP, None, user))
    await submission.sender(Envelope(Address("anna", "penny.test")))
    await submission.recipient(Recipient(Address("anna", "penny.test")))
    submission.write(claim + b"From: anna@penny.test\r\n\r\nhello\r\n")
    await submission.accept()
    found = await world.store.read(lambda tx: tx.fetch_all("SELECT header FROM message"))
    assert len(found) == 2
    assert all(b"Authentication-Results" not in header for (header,) in found)


# -- Reports


async def queued_octets(world: World) -> bytes:
    async def body(tx: Transaction) -> bytes:
        row = await tx.fetch_one("SELECT header, blob FROM queued")
        assert row is not None
        return bytes(row[0]) + await world.store.blobs.read(tx, row[1])

    return await world.store.read(body)


async def test_a_day_is_reported_once(world: World, zone: FakeDns) -> None:
    async with verifying(world, zone) as verifier:
        await make(world)
        signer = Signer(world.store, SETTINGS)
        feedback = Feedback(world.store, verifier.settings, "mail.penny.test", signer)
        for _ in range(2):
            await receive(world, verifier, HEADER + BODY, feedback=feedback)
        with pytest.raises(SenderPolicyRefused):
            await receive(
                world, verifier, HEADER + BODY, feedback=feedback, peer=STRANGER, sender=Address("x", "evil.example")
            )
        await feedback.flush()
        await feedback.flush()
        resolver = verifier._resolver
        assert await feedback.send_due(resolver) == 0
        world.clock.forward(timedelta(days=1))
        assert await feedback.send_due(resolver) == 1
        assert await feedback.send_due(resolver) == 0
    octets = await queued_octets(world)
    assert octets.count(b"DKIM-Signature: v=1; a=") == 2
    assert b"\r\nTo: <agg@example.org>\r\n" in octets
    assert b"From: <postmaster@penny.test>\r\n" in octets
    made = report_in(octets)
    assert made is not None
    assert (made.domain, made.organization) == ("example.org", "mail.penny.test")
    rows = {row.source_ip: row for row in made.rows}
    good, bad = rows["192.0.2.1"], rows["198.51.100.66"]
    assert (good.count, good.disposition, good.spf_aligned, good.envelope_from) == (2, "pass", True, "example.org")
    assert (bad.count, bad.disposition, bad.spf_aligned, bad.spf_result) == (1, "reject", False, "none")
    assert ("p", "reject") in made.published


async def test_nobody_is_told_who_did_not_ask(world: World, zone: FakeDns) -> None:
    zone.records["_dmarc.example.org", "TXT"] = ['"v=DMARC1; p=reject; rua=mailto:agg@victim.example"']
    async with verifying(world, zone) as verifier:
        feedback = Feedback(world.store, verifier.settings, "mail.penny.test")
        await receive(world, verifier, HEADER + BODY, feedback=feedback)
        await feedback.flush()
        world.clock.forward(timedelta(days=1))
        assert await feedback.send_due(verifier._resolver) == 0
    assert (await world.store.read(queue_view.count)).waiting == 0
    assert await world.store.read(lambda tx: dmarc.due(tx, 10**9, 10)) == []


def a_report(count: int) -> bytes:
    xml = (
        "<feedback><report_metadata><org_name>Big</org_name><report_id>7</report_id><date_range><begin>1</begin>"
        "<end>2</end></date_range></report_metadata><policy_published><domain>penny.test</domain><p>none</p>"
        f"</policy_published><record><row><source_ip>192.0.2.9</source_ip><count>{count}</count><policy_evaluated>"
        "<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers>"
        "<header_from>penny.test</header_from></identifiers><auth_results/></record></feedback>"
    )
    return gzip.compress(xml.encode())


async def test_reports_that_come_are_kept_once_and_only_from_whom_they_say(world: World, zone: FakeDns) -> None:
    carrier = HEADER.replace(
        b"\r\n\r\n", b"\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    octets = carrier + base64.encodebytes(a_report(5)).replace(b"\n", b"\r\n")
    async with verifying(world, zone, report_addresses=("anna",)) as verifier:
        for _ in range(2):
            await receive(world, verifier, octets)
        unsigned = octets.replace(b"example.org", b"quarantined.example").replace(b"7", b"8")
        await receive(world, verifier, unsigned)
    (kept,) = await world.store.read(dmarc.reports)
    assert (kept.domain, kept.organization, kept.messages, kept.passed) == ("penny.test", "Big", 5, 5)
    (row,) = await world.store.read(lambda tx: dmarc.rows(tx, kept.id))
    assert row.source_ip == "192.0.2.9"
    world.clock.forward(timedelta(days=100))
    assert await world.store.write(lambda tx: dmarc.sweep(tx, timedelta(days=90))) == 1


async def test_a_report_on_our_tls_counts_only_when_its_domain_signed_it(world: World, zone: FakeDns) -> None:
    """RFC 8460 §3."""
    day = datetime(2026, 1, 31, tzinfo=UTC)
    report = TlsReport("Org", "p@example.org", "1", day, day, (PolicySummary("sts", "penny.test", (), (), 1, 0, ()),))
    packed = gzip.compress(write_report(report))
    octets = build_tls_mail(report, "penny.test", "p@example.org", ["anna@penny.test"], packed, day)
    key = SigningKey("example.org", "s1", Ed25519PrivateKey.generate())
    zone.records["s1._domainkey.example.org", "TXT"] = [f'"{public_record(key.key.public_key())}"']
    header, body = headers.split(octets)
    foreign = replace(key, domain="quarantined.example")
    zone.records["s1._domainkey.quarantined.example", "TXT"] = zone.records["s1._domainkey.example.org", "TXT"]
    async with verifying(world, zone) as verifier:
        for signer, kept in ((None, 0), (foreign, 0), (key, 1)):
            signed = sign(header, body, [signer], int(world.clock.now.timestamp())) if signer is not None else b""
            await receive(world, verifier, signed + octets)
            assert len(await world.store.read(lambda tx: tls_results.reports(tx))) == kept


def test_few_parts_are_looked_into_for_a_report() -> None:
    bomb = base64.encodebytes(gzip.compress(b"x" * 10)).replace(b"\n", b"\r\n")
    part = b"--b\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + bomb
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 100 + b"--b--\r\n"
    assert len(list(attached(message, {(b"application", b"gzip")}))) == 2


async def test_a_single_failure_is_reported_when_both_sides_want_it(world: World, zone: FakeDns) -> None:
    zone.records["_dmarc.example.org", "TXT"] = ['"v=DMARC1; p=reject; ruf=mailto:one@example.org"']
    contact = Address("postmaster", "penny.test")
    for enabled in (False, True):
        async with verifying(world, zone, report_failures=enabled) as verifier:
            feedback = Feedback(world.store, verifier.settings, "mail.penny.test")
            await receive(world, verifier, HEADER + BODY, feedback=feedback)
            with pytest.raises(SenderPolicyRefused):
                await receive(
                    world,
                    verifier,
                    HEADER + BODY,
                    feedback=feedback,
                    peer=STRANGER,
                    sender=Address("x", "evil.example"),
                )
            assert await feedback.failures.send(verifier._resolver, contact) == int(enabled)
    octets = await queued_octets(world)
    assert b"\r\nTo: <one@example.org>\r\n" in octets
    assert b"\r\nFeedback-Type: auth-failure\r\n" in octets
    assert b"\r\nAuth-Failure: dmarc\r\n" in octets
    assert b"\r\nIdentity-Alignment: dkim, spf\r\n" in octets  # those that failed
    assert b"\r\nSPF-DNS:" not in octets  # it was another organization's sender
    assert b"\r\nDelivery-Result: reject\r\n" in octets
    assert b"\r\nSubject: hello\r\n" in octets
    assert b"anna@penny.test" not in octets
    assert BODY not in octets


async def test_a_failure_of_its_own_sender_comes_with_the_record(world: World, zone: FakeDns) -> None:
    """RFC 9991 §4."""
    zone.records["_dmarc.example.org", "TXT"] = ['"v=DMARC1; p=none; ruf=mailto:one@example.org"']
    zone.records["example.org", "TXT"] = ['"v=spf1 ip4:192.0.2.1 -all"']
    async with verifying(world, zone, report_failures=True) as verifier:
        feedback = Feedback(world.store, verifier.settings, "mail.penny.test")
        await receive(world, verifier, HEADER + BODY, feedback=feedback, peer=STRANGER)
        assert await feedback.failures.send(verifier._resolver, Address("postmaster", "penny.test")) == 1
    octets = await queued_octets(world)
    assert b'\r\nSPF-DNS: txt : example.org : "v=spf1 ip4:192.0.2.1 -all"\r\n' in octets


async def test_public_suffixes_are_told_nothing(world: World, zone: FakeDns) -> None:
    """RFC 9991 §2: ruf in a record with psd=y."""
    zone.records["_dmarc.example.org", "TXT"] = ['"v=DMARC1; p=none; psd=y; ruf=mailto:one@example.org"']
    async with verifying(world, zone, report_failures=True) as verifier:
        feedback = Feedback(world.store, verifier.settings, "mail.penny.test")
        await receive(world, verifier, HEADER + BODY, feedback=feedback, peer=STRANGER)
        assert await feedback.failures.send(verifier._resolver, Address("postmaster", "penny.test")) == 0


@pytest.mark.parametrize(
    ("options", "verdict", "expected"),
    [
        ("0", FAILED, True),
        ("0", replace(FAILED, result=DmarcResult.PASS, spf_aligned=True), False),
        ("1", replace(FAILED, result=DmarcResult.PASS, spf_aligned=True), True),
        ("1", replace(FAILED, result=DmarcResult.PASS, spf_aligned=True, dkim_aligned=True), False),
        ("d", replace(FAILED, result=DmarcResult.PASS, spf_aligned=True), False),
        ("0:d:s", replace(FAILED, result=DmarcResult.TEMPERROR), False),
    ],
)
def test_which_failures_a_domain_wants_to_hear_of(options: str, verdict: DmarcVerdict, expected: bool) -> None:
    """RFC 9991, by the fo tag of RFC 9989 §4.7."""
    record = parse_policy(f"v=DMARC1; p=none; ruf=mailto:a@a.example; fo={options}".encode())
    assert record is not None
    assert wanted(record, Verdicts(dmarc=verdict)) is expected
