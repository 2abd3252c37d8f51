"""A corpus of generated and mutated messages, for other implementations of SPF, DKIM and DMARC to be asked about.

Each message is put together from a signature, a client, a sender, an author and a policy, then perhaps damaged on its
way.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from tests.vectors.spf import Zone

from pennypost.model.verification import DkimVerdict, DmarcVerdict, SpfVerdict
from pennypost.verify import dkim
from pennypost.verify.dkim import SigningKey, public_record, sign
from pennypost.verify.dmarc import find_author, verify_all
from pennypost.verify.spf import Sender, verify_mail_from

NOW = 1_700_000_000
COUNT = 400
HELO = "mx.example"
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


def messages() -> Iterator[Made]:
    """Make the corpus: the same one each time, but for the keys."""
    chance = random.Random(9989)
    keys = [generate_private_key(65537, 2048), generate_private_key(65537, 1024)]
    for _ in range(COUNT):
        yield make(chance, keys)


@dataclass(frozen=True)
class Ours:
    """What we come to about a message."""

    spf: SpfVerdict
    signatures: list[DkimVerdict]
    dmarc: DmarcVerdict


def sender_of(made: Made) -> Sender:
    return Sender(ip_address(made.client), HELO, "carl", made.mail_from)


def verify(made: Made) -> Ours:
    """Verify a message as we do."""
    zone = Zone(made.zone)
    header, separator, body = made.octets.partition(b"\r\n\r\n")
    header += separator
    spf = zone.consult(verify_mail_from(sender_of(made)))
    signatures = zone.consult(dkim.verify(header, body, NOW))
    return Ours(spf, signatures, zone.consult(verify_all(find_author(header).domains, spf, signatures)))
