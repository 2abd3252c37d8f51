"""Several hundred generated and mutated messages: our verdicts beside those of dkimpy, pyspf and authres.

Each message is put together from a signature, a client, a sender, an author and a policy, then perhaps damaged on its
way. SPF is pyspf's to confirm, DKIM dkimpy's; DMARC follows from the parts by the table in `expected_dmarc`; and
authres has to read what we write into Authentication-Results.
"""

import random
import re
import warnings
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import authres
import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from tests.vectors.spf import Zone

from pennypost.mail.verification import Verdicts
from pennypost.mail.verifier import outcomes
from pennypost.model.address import Address
from pennypost.model.peer import Peer
from pennypost.model.verification import DkimResult, DmarcPolicy, DmarcResult, SpfResult
from pennypost.verify import authentication_results, dkim, iprev
from pennypost.verify.dkim import SigningKey, public_record, sign
from pennypost.verify.dmarc import find_author, verify_all
from pennypost.verify.spf import Sender, verify_helo, verify_mail_from

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import spf as pyspf

NOW = 1_700_000_000
COUNT = 400
DOMAINS = ("example.org", "news.example.org", "example.net", "tenant.example.net", "other.example")
POLICIES = {
    "example.org": "p=reject; sp=quarantine",
    "example.net": "p=none; np=reject",
    "tenant.example.net": "p=quarantine; psd=n; adkim=s; aspf=s",
    "other.example": "",
}
ORGANIZATIONS = {
    "example.org": "example.org",
    "news.example.org": "example.org",
    "example.net": "example.net",
    "tenant.example.net": "tenant.example.net",
    "other.example": "other.example",
}
SPF = {
    "example.org": "v=spf1 ip4:192.0.2.0/24 -all",
    "news.example.org": "v=spf1 include:example.org ?all",
    "example.net": "v=spf1 a mx ~all",
    "tenant.example.net": "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all",
}
CLIENTS = ("192.0.2.1", "198.51.100.7", "203.0.113.5", "2001:db8::9")
DAMAGES = ("none", "body", "subject", "added", "refolded", "case", "blank-lines", "footer", "key")


@dataclass(frozen=True)
class Made:
    """One message of the corpus."""

    octets: bytes
    author: str
    mail_from: str
    client: str
    zone: dict[str, list[tuple[str, Any]]]
    text: str


def make(chance: random.Random, keys: list[RSAPrivateKey]) -> Made:
    author, mail_from, signer = (chance.choice(DOMAINS) for _ in range(3))
    damage, client = chance.choice(DAMAGES), chance.choice(CLIENTS)
    header = (
        f"From: Carl <carl@{author}>\r\nTo: anna@penny.test\r\nSubject: a  subject\r\n\twith a fold\r\n"
        f"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{chance.random()}@{author}>\r\n\r\n"
    ).encode()
    body = (
        b"".join(chance.choice((b"word ", b"two\t words  \r\n", b"\r\n", b"a line\r\n")) for _ in range(30)) + b"\r\n"
    )
    zone: dict[str, list[tuple[str, Any]]] = {name: [("TXT", text)] for name, text in SPF.items()}
    zone["example.net"] += [("A", "203.0.113.5"), ("MX", (10, "mx.example.net"))]
    zone["mx.example.net"] = [("A", "198.51.100.7")]
    zone |= {f"_dmarc.{name}": [("TXT", f"v=DMARC1; {policy}")] for name, policy in POLICIES.items() if policy}
    signed = chance.random() < 0.8
    if signed:
        key = chance.choice(keys)
        header = sign(header, body, [SigningKey(signer, "s1", key)], NOW - 10) + header
        published = next(k for k in keys if k is not key) if damage == "key" else key
        zone[f"s1._domainkey.{signer}"] = [("TXT", public_record(published.public_key()))]
    octets = damaged(damage, header, body)
    text = f"{damage} author={author} from={mail_from} signer={signer if signed else '-'} client={client}"
    return Made(octets, author, mail_from, client, zone, text)


def damaged(how: str, header: bytes, body: bytes) -> bytes:
    """Do to a message what happens to messages."""
    match how:
        case "body":
            body = body.replace(b"line", b"lime", 1) + b"x"
        case "subject":
            header = header.replace(b"a  subject", b"another subject")
        case "added":
            header = b"X-Added: by somebody\r\nReceived: from a by b; now\r\n" + header
        case "refolded":
            header = header.replace(b"a  subject\r\n\twith", b"a subject\r\n   with")
        case "case":
            header = header.replace(b"Subject:", b"SUBJECT:")
        case "blank-lines":
            body += b"\r\n\r\n"
        case "footer":
            body += b"-- \r\na list\r\n"
    return header + body


def oracle_dkim(made: Made) -> list[bool]:
    """Have dkimpy verify each signature."""

    def look_up(name: bytes, timeout: float = 5) -> bytes | None:
        found = made.zone.get(name.decode().rstrip("."), [])
        return found[0][1].encode() if found else None

    checker = dkimpy.DKIM(made.octets)
    count = sum(name.lower() == b"dkim-signature" for name, _ in checker.headers)
    results = []
    for index in range(count):
        try:
            results.append(bool(checker.verify(index, dnsfunc=look_up)))
        except dkimpy.DKIMException:
            results.append(False)
    return results


def oracle_spf(made: Made, monkeypatch: pytest.MonkeyPatch) -> str:
    def look_up(name: str, qtype: str, strict: object = True, timeout: float = 20) -> list[Any]:
        records = made.zone.get(name.lower().rstrip("."), [])
        return [
            ((name, qtype), (value.encode(),) if kind == "TXT" else value) for kind, value in records if kind == qtype
        ]

    monkeypatch.setattr(pyspf, "DNSLookup", look_up)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result: str = pyspf.query(i=made.client, s=f"carl@{made.mail_from}", h="mx.example").check()[0]
    return result


def expected_dmarc(made: Made, spf_passes: bool, signers: list[str]) -> tuple[DmarcResult, DmarcPolicy]:
    """Say what DMARC comes to, from the parts: alignment by the table of organizations."""
    organization = ORGANIZATIONS[made.author]
    record = POLICIES[organization]
    if not record:
        return DmarcResult.NONE, DmarcPolicy.NONE
    strict = "adkim=s" in record
    identifiers = [*signers, *([made.mail_from] if spf_passes else [])]
    aligned = any(name == made.author if strict else ORGANIZATIONS[name] == organization for name in identifiers)
    wanted = re.search(r"sp=(\w+)" if made.author != organization and "sp=" in record else r"p=(\w+)", record)
    assert wanted is not None
    return DmarcResult.PASS if aligned else DmarcResult.FAIL, DmarcPolicy(wanted[1])


def test_a_corpus_has_the_verdicts_of_other_implementations(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(9989)
    keys = [generate_private_key(65537, 2048), generate_private_key(65537, 1024)]
    seen: dict[str, int] = {}
    for _ in range(COUNT):
        made = make(chance, keys)
        zone = Zone(made.zone)
        sender = Sender(ip_address(made.client), "mx.example", "carl", made.mail_from)
        header, _, _ = made.octets.partition(b"\r\n\r\n")
        header += b"\r\n\r\n"
        spf = zone.consult(verify_mail_from(sender))
        signatures = zone.consult(dkim.verify(header, made.octets[len(header) :], NOW))
        dmarc = zone.consult(verify_all(find_author(header).domains, spf, signatures))

        assert spf.result.value == oracle_spf(made, monkeypatch), made.text
        assert [verdict.result is DkimResult.PASS for verdict in signatures] == oracle_dkim(made), made.text
        signers = [verdict.domain for verdict in signatures if verdict.result is DkimResult.PASS]
        expected = expected_dmarc(made, spf.result is SpfResult.PASS, signers)
        assert (dmarc.result, dmarc.policy) == expected, made.text

        peer = Peer(ip_address(made.client), 1)
        reverse = zone.consult(iprev.verify(ip_address(made.client)))
        verdicts = Verdicts(spf, zone.consult(verify_helo(sender)), signatures, dmarc, None, reverse)
        field = authentication_results.field(
            "mail.penny.test", outcomes(peer, Address("carl", made.mail_from), verdicts)
        )
        read = authres.AuthenticationResultsHeader.parse(re.sub(r"\r\n[ \t]+", " ", field.decode()).strip())
        assert read.authserv_id == "mail.penny.test"
        told = [(result.method, result.result) for result in read.results]
        assert ("spf", spf.result.value) in told
        assert ("dmarc", dmarc.result.value) in told
        assert [result for method, result in told if method == "dkim"] == (
            [verdict.result.value for verdict in signatures] or ["none"]
        )
        for kind in (f"spf {spf.result.value}", f"dmarc {dmarc.result.value}", *(v.result.value for v in signatures)):
            seen[kind] = seen.get(kind, 0) + 1
    assert {"spf pass", "spf fail", "spf softfail", "spf neutral", "spf none"} <= set(seen)
    assert {"dmarc pass", "dmarc fail", "dmarc none", "pass", "fail"} <= set(seen)
