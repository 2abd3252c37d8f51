"""Whether our certificates hold, and for whom."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from pennypost.mail.checkup.findings import Finding, good, hint, problem
from pennypost.net.settings import CertificateFiles
from pennypost.net.tls import certificate_names

SOON = timedelta(days=14)
"""Renewals come earlier: a certificate that ends so soon was not renewed."""


def load(files: Sequence[CertificateFiles]) -> tuple[list[x509.Certificate], list[Finding]]:
    """Read the first certificate of each file, and say which cannot be read."""
    certificates: list[x509.Certificate] = []
    findings: list[Finding] = []
    for each in files:
        found = _first(each.chain)
        if isinstance(found, str):
            advice = f"See to the file: {each.chain}"
            findings.append(problem("certificate", f"{each.chain} cannot be used: {found}", advice))
        else:
            certificates.append(found)
    return certificates, findings


def _first(path: Path) -> x509.Certificate | str:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return "no certificate in PEM"


def for_host(certificates: Sequence[x509.Certificate], host: str) -> list[x509.Certificate]:
    """Give those that are for a name; the first, which is shown to whoever asks for another one, if none is."""
    return [each for each in certificates if _is_for(each, host)] or list(certificates[:1])


def _is_for(certificate: x509.Certificate, host: str) -> bool:
    parent = "*." + host.partition(".")[2]
    return any(name in (host, parent) for name in certificate_names(certificate))


def judge(
    certificates: Sequence[x509.Certificate], names: Sequence[str], now: datetime, *, enforced: bool
) -> list[Finding]:
    """Say what is wrong with certificates. `names`: what we are looked for by. `enforced`: our MTA-STS policy wants
    them valid."""
    if not certificates:
        advice = "Set tls.certificates. Until then a self-signed one encrypts, and proves nothing."
        return [(problem if enforced else hint)("certificate", "there is none of an authority", advice)]
    findings: list[Finding] = []
    for certificate in certificates:
        called = ", ".join(certificate_names(certificate)) or "nobody"
        ends = certificate.not_valid_after_utc
        if ends <= now:
            findings.append(problem("certificate", f"that for {called} ended {ends:%Y-%m-%d}", "Renew it."))
        elif ends <= now + SOON:
            advice = "Renew it now, and see why that did not happen by itself."
            findings.append(problem("certificate", f"that for {called} ends {ends:%Y-%m-%d}", advice))
        if certificate.not_valid_before_utc > now:
            advice = "Wait, or see whether the clock of this machine is right."
            findings.append(problem("certificate", f"that for {called} is not valid yet", advice))
        if certificate.issuer == certificate.subject:
            advice = "Get one of an authority, as Let's Encrypt: nobody else trusts this one."
            findings.append((problem if enforced else hint)("certificate", f"that for {called} is self-signed", advice))
    unknown_names = [name for name in names if not any(_is_for(each, name) for each in certificates)]
    findings += [problem("certificate", f"none is for {name}", f"Get one for {name}.") for name in unknown_names]
    return findings or [good("certificate", f"good until {min(c.not_valid_after_utc for c in certificates):%Y-%m-%d}")]
