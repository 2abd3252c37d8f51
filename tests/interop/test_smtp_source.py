"""smtp-source, Postfix's load generator: many sessions, many messages, every one of them kept."""

import re
from collections.abc import Callable

from tests.interop.tools import need, parse, run, stored
from tests.running import Account, RunningServer

pytestmark = need("smtp-source")

WORKERS = 2


def test_many_sessions_at_once(server: RunningServer, account: Account) -> None:
    run(
        "smtp-source",
        *("-s", "20", "-m", "200", "-l", "2048", "-S", "load", "-f", "a@example.net", "-t", account.name),
        f"127.0.0.1:{server.ports['smtp']}",
    )
    found = stored(server, account, count=200)
    ids = {re.search(rb" id (\S+)", octets[: octets.index(b"\r\n\r\n")])[1] for octets in found}
    assert len(ids) == 200
    assert all(parse(octets)["Subject"] == "load" for octets in found)


def test_one_message_per_connection(server: RunningServer, account: Account) -> None:
    run(
        "smtp-source",
        *("-d", "-s", "10", "-m", "50", "-f", "a@example.net", "-t", account.name),
        f"127.0.0.1:{server.ports['smtp']}",
    )
    stored(server, account, count=50)


def test_several_recipients(server: RunningServer) -> None:
    names = ["someone@example.org", *(f"{number}someone@example.org" for number in range(2, 6))]  # as it counts
    accounts = [server.make_account(name) for name in names]
    run(
        "smtp-source",
        *("-s", "2", "-m", "4", "-r", "5", "-f", "a@example.net", "-t", names[0]),
        f"127.0.0.1:{server.ports['smtp']}",
    )
    for account in accounts:
        stored(server, account, count=4)


def test_lmtp(server: RunningServer, new_account: Callable[[], Account]) -> None:
    account = new_account()
    run("smtp-source", "-L", "-s", "5", "-m", "50", "-l", "10000", "-t", account.name, f"unix:{server.lmtp_socket}")
    stored(server, account, count=50)
