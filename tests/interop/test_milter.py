"""A real milter, opendkim: it is told enough of a message to verify its signature, and what it adds and refuses
counts."""

import smtplib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from tests.interop.tools import find_program, need
from tests.running import RunningServer, free_ports, until

from pennypost.verify.dkim import SigningKey, public_record, sign

pytestmark = need("opendkim")

KEY = SigningKey("example.net", "s1", generate_private_key(65537, 2048))
HEADER = (
    b"From: Carl <carl@example.net>\r\nTo: ann@example.org\r\nSubject: a  folded\r\n\tsubject \r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.net>\r\nX-Empty:\r\n\r\n"
)
BODY = b"".join(b"Line %d of a letter that does not fit into one packet.\r\n" % n for n in range(3000))


@contextmanager
def opendkim(folder: Path, address: str) -> Iterator[None]:
    """Run opendkim, which verifies, and refuses what has a broken signature."""
    folder.mkdir()
    (folder / "keys").write_text(f"s1._domainkey.example.net {public_record(KEY.key.public_key())}\n")
    config = folder / "opendkim.conf"
    config.write_text(
        f"Socket {address}\nMode v\nAuthservID filter.test\nOn-BadSignature reject\nAlwaysAddARHeader yes\n"
        f"TestPublicKeys {folder}/keys\nBackground no\nSyslog no\n"
        "InternalHosts 192.0.2.1\nExternalIgnoreList 192.0.2.1\n"
    )
    program = find_program("opendkim")
    assert program is not None
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-f", "-x", str(config)], stdout=log, stderr=log)
    try:
        kind, _, place = address.partition(":")
        if kind == "local":
            until(lambda: process.poll() is not None or Path(place).exists(), why="opendkim does not start")
        else:
            port = int(place.partition("@")[0])
            until(lambda: process.poll() is not None or _listens(port), why="opendkim does not start")
        assert process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        process.kill()  # asked to end, it takes five seconds
        process.wait(10)


def _listens(port: int) -> bool:
    wanted = f"0100007F:{port:04X}"
    return any(
        line.split()[1:4:2] == [wanted, "0A"] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
    )  # a connection that says nothing would be logged as a failure


@pytest.mark.parametrize("over", ["unix", "tcp"])
def test_a_signature_is_verified_by_a_milter(tmp_path: Path, over: str) -> None:
    (port,) = free_ports(1)
    theirs, ours = {
        "unix": (f"local:{tmp_path}/opendkim.sock", f"unix:{tmp_path}/opendkim.sock"),
        "tcp": (f"inet:{port}@127.0.0.1", f"127.0.0.1:{port}"),
    }[over]
    signed = sign(HEADER, BODY, [KEY], int(time.time())) + HEADER
    setting = f'screening.milters=[{{name="opendkim", address="{ours}"}}]'
    with opendkim(tmp_path / "o", theirs), RunningServer(tmp_path / "data", setting) as server:
        server.make_account("ann@example.org")
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as client:
            client.sendmail("carl@example.net", ["ann@example.org"], signed + BODY)
            client.sendmail("carl@example.net", ["ann@example.org"], HEADER + BODY)
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("carl@example.net", ["ann@example.org"], signed + b"Not his words.\r\n" + BODY)
            assert refused.value.smtp_code == 550
            client.mail("carl@example.net")
            client.rcpt("ann@example.org")
            client.rset()
        good, unsigned = server.messages("ann@example.org")
        assert good.endswith(signed[signed.index(b"DKIM-Signature:") :] + BODY)
        fields = good.replace(b"\r\n\t", b" ")
        assert b"Authentication-Results: filter.test;" in fields
        assert b"dkim=pass" in fields
        assert b"dkim=none" in unsigned
        assert server.figure('pennypost_screenings_total{outcome="refuse",screener="milter"}') == 1
        assert server.figure('pennypost_screenings_total{outcome="failed",screener="milter"}') == 0
