"""A self-signed certificate, for a server that has none yet: encryption without identity."""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pennypost.net.settings import CertificateFiles

_VALIDITY = timedelta(days=825)
_RENEW_BEFORE = timedelta(days=30)


def ensure_self_signed(folder: Path, hostname: str, now: datetime | None = None) -> CertificateFiles:
    """Give the self-signed certificate in `folder`, made anew where it is missing, expiring, or for another hostname.

    ECDSA on P-256, for `hostname`, localhost, 127.0.0.1 and ::1. The key's file has mode 0600. Both files are
    replaced whole, so that several workers may do this at once: the key and the certificate lie in one file, which
    keeps them a pair.
    """
    now = now or datetime.now(UTC)
    path = folder / "self-signed.pem"
    if not _is_usable(path, hostname, now):
        folder.mkdir(parents=True, exist_ok=True)
        _write_private(path, _make(hostname, now))
    return CertificateFiles(chain=path, key=path)


def _is_usable(path: Path, hostname: str, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    known = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return hostname.lower() in known and now + _RENEW_BEFORE < certificate.not_valid_after_utc


def _make(hostname: str, now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    # RFC 5280 bounds a common name to 64 characters (ub-common-name); the names that count are in the SAN.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in dict.fromkeys((hostname, "localhost"))]
    alternatives += [x509.IPAddress(ip_address(each)) for each in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
