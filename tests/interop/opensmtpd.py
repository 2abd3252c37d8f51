"""An OpenSMTPD of our own that sends everything it gets to one port."""

import shutil
import socket
import subprocess
from collections.abc import Sequence

import trustme
from tests.interop.unpacked import FOLDER, UnpackedProgram
from tests.running import RunningServer

PROGRAM = "usr/sbin/smtpd"

_CONFIGURATION = """pki localhost cert "{folder}/chain.pem"
pki localhost key "{folder}/key.pem"
listen on 127.0.0.1 port {plain} hostname opensmtpd.test
listen on 127.0.0.1 port {tls} tls pki localhost hostname opensmtpd.test
action "onward" relay host "smtp+tls://127.0.0.1:{port}" tls no-verify
match from any for any action "onward"
"""

_SHIM = """#define _GNU_SOURCE
#include <dlfcn.h>
int EVP_PKEY_set1_RSA(void *key, void *rsa);
void *EVP_PKEY_get1_RSA(void *key)
{
    void *(*original)(void *) = (void *(*)(void *))dlsym(RTLD_NEXT, "EVP_PKEY_get1_RSA");
    void *rsa = original(key);
    if (rsa)
        EVP_PKEY_set1_RSA(key, rsa);
    return rsa;
}
"""
"""OpenSMTPD 6.8 keeps the private key from the process that speaks TLS. That one marks the RSA key that it gets from a
certificate, so that its signatures are asked for elsewhere. With OpenSSL 3 the mark is on a copy: no handshake comes to
its end ("missing private key"). This puts the copy back into the key."""


def reason_without_tls() -> str:
    """Say why it cannot have TLS here, "" if it can."""
    if shutil.which("cc") is None:
        return "OpenSMTPD 6.8 signs no TLS handshake with OpenSSL 3, and without cc it cannot be helped"
    return ""


class OpenSmtpd(UnpackedProgram):
    """It offers STARTTLS at one of its ports, for `localhost`, by `authority`. What it gets goes to port 25 of `server`
    under TLS."""

    users = ("opensmtpd", "opensmtpq")
    hidden = ("/var/spool", "/var/lib/opensmtpd", "/run")
    made = ("/var/lib/opensmtpd/empty", "/var/spool/smtpd")

    def __init__(self, server: RunningServer, authority: trustme.CA) -> None:
        super().__init__()
        certificate = authority.issue_cert("localhost", key_type=trustme.KeyType.RSA)  # it has no other keys
        (self.folder / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        (self.folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
        (self.folder / "key.pem").chmod(0o600)
        values = {"folder": self.folder, "port": server.ports["smtp"], **self.ports}
        (self.folder / "configuration").write_text(_CONFIGURATION.format(**values))

        if not reason_without_tls():
            (self.folder / "shim.c").write_text(_SHIM)
            subprocess.run(
                ["cc", "-shared", "-fPIC", "-o", self.folder / "shim.so", self.folder / "shim.c"], check=True
            )

    def command(self) -> Sequence[str]:
        shim = self.folder / "shim.so"
        preload = [f"LD_PRELOAD={shim}"] if shim.exists() else []
        return ["env", *preload, str(FOLDER / PROGRAM), "-d", "-f", str(self.folder / "configuration")]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.ports["plain"]), 1):
                return True
        except OSError:
            return False
