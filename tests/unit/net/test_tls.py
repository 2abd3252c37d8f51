"""Certificates: chosen by name, reloaded, self-signed, and their channel binding."""

import contextlib
import hashlib
import os
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pennypost.model.errors import ConfigError
from pennypost.net.self_signed import ensure_self_signed
from pennypost.net.settings import CertificateFiles, TlsSettings
from pennypost.net.tls import ServerTls, certificate_names, client_context, server_end_point
from pennypost.net.tls_stream import TlsStream


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def files_for(authority, folder, *names) -> CertificateFiles:
    issued = authority.issue_cert(*names)
    files = CertificateFiles(folder / f"{names[0].replace('*', '_')}.pem", folder / f"{names[0].replace('*', '_')}.key")
    issued.private_key_pem.write_to_path(files.key)
    files.chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    return files


def shake_hands(tls: ServerTls, name: str | None) -> tuple[TlsStream, ssl.SSLObject]:
    """Do a handshake in memory; give both ends."""
    server = TlsStream(tls.context())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    for _ in range(5):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        server.receive(outgoing.read())
        incoming.write(server.output())
    assert server.established
    return server, client


def names_served(tls: ServerTls, name: str | None) -> tuple[str, ...]:
    _, client = shake_hands(tls, name)
    return certificate_names(x509.load_der_x509_certificate(client.getpeercert(binary_form=True)))


def test_the_certificate_is_chosen_by_the_name_the_client_asks_for(authority, tmp_path):
    """RFC 6066 §3: exact names, wildcards of one label, and the first for anything else."""
    first = files_for(authority, tmp_path, "mail.example.org")
    exact = files_for(authority, tmp_path, "mx.example.com")
    wildcard = files_for(authority, tmp_path, "*.example.net")
    tls = ServerTls(TlsSettings(certificates=(first, exact, wildcard)))
    assert names_served(tls, "mx.example.com") == ("mx.example.com",)
    assert names_served(tls, "MX.example.COM") == ("mx.example.com",)
    assert names_served(tls, "a.example.net") == ("*.example.net",)
    assert names_served(tls, "a.b.example.net") == ("mail.example.org",)
    assert names_served(tls, "unknown.test") == ("mail.example.org",)
    assert names_served(tls, None) == ("mail.example.org",)
    server, client = shake_hands(tls, "a.example.net")
    info = tls.describe(server.ssl_object)
    assert info.server_name == "a.example.net"
    assert info.version == "TLSv1.3"
    assert info.bits >= 128
    assert info.server_end_point == hashlib.sha256(client.getpeercert(binary_form=True)).digest()


def test_a_changed_file_is_taken_without_a_restart_and_a_broken_one_is_not(authority, tmp_path, capsys):
    files = files_for(authority, tmp_path, "old.example")
    tls = ServerTls(TlsSettings(certificates=(files,), recheck=timedelta(0)))
    assert names_served(tls, None) == ("old.example",)
    new = files_for(authority, tmp_path, "new.example")
    os.replace(new.key, files.key)
    os.replace(new.chain, files.chain)
    assert names_served(tls, None) == ("new.example",)
    files.chain.write_text("no certificate")
    assert names_served(tls, None) == ("new.example",)
    assert not tls.reload()
    assert "not reloaded" in capsys.readouterr().out


def test_unusable_certificates_are_all_reported(authority, tmp_path):
    good = files_for(authority, tmp_path, "a.example")
    other = files_for(authority, tmp_path, "b.example")
    missing = CertificateFiles(tmp_path / "missing.pem", tmp_path / "missing.key")
    mismatched = CertificateFiles(good.chain, other.key)
    with pytest.raises(ConfigError) as caught:
        ServerTls(TlsSettings(certificates=(good, missing, mismatched)))
    assert [problem.key for problem in caught.value.problems] == ["tls.certificates.1", "tls.certificates.2"]
    told = [problem.problem for problem in caught.value.problems]
    assert told[0].endswith("cannot be read: No such file or directory")
    assert told[1].startswith("expected the private key of ")
    with pytest.raises(ConfigError, match=r"^tls.ciphers: expected ciphers"):
        ServerTls(TlsSettings(certificates=(good,), ciphers="zzz"))
    with pytest.raises(ConfigError):
        ServerTls(TlsSettings())


def test_the_self_signed_certificate_is_private_and_kept(tmp_path):
    files = ensure_self_signed(tmp_path / "new" / "folder", "mail.example.org")
    assert files.key.stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    assert certificate_names(certificate) == ("mail.example.org", "localhost")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    before = files.chain.read_bytes()
    assert ensure_self_signed(files.chain.parent, "mail.example.org").chain.read_bytes() == before
    later = datetime.now(UTC) + timedelta(days=800)
    assert ensure_self_signed(files.chain.parent, "mail.example.org", later).chain.read_bytes() != before
    renamed = ensure_self_signed(files.chain.parent, "other.example")
    assert "other.example" in certificate_names(x509.load_pem_x509_certificate(renamed.chain.read_bytes()))
    assert names_served(ServerTls(TlsSettings(), (renamed,)), None) == ("other.example", "localhost")


def _certificate(key, algorithm) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "only.common.example")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(datetime(2026, 1, 1)).not_valid_after(datetime(2027, 1, 1))
    return builder.sign(key, algorithm)


def test_the_channel_binding_takes_the_hash_of_the_signature():
    """RFC 5929 §4.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, hashes.SHA384())
    der = certificate.public_bytes(Encoding.DER)
    assert server_end_point(certificate) == hashlib.sha384(der).digest()
    assert certificate_names(certificate) == ("only.common.example",)
    assert server_end_point(_certificate(ed25519.Ed25519PrivateKey.generate(), None)) == b""


def test_sha_1_signatures_bind_by_sha_256():
    """RFC 5929 §4.1: MD5 and SHA-1 are replaced by SHA-256. (Nobody signs with them any more: one is parsed.)"""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    der = bytearray(_certificate(key, hashes.SHA256()).public_bytes(Encoding.DER))
    sha256_with_rsa, sha1_with_rsa = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    certificate = x509.load_der_x509_certificate(bytes(der.replace(sha256_with_rsa, sha1_with_rsa)))
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA1)
    expected = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    assert server_end_point(certificate) == expected


def test_outbound_contexts_trust_the_given_authority(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = client_context(TlsSettings(ca_file=tmp_path / "ca.pem"))
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1
