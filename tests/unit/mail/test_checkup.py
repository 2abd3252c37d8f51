"""What the doctor says of what is published: every answer the DNS can give, and every way in which it can fail."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pennypost.mail.checkup import certificates, identity, published
from pennypost.mail.checkup.findings import Finding, Grade
from pennypost.mail.dns_plan import PlannedRecord, PlanSettings, Service, authority_of, plan, tlsa_value, zone_file
from pennypost.mail.own_policy import StsSettings
from pennypost.model.dns import (
    CaaRecord,
    Consultation,
    DnsAnswer,
    DnsQuestion,
    DnsRecord,
    DnsStatus,
    MxRecord,
    RecordType,
    SrvRecord,
    TlsaRecord,
)
from pennypost.net.settings import CertificateFiles
from pennypost.store.signing_keys import StoredKey
from pennypost.verify.dkim import public_record

T = TypeVar("T")
NOW = datetime(2026, 11, 27, tzinfo=UTC)
HOST, DOMAIN = "mx.penny.test", "penny.test"
IP = IPv4Address("5.9.1.2")
GOOD, HINT, PROBLEM, UNKNOWN = Grade.GOOD, Grade.HINT, Grade.PROBLEM, Grade.UNKNOWN
KEY, OTHER_KEY = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 1024)
Answers = Mapping[tuple[str, str], Sequence[DnsRecord] | DnsStatus]


def certificate(*names: str, issuer: str = "", days: int = 60, begins: int = -10) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    by = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, issuer)]) if issuer else subject
    return (
        x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=begins))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        .sign(key, SHA256())
    )


CERTIFICATE = certificate(HOST, issuer="Let's Encrypt")
STORED = StoredKey(DOMAIN, "s1", "rsa-sha256", b"", False, public_record(KEY.public_key()), NOW, NOW)
SETTINGS = PlanSettings(
    HOST,
    StsSettings(),
    keys=[STORED],
    certificates=[CERTIFICATE],
    services=[Service("imaps", 993), Service("pop3s", 0)],
    authority="letsencrypt.org",
    autoconfig_host="web.penny.test",
)


def run(check: Consultation[T], answers: Answers, *, authentic: bool = False) -> T:
    try:
        question = next(check)
        while True:
            said = answers.get((question.name, question.type.value), DnsStatus.NO_DATA)
            if isinstance(said, DnsStatus):
                answer = DnsAnswer(said, authentic=authentic)
            else:
                answer = DnsAnswer(DnsStatus.FOUND, tuple(said), authentic)
            question = check.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def grades(findings: Sequence[Finding]) -> list[Grade]:
    for finding in findings:
        assert finding.advice or finding.grade in (GOOD, UNKNOWN), finding
    return [finding.grade for finding in findings]


def of(name: str, kind: RecordType) -> PlannedRecord:
    return next(each for each in plan(DOMAIN, SETTINGS) if each.name == name and each.type is kind)


FAILED, NO_NAME = DnsStatus.FAILED, DnsStatus.NO_SUCH_NAME
MX_OK: Answers = {(DOMAIN, "MX"): [MxRecord(10, HOST)], (HOST, "A"): [IP]}


# -- The plan


def test_everything_is_in_the_zone_file() -> None:
    text = zone_file(DOMAIN, plan(DOMAIN, SETTINGS))
    for line in (
        f"{DOMAIN}. 3600 IN MX 10 {HOST}.",
        f'{DOMAIN}. 3600 IN TXT "v=spf1 mx -all"',
        f'{HOST}. 3600 IN TXT "v=spf1 a -all"',
        f'_dmarc.{DOMAIN}. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc-reports@{DOMAIN}"',
        f'_smtp._tls.{DOMAIN}. 3600 IN TXT "v=TLSRPTv1; rua=mailto:postmaster@{DOMAIN}"',
        f"mta-sts.{DOMAIN}. 3600 IN CNAME {HOST}.",
        f"_25._tcp.{HOST}. 3600 IN TLSA {tlsa_value(CERTIFICATE)}",
        f"_imaps._tcp.{DOMAIN}. 3600 IN SRV 0 1 993 {HOST}.",
        f"_pop3s._tcp.{DOMAIN}. 3600 IN SRV 0 0 0 .",
        f"autoconfig.{DOMAIN}. 3600 IN CNAME web.penny.test.",
        f'{DOMAIN}. 3600 IN CAA 0 issue "letsencrypt.org"',
    ):
        assert line in " ".join(text.split()), line


def test_a_zone_file_can_be_read_again() -> None:
    """RFC 1035 §5.1; a text of more than 255 octets is cut into strings (§3.3.14)."""
    import dns.zone

    zone = dns.zone.from_text(zone_file(DOMAIN, plan(DOMAIN, SETTINGS)), origin=f"{DOMAIN}.", check_origin=False)
    (key,) = zone.get_rdataset("s1._domainkey", "TXT")
    assert b"".join(key.strings).decode() == STORED.record
    assert len(key.strings) > 1


def test_who_issued_a_certificate() -> None:
    assert authority_of([CERTIFICATE]) == "letsencrypt.org"
    assert authority_of([certificate(HOST), certificate(HOST, issuer="Somebody")]) == ""


# -- What is published


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (MX_OK, [GOOD]),
        ({(DOMAIN, "MX"): FAILED}, [UNKNOWN]),
        ({(DOMAIN, "MX"): NO_NAME}, [PROBLEM]),
        ({}, [PROBLEM]),
        ({(DOMAIN, "MX"): [MxRecord(0, "")]}, [PROBLEM]),
        ({(DOMAIN, "MX"): [MxRecord(10, "mx.other.test")], ("mx.other.test", "A"): [IP]}, [PROBLEM]),
        ({(DOMAIN, "MX"): [MxRecord(10, HOST)]}, [PROBLEM]),
        ({(DOMAIN, "MX"): [MxRecord(10, HOST)], (HOST, "AAAA"): FAILED}, [UNKNOWN]),
        ({**MX_OK, (HOST, "CNAME"): ["a.penny.test"]}, [PROBLEM]),
    ],
)
def test_mx(answers: Answers, expected: list[Grade]) -> None:
    assert grades(run(published.mx(DOMAIN, SETTINGS), answers)) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([STORED.record.encode()], GOOD),
        (FAILED, UNKNOWN),
        (NO_NAME, PROBLEM),
        ([public_record(OTHER_KEY.public_key()).encode()], PROBLEM),
        ([b"v=DKIM1; p="], PROBLEM),
        ([b"nonsense"], PROBLEM),
        ([STORED.record.encode() + b"; t=y"], HINT),
        ([STORED.record.encode()] * 2, PROBLEM),
        ([STORED.record.replace("; ", ";").encode()], GOOD),
    ],
)
def test_dkim(answer: Sequence[DnsRecord] | DnsStatus, expected: Grade) -> None:
    answers: Answers = {(f"s1._domainkey.{DOMAIN}", "TXT"): answer}
    assert grades(run(published.dkim(SETTINGS, DOMAIN, []), answers)) == [expected]


def test_keys_that_do_not_sign_yet_are_hinted_at() -> None:
    assert grades(run(published.dkim(SETTINGS, DOMAIN, ["s1"]), {})) == [HINT]
    assert grades(run(published.dkim(PlanSettings(HOST, StsSettings()), DOMAIN, []), {})) == [PROBLEM]


REPORTS = b"rua=mailto:dmarc-reports@penny.test"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([b"v=DMARC1; p=reject; " + REPORTS, b"other"], [GOOD]),
        (FAILED, [UNKNOWN]),
        (NO_NAME, [PROBLEM]),
        ([b"v=DMARC1; p=reject"] * 2, [PROBLEM]),
        ([b"v=DMARC1; p=none; " + REPORTS], [HINT]),
        ([b"v=DMARC1; p=reject"], [HINT]),
        ([b"v=DMARC1; p=rejected; " + REPORTS], [PROBLEM]),
    ],
)
def test_dmarc(answer: Sequence[DnsRecord] | DnsStatus, expected: list[Grade]) -> None:
    answers: Answers = {(f"_dmarc.{DOMAIN}", "TXT"): answer}
    assert grades(run(published.dmarc(DOMAIN, SETTINGS, True), answers)) == expected


def test_reports_have_to_arrive() -> None:
    answers: Answers = {(f"_dmarc.{DOMAIN}", "TXT"): [b"v=DMARC1; p=reject; " + REPORTS]}
    (finding,) = run(published.dmarc(DOMAIN, SETTINGS, False), answers)
    assert finding.advice == f"Run: pennypost alias add dmarc-reports@{DOMAIN} postmaster@{DOMAIN}"


STS = of(f"_mta-sts.{DOMAIN}", RecordType.TXT).value.encode()


@pytest.mark.parametrize(
    ("mode", "answer", "expected"),
    [
        ("testing", [STS], GOOD),
        ("testing", FAILED, UNKNOWN),
        ("testing", NO_NAME, HINT),
        ("testing", [b"v=STSv1; id=other"], PROBLEM),
        ("none", NO_NAME, GOOD),
        ("none", [STS], HINT),
    ],
)
def test_mta_sts(mode: str, answer: Sequence[DnsRecord] | DnsStatus, expected: Grade) -> None:
    settings = PlanSettings(HOST, StsSettings(mode=mode))  # type: ignore[arg-type]
    answers: Answers = {(f"_mta-sts.{DOMAIN}", "TXT"): answer}
    assert grades(run(published.mta_sts(DOMAIN, settings), answers)) == [expected]


def test_tls_reports() -> None:
    name = (f"_smtp._tls.{DOMAIN}", "TXT")
    check = published.tls_reports
    assert grades(run(check(DOMAIN, SETTINGS), {name: [b"v=TLSRPTv1; rua=mailto:a@b.test"]})) == [GOOD]
    assert grades(run(check(DOMAIN, SETTINGS), {name: FAILED})) == [UNKNOWN]
    assert grades(run(check(DOMAIN, SETTINGS), {})) == [HINT]


def tlsa_record(of_certificate: x509.Certificate) -> TlsaRecord:
    return TlsaRecord(3, 1, 1, bytes.fromhex(tlsa_value(of_certificate).split(" ")[3]))


@pytest.mark.parametrize(
    ("answer", "authentic", "expected"),
    [
        ([tlsa_record(CERTIFICATE)], True, GOOD),
        ([tlsa_record(CERTIFICATE), tlsa_record(certificate(HOST))], True, GOOD),
        ([tlsa_record(certificate(HOST))], True, PROBLEM),
        ([tlsa_record(CERTIFICATE)], False, HINT),
        (FAILED, True, UNKNOWN),
        (NO_NAME, True, HINT),
        (NO_NAME, False, GOOD),
    ],
)
def test_tlsa(answer: Sequence[DnsRecord] | DnsStatus, authentic: bool, expected: Grade) -> None:
    answers: Answers = {(f"_25._tcp.{HOST}", "TLSA"): answer}
    assert grades(run(published.tlsa(SETTINGS), answers, authentic=authentic)) == [expected]


def test_services() -> None:
    """RFC 6186 §3."""
    name = (f"_imaps._tcp.{DOMAIN}", "SRV")
    check = published.services
    assert grades(run(check(DOMAIN, SETTINGS), {name: [SrvRecord(5, 0, 993, HOST)]})) == [GOOD]
    assert grades(run(check(DOMAIN, SETTINGS), {name: [SrvRecord(5, 0, 993, "old.test")]})) == [HINT]
    assert grades(run(check(DOMAIN, SETTINGS), {})) == [HINT]
    assert grades(run(check(DOMAIN, SETTINGS), {name: FAILED})) == [UNKNOWN]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, GOOD),
        ({(DOMAIN, "CAA"): [CaaRecord(0, "issue", b"letsencrypt.org; x=y")]}, GOOD),
        ({(DOMAIN, "CAA"): [CaaRecord(0, "issue", b"other.test")]}, PROBLEM),
        ({(DOMAIN, "CAA"): [CaaRecord(0, "issue", b";")]}, PROBLEM),
        ({(DOMAIN, "CAA"): [CaaRecord(0, "iodef", b"mailto:a@b.test")]}, GOOD),
        ({(HOST, "CAA"): FAILED}, UNKNOWN),
    ],
)
def test_caa(answers: Answers, expected: Grade) -> None:
    assert grades(run(published.authorities([HOST, DOMAIN], "letsencrypt.org"), answers)) == [expected]


@pytest.mark.parametrize(
    ("answers", "ips", "expected"),
    [
        ({(HOST, "A"): [IP]}, [IP], [GOOD]),
        ({}, [], [PROBLEM]),
        ({(HOST, "A"): FAILED}, [], [UNKNOWN]),
        ({(HOST, "A"): [ip_address("10.0.0.1")]}, [ip_address("10.0.0.1")], [PROBLEM]),
    ],
)
def test_addresses(answers: Answers, ips: list[object], expected: list[Grade]) -> None:
    found, findings = run(published.addresses(HOST), answers)
    assert found == ips
    assert grades(findings) == expected


# -- Who we are


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({("2.1.9.5.in-addr.arpa", "PTR"): [HOST], (HOST, "A"): [IP]}, GOOD),
        ({("2.1.9.5.in-addr.arpa", "PTR"): ["x.isp.test"], ("x.isp.test", "A"): [IP]}, HINT),
        ({("2.1.9.5.in-addr.arpa", "PTR"): ["x.isp.test"]}, PROBLEM),
        ({("2.1.9.5.in-addr.arpa", "PTR"): NO_NAME}, PROBLEM),
        ({("2.1.9.5.in-addr.arpa", "PTR"): FAILED}, UNKNOWN),
    ],
)
def test_reverse(answers: Answers, expected: Grade) -> None:
    assert grades(run(identity.reverse([IP], HOST), answers)) == [expected]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({(DOMAIN, "TXT"): [b"v=spf1 mx -all"], **MX_OK}, GOOD),
        ({(DOMAIN, "TXT"): FAILED}, UNKNOWN),
        ({(DOMAIN, "TXT"): [b"v=spf1 mx -all"], (DOMAIN, "MX"): FAILED}, UNKNOWN),
        ({(DOMAIN, "TXT"): [b"other"]}, PROBLEM),
        ({(DOMAIN, "TXT"): [b"v=spf1 -all"] * 2}, PROBLEM),
        ({(DOMAIN, "TXT"): [b"v=spf1 -all"]}, PROBLEM),
        ({(DOMAIN, "TXT"): [b"v=spf1 +all"]}, PROBLEM),
        ({(DOMAIN, "TXT"): [b"v=spf1 ip4:5.9.1.2 ?all"]}, HINT),
        ({(DOMAIN, "TXT"): [b"v=spf1 nonsense -all"]}, PROBLEM),
    ],
)
def test_spf(answers: Answers, expected: Grade) -> None:
    assert grades(run(identity.sender_policy(DOMAIN, HOST, [IP]), answers)) == [expected]


def test_spf_of_the_hello() -> None:
    name = (HOST, "TXT")
    assert grades(run(identity.hello_policy(HOST, [IP]), {name: [b"v=spf1 a -all"], (HOST, "A"): [IP]})) == [GOOD]
    assert grades(run(identity.hello_policy(HOST, [IP]), {})) == [HINT]
    assert grades(run(identity.hello_policy(HOST, [IP]), {name: [b"v=spf1 -all"]})) == [PROBLEM]
    assert grades(run(identity.hello_policy(HOST, [IP]), {name: FAILED})) == [UNKNOWN]


LISTED = [ip_address("127.0.0.2")]
WORKS: Answers = {("2.0.0.127.list.test", "A"): LISTED}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (WORKS, GOOD),
        ({**WORKS, ("2.1.9.5.list.test", "A"): LISTED, ("2.1.9.5.list.test", "TXT"): [b"see there"]}, PROBLEM),
        ({**WORKS, ("2.1.9.5.list.test", "A"): FAILED}, UNKNOWN),
        ({}, UNKNOWN),
        ({("2.0.0.127.list.test", "A"): FAILED}, UNKNOWN),
        ({("2.0.0.127.list.test", "A"): [ip_address("127.255.255.254")]}, UNKNOWN),
    ],
)
def test_blocklists(answers: Answers, expected: Grade) -> None:
    """RFC 5782 §5: a list that works has 127.0.0.2."""
    assert grades(run(identity.blocklists([IP], ["list.test"]), answers)) == [expected]


# -- Certificates


@pytest.mark.parametrize(
    ("given", "enforced", "expected"),
    [
        ([CERTIFICATE], True, [GOOD]),
        ([], False, [HINT]),
        ([], True, [PROBLEM]),
        ([certificate(HOST)], False, [HINT]),
        ([certificate(HOST, issuer="A", days=-1)], False, [PROBLEM]),
        ([certificate(HOST, issuer="A", days=3)], False, [PROBLEM]),
        ([certificate(HOST, issuer="A", begins=1)], False, [PROBLEM]),
        ([certificate("other.test", issuer="A")], False, [PROBLEM]),
        ([certificate("*.penny.test", issuer="A")], False, [GOOD]),
    ],
)
def test_certificates(given: list[x509.Certificate], enforced: bool, expected: list[Grade]) -> None:
    assert grades(certificates.judge(given, [HOST], NOW, enforced=enforced)) == expected


def test_files_of_certificates(tmp_path: Path) -> None:
    fine, bad = tmp_path / "fine.pem", tmp_path / "bad.pem"
    fine.write_bytes(CERTIFICATE.public_bytes(Encoding.PEM))
    bad.write_bytes(b"nonsense")
    found, findings = certificates.load([CertificateFiles(each, each) for each in (fine, bad, tmp_path / "none.pem")])
    assert found == [CERTIFICATE]
    assert grades(findings) == [PROBLEM, PROBLEM]
    assert certificates.for_host([certificate("other.test"), CERTIFICATE], HOST) == [CERTIFICATE]


def test_every_check_asks_only_what_it_has_to() -> None:
    """Nothing is asked twice of one name and type."""
    asked: list[DnsQuestion] = []
    check = published.mx(DOMAIN, SETTINGS)
    question = next(check)
    try:
        while True:
            asked.append(question)
            said = MX_OK.get((question.name, question.type.value), DnsStatus.NO_DATA)
            found = DnsAnswer(said) if isinstance(said, DnsStatus) else DnsAnswer(DnsStatus.FOUND, tuple(said))
            question = check.send(found)
    except StopIteration:
        assert len(asked) == len(set(asked)) == 3
