"""A Postfix takes our mail, and reports later what became of it: the story of each message tells it."""

import smtplib
from collections.abc import Iterator

import pytest
from tests.interop.postfix import Postfix, reason_not_to
from tests.running import Account, RunningServer, free_ports, until

pytestmark = pytest.mark.skipif(bool(reason_not_to()), reason=reason_not_to() or "-")

TRANSPORTS = (
    "transport_maps = inline:{ {gone.test = error:5.1.1 no such user} {full.test = error:5.2.2 the mailbox is full} "
    "{good.test = discard:} {later.test = smtp:[127.0.0.1]:1} }\n"
    "smtpd_reject_unlisted_recipient = no\ndelay_warning_time = 1s\n"
)
"""What is refused is taken first, and reported."""


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    (port,) = free_ports(1)
    with RunningServer(
        tmp_path_factory.mktemp("sender") / "data",
        "smtp.greeting_delay=0 s",
        f'queue.smarthosts=[{{host="127.0.0.1", port={port}, tls="off"}}]',
        'queue.verp=["lists.example.org"]',
        "auth.allow_cleartext_login=loopback",
    ) as server:
        server.command("domain", "add", "lists.example.org")
        with Postfix(server, port, TRANSPORTS):
            yield server


@pytest.fixture(scope="module")
def alice(sender: RunningServer) -> Account:
    return sender.make_account("alice@example.org")


@pytest.fixture(scope="module")
def news(sender: RunningServer) -> Account:
    return sender.make_account("news@lists.example.org")


def submit(sender: RunningServer, account: Account, to: list[str], header: str = "", *options: str) -> str:
    """Gives the Message-ID."""
    submit.count += 1  # type: ignore[attr-defined]
    identifier = f"{submit.count}@{account.name.rpartition('@')[2]}"  # type: ignore[attr-defined]
    text = f"From: {account.name}\r\nMessage-ID: <{identifier}>\r\nSubject: x\r\n{header}\r\nA body.\r\n"
    with smtplib.SMTP("127.0.0.1", sender.ports["submission"], timeout=20) as client:
        client.login(account.name, account.password)
        client.sendmail(account.name, to, text.encode(), rcpt_options=options)
    return identifier


submit.count = 0  # type: ignore[attr-defined]


def told(sender: RunningServer, identifier: str, *wanted: str) -> str:
    """Wait until the story of a message says all that, and give it."""

    story = ""

    def says() -> bool:
        nonlocal story
        story = sender.command("trace", identifier)
        return all(text in story for text in wanted)

    try:
        until(says)
    except AssertionError:
        pytest.fail(story)
    return story


def test_a_failure(sender: RunningServer, alice: Account) -> None:
    identifier = submit(sender, alice, ["x@gone.test", "y@full.test"])
    story = told(
        sender,
        identifier,
        "x@gone.test bounced later, relay.example.net reports: 5.1.1",
        "y@full.test bounced later, relay.example.net reports: 5.2.2",
        "now: x@gone.test bounced later",
        "now: y@full.test bounced later",
    )
    assert "x@gone.test sent by 127.0.0.1" in story
    assert sender.command("suppression", "list") == "no suppressed recipients\n", "nobody wrote to many"


def test_success(sender: RunningServer, alice: Account) -> None:
    """RFC 3461 §5.2.1."""
    identifier = submit(sender, alice, ["x@good.test"], "", "NOTIFY=SUCCESS,FAILURE")
    told(sender, identifier, "x@good.test was delivered, relay.example.net reports: 2.0.0")


def test_a_delay(sender: RunningServer, alice: Account) -> None:
    identifier = submit(sender, alice, ["x@later.test"], "", "NOTIFY=DELAY")
    told(sender, identifier, "x@later.test is delayed further on, relay.example.net reports: 4.4.1")


def test_a_list_learns(sender: RunningServer, news: Account) -> None:
    """Each recipient has an address of his own for bounces. Who is gone gets no more of it."""
    identifier = submit(sender, news, ["a@gone.test", "b@full.test", "c@good.test"], "List-Id: <news.example.org>\r\n")
    told(sender, identifier, "now: a@gone.test bounced later", "now: b@full.test bounced later")
    suppressed = sender.command("suppression", "list")
    assert "a@gone.test" in suppressed
    assert "b@full.test" not in suppressed
    with pytest.raises(smtplib.SMTPDataError, match=r"bounced before"):
        submit(sender, news, ["a@gone.test"], "List-Id: <news.example.org>\r\n")
    submit(sender, news, ["a@gone.test"])
