"""What a domain of ours has to publish in the DNS, ready to be pasted."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from pennypost.mail.own_policy import StsSettings, own_policy_record
from pennypost.model.dns import RecordType
from pennypost.store.signing_keys import StoredKey

TTL_SECONDS = 3600
_STRING_OCTETS = 255
"""Of one string of a TXT record (RFC 1035 §3.3.14)."""
MX_PREFERENCE = 10

AUTHORITIES = {
    "let's encrypt": "letsencrypt.org",
    "google trust services": "pki.goog",
    "zerossl": "sectigo.com",
    "sectigo": "sectigo.com",
    "digicert": "digicert.com",
    "buypass": "buypass.com",
    "ssl.com": "ssl.com",
}
"""What CAA records call an authority (RFC 8659 §4.2), by how the organization of its certificates begins."""


@dataclass(frozen=True, slots=True)
class Service:
    """A door that clients look for (RFC 6186, RFC 8314 §5.1). `port` 0: it is closed."""

    name: str
    port: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What the plan of a domain is made of.

    `hostname`: ours. `report_address`: the local part that DMARC reports go to. `keys`: those that sign for the
    domain, or will. `certificates`: those that port 25 shows under our hostname. `authority`: who may issue
    certificates, as CAA calls it; "" says nothing of it. `autoconfig_host`: who answers mail programs that look for
    their settings, "" nobody.
    """

    hostname: str
    sts: StsSettings
    report_address: str = "dmarc-reports"
    keys: Sequence[StoredKey] = ()
    certificates: Sequence[x509.Certificate] = ()
    services: Sequence[Service] = ()
    authority: str = ""
    autoconfig_host: str = ""


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """A record to publish. `name`: without the final dot. `value`: the text of a TXT record as it is, else the data
    as a zone file has it. `purpose`: what it is for."""

    name: str
    type: RecordType
    value: str
    purpose: str

    @property
    def data(self) -> str:
        """The data as a zone file has it (RFC 1035 §5.1)."""
        if self.type is not RecordType.TXT:
            return self.value
        octets = self.value.replace("\\", "\\\\").replace('"', '\\"')
        cut = [octets[start : start + _STRING_OCTETS] for start in range(0, len(octets), _STRING_OCTETS)]
        return " ".join(f'"{each}"' for each in cut)


def plan(domain: str, settings: PlanSettings) -> list[PlannedRecord]:
    """Give everything to publish for a domain, in the order of its importance. Names are A-labels, lower case."""
    return [
        *_mail(domain, settings),
        *_keys(domain, settings),
        *_reports(domain, settings),
        *_transport(domain, settings),
        *_clients(domain, settings),
        *_authority(domain, settings),
    ]


def _mail(domain: str, settings: PlanSettings) -> Iterator[PlannedRecord]:
    host = settings.hostname
    yield PlannedRecord(domain, RecordType.MX, f"{MX_PREFERENCE} {host}.", "Mail for the domain comes to this host.")
    yield PlannedRecord(
        domain, RecordType.TXT, "v=spf1 mx -all", "SPF: only this host sends mail of the domain. Add others that do."
    )
    if host != domain:
        yield PlannedRecord(host, RecordType.TXT, "v=spf1 a -all", "SPF of the name under which this host sends.")


def _keys(domain: str, settings: PlanSettings) -> Iterator[PlannedRecord]:
    for key in settings.keys:
        name = f"{key.selector}._domainkey.{key.domain}"
        yield PlannedRecord(name, RecordType.TXT, key.record, f"DKIM: the public key of {key.algorithm} signatures.")


def _reports(domain: str, settings: PlanSettings) -> Iterator[PlannedRecord]:
    yield PlannedRecord(
        f"_dmarc.{domain}",
        RecordType.TXT,
        f"v=DMARC1; p=none; rua=mailto:{settings.report_address}@{domain}",
        "DMARC: reports on who sends in the name of the domain. When they are fine: p=quarantine, then p=reject.",
    )
    yield PlannedRecord(
        f"_smtp._tls.{domain}",
        RecordType.TXT,
        f"v=TLSRPTv1; rua=mailto:postmaster@{domain}",
        "TLSRPT: reports of hosts that could not send here under TLS.",
    )


def _transport(domain: str, settings: PlanSettings) -> Iterator[PlannedRecord]:
    host = settings.hostname
    if settings.sts.mode != "none":
        yield PlannedRecord(
            f"_mta-sts.{domain}",
            RecordType.TXT,
            own_policy_record(settings.sts, host),
            "MTA-STS: there is a policy. Its id changes with the policy.",
        )
        yield PlannedRecord(
            f"mta-sts.{domain}",
            RecordType.CNAME,
            f"{host}.",
            "MTA-STS: the policy is fetched here over HTTPS, with a certificate for this name.",
        )
    for value in dict.fromkeys(map(tlsa_value, settings.certificates)):
        yield PlannedRecord(
            f"_25._tcp.{host}",
            RecordType.TLSA,
            value,
            "DANE: the key of this host's certificate. It counts only in a zone that is signed with DNSSEC.",
        )


def tlsa_value(certificate: x509.Certificate) -> str:
    """Give the data of the TLSA record that names a certificate's key: 3 1 1 (RFC 7672 §3.1.1)."""
    octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(octets).hexdigest()}"


def _clients(domain: str, settings: PlanSettings) -> Iterator[PlannedRecord]:
    for service in settings.services:
        name = f"_{service.name}._tcp.{domain}"
        if service.port:
            value = f"{service.priority} 1 {service.port} {settings.hostname}."
            yield PlannedRecord(name, RecordType.SRV, value, f"Mail programs find {service.name} here.")
        else:
            yield PlannedRecord(name, RecordType.SRV, "0 0 0 .", f"There is no {service.name} here.")
    if settings.autoconfig_host:
        for name in ("autoconfig", "autodiscover"):
            target = f"{settings.autoconfig_host}."
            yield PlannedRecord(
                f"{name}.{domain}", RecordType.CNAME, target, "Mail programs look for their settings here."
            )


def _authority(domain: str, settings: PlanSettings) -> Iterator[PlannedRecord]:
    if settings.authority:
        value = f'0 issue "{settings.authority}"'
        purpose = "Nobody else may issue certificates for the domain, nor for what is below it."
        yield PlannedRecord(domain, RecordType.CAA, value, purpose)


def authority_of(certificates: Sequence[x509.Certificate]) -> str:
    """Give who issued certificates, as CAA records call it; "" where that is not known."""
    for certificate in certificates:
        for attribute in certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME):
            organization = str(attribute.value).lower()
            for begin, name in AUTHORITIES.items():
                if organization.startswith(begin):
                    return name
    return ""


def zone_file(domain: str, records: Sequence[PlannedRecord]) -> str:
    """Write records as a part of a zone file (RFC 1035 §5.1): absolute names, what each is for above it."""
    lines = [f"; What {domain} has to publish for its mail."]
    purpose = ""
    width = max((len(record.name) for record in records), default=0) + 1
    for record in records:
        if record.purpose != purpose:
            purpose = record.purpose
            lines += ["", f"; {purpose}"]
        lines.append(f"{record.name + '.':<{width}} {TTL_SECONDS} IN {record.type.value:<5} {record.data}")
    return "\n".join(lines) + "\n"
