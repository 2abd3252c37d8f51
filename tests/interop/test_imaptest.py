"""imaptest: many clients at once, each of which holds what it is told against what it was told before."""

import re
from pathlib import Path

from tests.interop.tools import need, run
from tests.running import RunningServer

pytestmark = need("imaptest")

SECONDS = 8
CLIENTS = 20


def message(number: int) -> str:
    return (
        f"From alice@example.org Thu Feb  1 10:00:00 2024\nFrom: a@example.org\nSubject: {number}\n\nText {number}\n\n"
    )


def test_many_clients_on_two_workers_see_one_mailbox(tmp_path: Path) -> None:
    mbox = tmp_path / "mbox"
    mbox.write_text("".join(message(number) for number in range(20)))
    with RunningServer(tmp_path / "data", "auth.allow_cleartext_login=loopback", workers=2) as server:
        account = server.make_account("stress@example.org", "pass")
        told = run(
            "imaptest",
            "host=127.0.0.1",
            f"port={server.ports['imap']}",
            f"user={account.name}",
            f"pass={account.password}",
            f"mbox={mbox}",
            f"clients={CLIENTS}",
            f"secs={SECONDS}",
            folder=tmp_path,
        )
    assert [line for line in told.splitlines() if re.match(r"(Error|Panic|Fatal)", line)] == []
    assert "Totals:" in told
