"""Certificates and TLS contexts: chosen by server name, reloaded when their files change."""

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from pennypost.model.errors import ConfigError, ConfigProblem
from pennypost.model.peer import TlsInfo
from pennypost.net.settings import CertificateFiles, TlsSettings
from pennypost.net.tls_stream import NamedSSLObject

_log = structlog.stdlib.get_logger("pennypost.tls")

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def server_end_point(certificate: x509.Certificate) -> bytes:
    """Give the `tls-server-end-point` channel binding: the certificate's hash (RFC 5929 §4.1).

    The hash is that of the signature algorithm, with SHA-256 in place of MD5 and SHA-1; b"" where it has none.
    """
    try:
        algorithm = certificate.signature_hash_algorithm
    except x509.InvalidVersion:  # pragma: no cover
        return b""
    if algorithm is None:
        return b""
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate.public_bytes(Encoding.DER))
    return digest.finalize()


def certificate_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Give the DNS names a certificate is for, lower case: of its SAN, or else its common name (RFC 6125 §6.4.4)."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value).lower() for attribute in common)
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))


@dataclass(frozen=True, slots=True, eq=False)
class _Identity:
    """One certificate in use."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    end_point: bytes


Stamp = tuple[tuple[str, int, int], ...]


def _key_is_encrypted() -> str:
    raise ValueError("the key is encrypted")


class ServerTls:
    """The certificates of this server.

    Every connection that becomes encrypted asks for `context()`. A reload makes new contexts: connections keep the
    one with which they began. Raises ConfigError when a certificate cannot be used; a reload that fails keeps what
    there was.
    """

    def __init__(self, settings: TlsSettings, certificates: tuple[CertificateFiles, ...] = ()) -> None:
        self.settings = settings
        self._files = certificates or settings.certificates
        if not self._files:
            raise ConfigError("", (ConfigProblem("tls.certificates", "none is given"),))
        self._by_name: dict[str, _Identity] = {}
        self._by_context: dict[ssl.SSLContext, _Identity] = {}
        self._stamp: Stamp = ()
        self._next_check = 0.0
        self._load()

    def context(self) -> ssl.SSLContext:
        """Give the context for a new connection; look first, now and then, whether the files changed."""
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + self.settings.recheck.total_seconds()
            if self._stamp != self._look():
                self.reload()
        return self._default.context

    def reload(self) -> bool:
        """Read the certificates anew. False, with a line in the log, when they cannot be used: the old ones stay."""
        try:
            self._load()
        except ConfigError as problem:
            _log.error("certificates not reloaded", problem=str(problem))
            return False
        _log.info("certificates reloaded", names=sorted(self._by_name))
        return True

    def describe(self, stream: ssl.SSLObject) -> TlsInfo:
        """Tell of a finished handshake what the rest of the server wants to know."""
        cipher = stream.cipher()
        assert cipher is not None
        end_point = stream.context.end_point if isinstance(stream.context, _ServerContext) else b""
        asked = stream.asked_name if isinstance(stream, NamedSSLObject) else None
        return TlsInfo(
            version=stream.version() or "",
            cipher=cipher[0],
            bits=cipher[2],
            server_end_point=end_point,
            server_name=asked,
        )

    def _load(self) -> None:
        stamp = self._look()
        identities: list[_Identity] = []
        problems = [*self._bad_ciphers()]
        if problems:
            raise ConfigError("", tuple(problems))
        for number, files in enumerate(self._files):
            try:
                identities.append(self._identity(files))
            except (OSError, ValueError, ssl.SSLError) as problem:
                problems.append(ConfigProblem(f"tls.certificates.{number}", _unusable(files, problem)))
        if problems:
            raise ConfigError("", tuple(problems))
        by_name: dict[str, _Identity] = {}
        for identity in identities:
            for name in identity.names:
                by_name.setdefault(name, identity)
        self._by_name = by_name
        self._default = identities[0]
        self._stamp = stamp
        self._next_check = time.monotonic() + self.settings.recheck.total_seconds()

    def _bad_ciphers(self) -> Iterator[ConfigProblem]:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(self.settings.ciphers)
        except ssl.SSLError:
            expected = "expected ciphers of TLS 1.2 in OpenSSL's notation, of which it knows one at least"
            yield ConfigProblem("tls.ciphers", f'{expected}, not "{self.settings.ciphers}"')

    def _identity(self, files: CertificateFiles) -> _Identity:
        certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
        context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.end_point = server_end_point(certificate)
        context.minimum_version = _VERSIONS[self.settings.minimum_version]
        context.set_ciphers(self.settings.ciphers)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 1
        context.sslobject_class = NamedSSLObject
        context.sni_callback = self._choose
        context.load_cert_chain(files.chain, files.key, password=_key_is_encrypted)
        return _Identity(context, certificate_names(certificate), context.end_point)

    def _choose(self, stream: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        """Take the certificate for the name the client asked for: exact, wildcard, or the default (RFC 6066 §3).

        An unknown name is no error: mail clients and servers ask for whatever name led them here.
        """
        if name is None:
            return
        name = name.lower()
        if isinstance(stream, NamedSSLObject):
            stream.asked_name = name
        identity = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        if identity is not None and identity.context is not stream.context:
            stream.context = identity.context

    def _look(self) -> Stamp:
        return tuple(_stamp(path) for files in self._files for path in (files.chain, files.key))


class _ServerContext(ssl.SSLContext):
    """A context that knows the channel binding of its certificate."""

    end_point: bytes = b""


def _unusable(files: CertificateFiles, problem: Exception) -> str:
    """Say what is wrong with a certificate, and in which file."""
    match problem:
        case ssl.SSLError():
            return f"expected the private key of {files.chain} in {files.key}, both PEM: {problem.reason or problem}"
        case OSError():
            return f"{problem.filename} cannot be read: {problem.strerror}"
        case _:
            return f"expected a PEM certificate in {files.chain} and its key, not encrypted, in {files.key}: {problem}"


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (str(path), 0, 0)
    return (str(path), found.st_mtime_ns, found.st_ino)


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make a context for outbound connections that must be verified, against `ca_file` or the system's authorities."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = _VERSIONS[settings.minimum_version]
    return context
