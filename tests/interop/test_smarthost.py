"""One Pennypost sends through another, as a user of it: by STARTTLS and under TLS from the start, with SCRAM."""

import email
import smtplib
from collections.abc import Iterator

import pytest
from tests.interop.tools import stored
from tests.running import Account, RunningServer

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, RunningServer]]:
    """The smarthost, and who uses it."""
    folder = tmp_path_factory.mktemp("smarthost")
    with RunningServer(folder / "far", "server.hostname=far.example.net") as far:
        far.make_account("alice@example.org", PASSWORD)
        far.make_account("bob@implicit.test", PASSWORD)
        far.make_account("bob@starttls.test", PASSWORD)
        hosts = ", ".join(
            f'{{host="localhost", port={far.ports[door]}, tls="{tls}", login="far", recipients=["{domain}"]}}'
            for door, tls, domain in (
                ("submissions", "implicit", "implicit.test"),
                ("submission", "verified", "starttls.test"),
            )
        )
        with RunningServer(
            folder / "near",
            f"queue.smarthosts=[{hosts}]",
            f'relay.logins.far={{user="alice@example.org", password="{PASSWORD}"}}',
            f"tls.ca_file={far.authority_file}",
            "auth.allow_cleartext_login=loopback",
        ) as near:
            near.make_account("alice@example.org", PASSWORD)
            yield far, near


@pytest.mark.parametrize("domain", ["implicit.test", "starttls.test"])
def test_a_login_at_a_smarthost(servers: tuple[RunningServer, RunningServer], domain: str) -> None:
    """RFC 4954, RFC 5802: the password is not shown."""
    far, near = servers
    alice = Account("alice@example.org", PASSWORD)
    with smtplib.SMTP("127.0.0.1", near.ports["submission"], timeout=20) as client:
        client.login(alice.name, alice.password)
        client.sendmail(alice.name, [f"bob@{domain}"], f"From: {alice.name}\r\nSubject: x\r\n\r\nx\r\n")
    (octets,) = stored(far, Account(f"bob@{domain}", PASSWORD))
    message = email.message_from_bytes(octets)
    assert "with ESMTPSA" in message.get_all("Received", [])[0]
