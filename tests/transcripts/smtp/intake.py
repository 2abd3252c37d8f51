"""What stands behind the doors in these transcripts: a few recipients, and no store."""

from collections.abc import Iterator
from itertools import count

from pennypost.mail.reception import Acceptance, SmtpClient
from pennypost.mail.scram import scram_keys
from pennypost.model.authentication import (
    Authenticated,
    AuthenticationQuestion,
    PasswordQuestion,
    ScramKeys,
    ScramProof,
    ScramQuestion,
)
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import (
    AuthenticationFailed,
    AuthenticationUnavailable,
    MailError,
    MessageTooLarge,
    NoSuchRecipient,
    OverQuota,
    RelayDenied,
    SenderNotOwned,
    StorageFull,
)
from pennypost.model.ids import AccountId
from pennypost.model.peer import Peer

OUR_DOMAINS = {"example.org", "[127.0.0.1]", "[ipv6:::1]"}
ACCOUNTS = {"alice", "bob", "carol", "full", "crash", "postmaster"}
PASSWORD = "secret"


class FakeIntake:
    """Takes mail for ACCOUNTS at OUR_DOMAINS; from those who authenticated, for everybody.

    `full` is over quota once the text has come; a text that holds "disk full" or "bug" does not get in.
    """

    def __init__(self, max_message_size: int = 2000, max_recipients: int = 3) -> None:
        self.max_message_size = max_message_size
        self.max_recipients = max_recipients
        self.stored: list[tuple[SmtpClient, Envelope, list[Recipient], bytes]] = []
        self.open = 0
        self.ids: Iterator[int] = count(1)

    def begin(self, client: SmtpClient) -> "FakeReception":
        self.open += 1
        return FakeReception(self, client)


class FakeReception:
    def __init__(self, intake: FakeIntake, client: SmtpClient) -> None:
        self.intake = intake
        self.client = client
        self.envelope: Envelope | None = None
        self.recipients: list[Recipient] = []
        self.text = b""
        self.over = False

    async def sender(self, envelope: Envelope) -> None:
        assert not envelope.recipients
        self.envelope = envelope
        sender = envelope.reverse_path
        if sender is not None and sender.local_part == "bug":
            raise RuntimeError("a bug in sender")
        if self.client.authenticated and str(sender) != self.client.authenticated.name:
            raise SenderNotOwned

    async def recipient(self, recipient: Recipient) -> None:
        address = recipient.address
        if address.local_part == "bug":
            raise RuntimeError("a bug in recipient")
        if address.domain and address.domain.casefold() not in OUR_DOMAINS:
            if self.client.authenticated is None:
                raise RelayDenied
        elif address.local_part.casefold() not in ACCOUNTS:
            raise NoSuchRecipient
        self.recipients.append(recipient)

    def write(self, chunk: bytes) -> None:
        assert not self.over
        self.text += chunk
        if len(self.text) > self.intake.max_message_size:
            raise MessageTooLarge

    async def accept(self) -> Acceptance:
        assert not self.over
        assert self.envelope is not None
        if b"disk full" in self.text:
            raise StorageFull
        if b"bug" in self.text:
            raise RuntimeError("a bug in accept")
        outcomes: list[MailError | None] = [
            OverQuota() if recipient.address.local_part == "full" else None for recipient in self.recipients
        ]
        if self.client.language.value != "LMTP" and any(outcomes):
            raise OverQuota
        taken = [r for r, outcome in zip(self.recipients, outcomes, strict=True) if outcome is None]
        self.intake.stored.append((self.client, self.envelope, taken, self.text))
        self._end()
        return Acceptance(f"M{next(self.intake.ids)}", tuple(outcomes), len(self.text), ("1/7",))

    def discard(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self.intake.open -= 1


class FakeAuthenticator:
    """Knows alice@example.org and her password; `busy` cannot be asked about now, `bug` breaks."""

    def __init__(self) -> None:
        self.keys = scram_keys  # derived when asked: most transcripts never do

    async def answer(self, peer: Peer, question: AuthenticationQuestion) -> ScramKeys | Authenticated:
        name = question.authentication_identity
        if name == "busy":
            raise AuthenticationUnavailable
        if name == "bug":
            raise RuntimeError("a bug in the authenticator")
        alice = Authenticated(AccountId(1), "alice@example.org")
        match question:
            case PasswordQuestion(password=password):
                if name == alice.name and password == PASSWORD:
                    return alice
            case ScramQuestion(hash=hash_):
                return self.keys(PASSWORD, b"a salt of theirs", 4096, hash_)
            case ScramProof(valid=True):
                return alice
        raise AuthenticationFailed
