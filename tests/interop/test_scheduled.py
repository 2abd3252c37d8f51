"""A user sends later, sees in a mail program what is still to leave, and takes it back there (RFC 4865, RFC 9979)."""

import smtplib
from collections.abc import Callable

from tests.interop.tools import imap
from tests.running import Account, RunningServer, until

NewAccount = Callable[[], Account]
SETTINGS = ("auth.allow_cleartext_login=loopback",)
HOLD_SECONDS = 3


def submit(server: RunningServer, account: Account, to: list[str], subject: str, hold: int = HOLD_SECONDS) -> None:
    text = f"From: {account.name}\r\nTo: {to[0]}\r\nSubject: {subject}\r\n\r\nA body.\r\n"
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=20) as client:
        client.login(account.name, account.password)
        client.sendmail(account.name, to, text, mail_options=[f"HOLDFOR={hold}"])


def test_who_deletes_it_takes_it_back(server: RunningServer, new_account: NewAccount) -> None:
    sender, recipient, hidden = new_account(), new_account(), new_account()
    submit(server, sender, [recipient.name, hidden.name], "stays")
    submit(server, sender, [recipient.name, hidden.name], "goes back")
    with imap(server, sender) as client:
        _, listed = client.list()
        assert any(b"\\Scheduled" in line for line in listed), listed
        assert client.select("Scheduled") == ("OK", [b"2"])
        _, [found] = client.search(None, "SUBJECT", '"goes back"', "BCC", hidden.name)
        assert client.uid("MOVE", found.decode(), "Drafts")[0] == "OK"
        until(lambda: client.noop()[0] == "OK" and client.select("Scheduled") == ("OK", [b"0"]))
        assert client.select("Drafts") == ("OK", [b"1"])
    for account in (recipient, hidden):
        until(lambda account=account: server.messages(account.name))
        (octets,) = server.messages(account.name)
        assert b"Subject: stays" in octets
        assert b"Bcc" not in octets
    until(lambda: "was taken back by its sender" in server.command("trace", sender.name))
    for account in (recipient, hidden):
        assert len(server.messages(account.name)) == 1


def test_an_administrator_can_do_it_for_him(server: RunningServer, new_account: NewAccount) -> None:
    sender, recipient = new_account(), new_account()
    submit(server, sender, [recipient.name], "in an hour", 3600)
    listed = server.command("queue", "list", "--account", sender.name, "--state", "deferred")
    (number,) = {word for word in listed.split() if word.startswith("q") and word[1:].isdigit()}
    told = server.command("queue", "recall", number, "--account", sender.name)
    assert told == f"{recipient.name}: taken back\nthe message is in Drafts\n"
    assert server.command("queue", "list", "--account", sender.name) == "nothing that is queued fits\n"
    (draft,) = server.messages(sender.name, "Drafts")
    assert draft.startswith((b"Message-ID: ", b"Date: "))
    assert b"Received:" not in draft
