from ipaddress import IPv4Address

import pytest

from pennypost.app.figures import Figures, exposition
from pennypost.app.measured import MeasuredIntake, commit_observer, measured_handler
from pennypost.mail.reception import Acceptance, Language, Reception, SmtpClient
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError, NoSuchRecipient, OverQuota, StorageFull
from pennypost.model.peer import Peer
from pennypost.net.connection import Connection
from pennypost.net.memory import MemoryConnection

CLIENT = SmtpClient(Peer(IPv4Address("192.0.2.1"), 1), "client.example", Language.ESMTP)


class Scripted:
    """An intake and its reception: takes everything but the recipient `nobody`, and ends as it is told."""

    max_message_size = 100
    max_recipients = 10

    def __init__(self, outcome: Acceptance | MailError) -> None:
        self.outcome = outcome
        self.octets = b""
        self.discarded = False

    def begin(self, client: SmtpClient) -> Reception:
        return self

    async def sender(self, envelope: Envelope) -> None:
        return

    async def recipient(self, recipient: Recipient) -> None:
        if recipient.address.local_part == "nobody":
            raise NoSuchRecipient

    def write(self, chunk: bytes) -> None:
        self.octets += chunk

    async def accept(self) -> Acceptance:
        if isinstance(self.outcome, MailError):
            raise self.outcome
        return self.outcome

    def discard(self) -> None:
        self.discarded = True


def value(figures: Figures, name: str, *labels: str) -> int:
    counter = figures.counter(name, *labels)
    return counter._cells[counter._place]


async def test_a_message_that_is_accepted() -> None:
    figures, inner = Figures(), Scripted(Acceptance("ID", (None, OverQuota()), 42))
    intake = MeasuredIntake(inner, figures, "lmtp")
    assert (intake.max_message_size, intake.max_recipients) == (100, 10)
    reception = intake.begin(CLIENT)
    await reception.sender(Envelope(None))
    with pytest.raises(NoSuchRecipient):
        await reception.recipient(Recipient(Address("nobody", "example.org")))
    await reception.recipient(Recipient(Address("somebody", "example.org")))
    reception.write(b"abc")
    assert (await reception.accept()).id == "ID"
    reception.discard()
    assert (inner.octets, inner.discarded) == (b"abc", True)
    assert value(figures, "pennypost_messages_accepted", "lmtp") == 1
    assert value(figures, "pennypost_messages_octets", "lmtp") == 42
    assert value(figures, "pennypost_recipients_accepted", "lmtp") == 1
    assert value(figures, "pennypost_refusals", "lmtp", "recipient", "NoSuchRecipient") == 1
    assert value(figures, "pennypost_refusals", "lmtp", "message", "OverQuota") == 1
    assert value(figures, "pennypost_messages_accepted", "smtp") == 0


async def test_a_message_that_is_refused() -> None:
    figures = Figures()
    reception = MeasuredIntake(Scripted(StorageFull()), figures, "smtp").begin(CLIENT)
    with pytest.raises(StorageFull):
        await reception.accept()
    assert value(figures, "pennypost_messages_accepted", "smtp") == 0
    assert value(figures, "pennypost_refusals", "smtp", "message", "StorageFull") == 1


async def test_connections_are_counted_while_they_are_open() -> None:
    figures = Figures()
    seen: list[int] = []

    async def handler(connection: Connection) -> None:
        seen.append(value(figures, "pennypost_connections_open", "imap"))
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await measured_handler(handler, figures, "imap")(MemoryConnection())
    assert seen == [1]
    assert value(figures, "pennypost_connections_open", "imap") == 0
    assert value(figures, "pennypost_connections", "imap") == 1


def test_commits_are_counted() -> None:
    figures = Figures()
    observe = commit_observer(figures)
    observe(3, 0.002)
    observe(1, 0.004)
    text = exposition(figures).decode()
    assert "pennypost_commit_group_sum 4.0" in text
    assert "pennypost_commit_seconds_count 2.0" in text
