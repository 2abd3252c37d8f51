"""The machine alone: what it says for what it hears."""

from collections.abc import Iterator

import pytest

from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Recipient
from pennypost.model.errors import BareLineEnding, MessageTooLarge, PeerError, UsageError
from pennypost.proto.smtp import Flavour, Offer, Reply, SmtpServerSession
from pennypost.proto.smtp.events import (
    Answer,
    Authenticate,
    AuthResponse,
    BodyChunk,
    BodyEnd,
    ChunkEnd,
    DataStart,
    Event,
    Hello,
    MailFrom,
    Quit,
    RcptTo,
    Reset,
    StartTls,
)
from pennypost.proto.smtp.reply import challenge
from pennypost.proto.smtp.states import TRANSITIONS, Command, State

OK = Reply(250, "2.0.0", ("OK",))
OFFER = Offer("mx.example.org", tls_mechanisms=("SCRAM-SHA-256", "PLAIN"), mechanisms=("SCRAM-SHA-256",), starttls=True)


def reply_to(session: SmtpServerSession, event: Event) -> list[Reply]:
    """Agree to everything."""
    match event:
        case Answer(reply):
            return [reply]
        case Hello(_, extended):
            return [session.hello_reply(extended)]
        case DataStart():
            return [Reply(354, None, ("Go on",))]
        case Quit():
            return [Reply(221, "2.0.0", ("Bye",))]
        case StartTls():
            return [Reply(220, None, ("Ready",))]
        case Authenticate():
            return [challenge(b"")]
        case AuthResponse():
            return [Reply(235, "2.7.0", ("Welcome",))]
        case BodyChunk():
            return []
        case _:
            return [OK] * session.replies_due


def drive(session: SmtpServerSession, octets: bytes) -> Iterator[tuple[Event, bytes]]:
    session.receive_data(octets)
    while (event := session.next_event()) is not None:
        yield event, b"".join(session.send(reply) for reply in reply_to(session, event))


def greeted(offer: Offer = OFFER, *, tls: bool = False) -> SmtpServerSession:
    session = SmtpServerSession(offer, tls=tls)
    assert session.send(session.greeting()).startswith(b"220 mx.example.org ")
    return session


def ready(offer: Offer = OFFER, *, tls: bool = False) -> SmtpServerSession:
    session = greeted(offer, tls=tls)
    list(drive(session, b"LHLO c\r\n" if offer.flavour is Flavour.LMTP else b"EHLO c\r\n"))
    return session


def events(session: SmtpServerSession, octets: bytes) -> list[Event]:
    return [event for event, _ in drive(session, octets)]


def said(session: SmtpServerSession, octets: bytes) -> bytes:
    return b"".join(reply for _, reply in drive(session, octets))


class TestTransaction:
    def test_one_segment(self) -> None:
        """RFC 2920 §3.1."""
        session = ready()
        assert events(
            session,
            b"mail from:<a@b> BODY=8BITMIME\r\nRcpt To:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"
            b"Subject: x\r\n\r\n..\r\n.\r\nRSET\r\nQUIT\r\n",
        ) == [
            MailFrom(Envelope(Address("a", "b"), body=BodyType.EIGHT_BIT_MIME)),
            RcptTo(Recipient(Address("c", "d"))),
            RcptTo(Recipient(Address("e", "f"))),
            DataStart(),
            BodyChunk(b"Subject: x\r\n\r\n.\r\n"),
            BodyEnd(17, None),
            Reset(),
            Quit(),
        ]
        assert session.closed

    def test_a_refused_data_reads_no_text(self) -> None:
        session = ready()
        list(drive(session, b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\n"))
        session.receive_data(b"DATA\r\nNOOP\r\n")
        assert session.next_event() == DataStart()
        assert session.send(Reply(451, "4.3.0", ("Not now",))) == b"451 4.3.0 Not now\r\n"
        assert session.state is State.RECIPIENTS
        assert isinstance(session.next_event(), Answer)

    def test_nothing_is_read_before_the_reply(self) -> None:
        session = ready()
        session.receive_data(b"MAIL FROM:<>\r\nNOOP\r\n")
        assert session.next_event() == MailFrom(Envelope(None))
        assert session.next_event() is None

    def test_a_refused_recipient_opens_no_text(self) -> None:
        session = ready()
        list(drive(session, b"MAIL FROM:<>\r\n"))
        session.receive_data(b"RCPT TO:<c@d>\r\n")
        session.next_event()
        session.send(Reply(550, "5.1.1", ("Unknown",)))
        assert said(session, b"DATA\r\n").startswith(b"503 5.5.1 ")

    def test_bare_line_endings(self) -> None:
        """RFC 5321 §2.3.8."""
        session = ready()
        found = events(session, b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\na\n.\nb\r\n.\r\nNOOP\r\n")
        end = found[3]
        assert isinstance(end, BodyEnd)
        assert isinstance(end.problem, BareLineEnding)
        assert len(found) == 5

    def test_lmtp_has_a_reply_for_each_recipient(self) -> None:
        """RFC 2033 §4.2."""
        session = ready(Offer("mx.example.org", Flavour.LMTP))
        list(drive(session, b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"))
        session.receive_data(b"x\r\n.\r\nNOOP\r\n")
        assert isinstance(session.next_event(), BodyChunk)
        assert isinstance(session.next_event(), BodyEnd)
        assert session.replies_due == 2
        session.send(OK)
        assert session.next_event() is None
        session.send(Reply(452, "4.2.2", ("Full",)))
        assert session.state is State.READY
        assert isinstance(session.next_event(), Answer)

    def test_limits_of_recipients_and_messages(self) -> None:
        """RFC 9422 §3."""
        session = ready(Offer("mx.example.org", max_recipients=1, max_messages=1))
        one = b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\n"
        assert said(session, one + b"RCPT TO:<e@f>\r\n").endswith(b"452 4.5.3 Too many recipients\r\n")
        list(drive(session, b"DATA\r\n.\r\n"))
        assert said(session, one) == b"421 4.7.0 Too many messages in one session\r\n"
        assert session.closed

    def test_declared_size(self) -> None:
        """RFC 1870 §6.1."""
        assert said(ready(), b"MAIL FROM:<> SIZE=52428801\r\n") == b"552 5.3.4 Message too large\r\n"
        assert isinstance(events(ready(), b"MAIL FROM:<> SIZE=52428800\r\n")[0], MailFrom)


class TestChunks:
    """RFC 3030 §2."""

    START = b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n"

    def test_chunks(self) -> None:
        session = ready()
        assert events(session, self.START + b"BDAT 5\r\na\n\0.\rbdat 0\r\nBDAT 1 last\r\nzNOOP\r\n")[2:-1] == [
            BodyChunk(b"a\n\0.\r"),
            ChunkEnd(5, None),
            ChunkEnd(0, None),
            BodyChunk(b"z"),
            BodyEnd(6, None),
        ]

    def test_an_empty_last_chunk(self) -> None:
        session = ready()
        assert events(session, self.START + b"BDAT 1\r\nzBDAT 0 LAST\r\n")[2:] == [
            BodyChunk(b"z"),
            ChunkEnd(1, None),
            BodyEnd(1, None),
        ]

    def test_octets_of_a_refused_chunk_are_dropped(self) -> None:
        session = ready()
        assert said(session, b"BDAT 14 LAST\r\nMAIL FROM:<>\r\nNOOP\r\n") == (
            b"503 5.5.1 No mail transaction is open: MAIL first\r\n250 2.0.0 OK\r\n"
        )

    def test_a_bad_size_ends_the_session(self) -> None:
        session = ready()
        assert said(session, self.START + b"BDAT x\r\nNOOP\r\n").endswith(b"501 5.5.4 Syntax: BDAT size [LAST]\r\n")
        assert session.closed

    def test_only_bdat_follows_bdat(self) -> None:
        session = ready()
        list(drive(session, self.START + b"BDAT 1\r\nz"))
        for line in (b"DATA\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<a@b>\r\n"):
            assert said(session, line).startswith(b"503 5.5.1 ")
        assert events(session, b"RSET\r\n") == [Reset()]
        assert session.state is State.READY

    def test_a_chunk_that_is_too_large(self) -> None:
        session = ready(Offer("mx.example.org", max_message_size=4))
        found = events(session, b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\nabcde")
        end = found[-1]
        assert isinstance(end, ChunkEnd)
        assert isinstance(end.problem, MessageTooLarge)

    def test_after_a_refused_chunk_the_transaction_is_over(self) -> None:
        session = ready()
        list(drive(session, self.START))
        session.receive_data(b"BDAT 1\r\nz")
        assert isinstance(session.next_event(), BodyChunk)
        assert isinstance(session.next_event(), ChunkEnd)
        session.send(Reply(552, "5.3.4", ("Too large",)))
        assert said(session, b"BDAT 4 LAST\r\nQUIT").startswith(b"503 5.5.1 ")
        assert not session.closed

    def test_binary_needs_bdat(self) -> None:
        """RFC 3030 §3."""
        assert said(ready(), self.START + b"DATA\r\n").endswith(b"503 5.5.1 BINARYMIME needs BDAT\r\n")


class TestTls:
    def test_nothing_from_before_survives(self) -> None:
        """RFC 3207 §4.2, CVE-2011-0411."""
        session = ready()
        assert events(session, b"STARTTLS\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<c@d>\r\n") == [StartTls()]
        session.tls_started()
        assert events(session, b"") == []
        assert said(session, b"MAIL FROM:<>\r\n").startswith(b"503 5.5.1 ")
        assert b"STARTTLS" not in said(session, b"EHLO c\r\n")
        assert said(session, b"STARTTLS\r\n").startswith(b"503 5.5.1 ")

    def test_what_is_offered_when(self) -> None:
        clear = said(greeted(), b"EHLO c\r\n")
        assert b"250-STARTTLS\r\n" in clear
        assert b"AUTH SCRAM-SHA-256\r\n" in clear
        assert b"REQUIRETLS" not in clear
        under_tls = said(greeted(tls=True), b"EHLO c\r\n")
        assert b"STARTTLS" not in under_tls
        assert b"250-REQUIRETLS\r\n" in under_tls
        assert b"AUTH SCRAM-SHA-256 PLAIN\r\n" in under_tls

    def test_requiretls_in_clear(self) -> None:
        """RFC 8689 §3."""
        assert said(ready(), b"MAIL FROM:<> REQUIRETLS\r\n").startswith(b"555 5.5.4 ")
        assert isinstance(events(ready(tls=True), b"MAIL FROM:<> REQUIRETLS\r\n")[0], MailFrom)

    def test_tls_started_unasked(self) -> None:
        with pytest.raises(UsageError):
            ready().tls_started()


class TestAuth:
    """RFC 4954 §4."""

    def test_initial_response(self) -> None:
        session = ready(tls=True)
        session.receive_data(b"auth plain AGEAYg==\r\n")
        assert session.next_event() == Authenticate("PLAIN", b"\0a\0b")
        session.send(Reply(235, "2.7.0", ("Welcome",)))
        assert session.authenticated
        assert said(session, b"AUTH PLAIN\r\n").startswith(b"503 5.5.1 ")
        assert b"AUTH" not in said(session, b"EHLO c\r\n")

    def test_empty_initial_response(self) -> None:
        assert events(ready(tls=True), b"AUTH PLAIN =\r\n") == [Authenticate("PLAIN", b"")]

    def test_challenges(self) -> None:
        session = ready(tls=True)
        assert list(drive(session, b"AUTH PLAIN\r\nAGEAYg==\r\n")) == [
            (Authenticate("PLAIN", None), b"334 \r\n"),
            (AuthResponse(b"\0a\0b"), b"235 2.7.0 Welcome\r\n"),
        ]

    @pytest.mark.parametrize(
        ("line", "reply"),
        [
            (b"*", b"501 5.7.0 Authentication cancelled\r\n"),
            (b"!", b"501 5.5.2 Cannot decode base64\r\n"),
            (b"A" * 12289, b"500 5.5.6 Authentication exchange line is too long\r\n"),
            (b"QQ==\nQQ==", b"550 5.6.11 Bare CR or LF not allowed\r\n"),
        ],
    )
    def test_exchanges_that_end(self, line: bytes, reply: bytes) -> None:
        session = ready(tls=True)
        list(drive(session, b"AUTH PLAIN\r\n"))
        assert said(session, line + b"\r\n") == reply
        assert not session.authenticated
        assert session.state is State.READY

    def test_the_longest_response(self) -> None:
        session = ready(tls=True)
        list(drive(session, b"AUTH PLAIN\r\n"))
        assert events(session, b"A" * 12288 + b"\r\n") == [AuthResponse(b"\0" * 9216)]

    @pytest.mark.parametrize(
        ("line", "reply"),
        [
            (b"AUTH", b"501 5.5.4 "),
            (b"AUTH PLAIN a b", b"501 5.5.4 "),
            (b"AUTH PLAIN AGEAYg==", b"538 5.7.11 "),
            (b"AUTH CRAM-MD5", b"504 5.5.4 "),
            (b"AUTH SCRAM-SHA-256 biws!", b"501 5.5.2 "),
            (b"AUTH \xff", b"504 5.5.4 "),
        ],
    )
    def test_refused(self, line: bytes, reply: bytes) -> None:
        assert said(ready(), line + b"\r\n").startswith(reply)

    def test_not_within_a_transaction(self) -> None:
        assert said(ready(tls=True), b"MAIL FROM:<>\r\nAUTH PLAIN =\r\n").endswith(
            b"503 5.5.1 No recipient yet: RCPT first, and no second MAIL\r\n"
        )

    def test_not_offered(self) -> None:
        assert said(ready(Offer("mx.example.org")), b"AUTH PLAIN =\r\n").startswith(b"502 5.5.1 ")


MALFORMED = [
    (b"", b"500 5.5.2 "),
    (b" ", b"500 5.5.2 "),
    (b" NOOP", b"500 5.5.2 "),
    (b"NOOPS", b"500 5.5.2 "),
    (b"\xff\xfe", b"500 5.5.2 "),
    (b"NO\0OP", b"500 5.5.2 "),
    (b"NO\rOP", b"550 5.6.11 "),
    (b"NO\nOP", b"550 5.6.11 "),
    (b"NOOP " + b"x" * 506, b"500 5.5.2 "),
    (b"MAIL FROM:<a@b> " + b"x" * 1400, b"500 5.5.2 "),
    (b"x" * 20000, b"500 5.5.2 "),
    (b"EHLO", b"501 5.5.4 "),
    (b"EHLO ", b"501 5.5.4 "),
    (b"EHLO a b", b"501 5.5.4 "),
    (b"EHLO \xc3\xa4", b"501 5.5.4 "),
    (b"EHLO " + b"x" * 256, b"501 5.5.4 "),
    (b"HELO", b"501 5.5.4 "),
    (b"LHLO c", b"500 5.5.1 "),
    (b"MAIL", b"501 5.5.4 "),
    (b"MAIL a@b", b"501 5.5.4 "),
    (b"MAIL TO:<a@b>", b"501 5.5.4 "),
    (b"MAIL FROM<a@b>", b"501 5.5.4 "),
    (b"MAIL FROM :<a@b>", b"501 5.5.4 "),
    (b"MAIL FROM:", b"501 5.1.7 "),
    (b"MAIL FROM:a@b", b"501 5.1.7 "),
    (b"MAIL FROM:<a>", b"501 5.1.7 "),
    (b"MAIL FROM:<a@b", b"501 5.1.7 "),
    (b"MAIL FROM:<a@b>SIZE=1", b"501 5.1.7 "),
    (b"MAIL FROM:<a@b>\tSIZE=1", b"501 5.1.7 "),
    (b"MAIL FROM:<a@b> SIZE=x", b"501 5.5.4 "),
    (b"MAIL FROM:<a@b> FOO=x", b"555 5.5.4 "),
    (b"MAIL FROM:<\xc3\xa4@b>", b"553 5.6.7 "),
    (b"RCPT TO:<a@b>", b"503 5.5.1 "),
    (b"DATA", b"503 5.5.1 "),
    (b"RSET x", b"501 5.5.4 "),
    (b"QUIT x", b"501 5.5.4 "),
    (b"STARTTLS x", b"501 5.5.4 "),
    (b"VRFY", b"501 5.5.4 "),
    (b"EXPN", b"501 5.5.4 "),
    (b"EXPN list", b"502 5.5.1 "),
    (b"ETRN example.org", b"502 5.5.1 "),
    (b"TURN", b"502 5.5.1 "),
    (b"ATRN", b"502 5.5.1 "),
    (b"SEND FROM:<a@b>", b"502 5.5.1 "),
    (b"SOML FROM:<a@b>", b"502 5.5.1 "),
    (b"SAML FROM:<a@b>", b"502 5.5.1 "),
    (b"GET / HTTP/1.1", b"421 4.7.0 "),
    (b"POST / HTTP/1.1", b"421 4.7.0 "),
]


@pytest.mark.parametrize(("line", "reply"), MALFORMED)
def test_malformed_commands(line: bytes, reply: bytes) -> None:
    """RFC 5321 §4.2.4, §4.3.2: each has one reply, whole or octet by octet, and the session goes on."""
    session = ready()
    assert said(session, line + b"\r\n").startswith(reply)
    again = ready()
    assert b"".join(said(again, bytes([octet])) for octet in line + b"\r\n").startswith(reply)
    if not reply.startswith(b"421"):
        assert said(session, b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


MALFORMED_RCPT = [
    (b"RCPT", b"501 5.5.4 "),
    (b"RCPT FROM:<a@b>", b"501 5.5.4 "),
    (b"RCPT TO:", b"501 5.1.3 "),
    (b"RCPT TO:<>", b"501 5.1.3 "),
    (b"RCPT TO:a@b", b"501 5.1.3 "),
    (b"RCPT TO:<a@b>x", b"501 5.1.3 "),
    (b"RCPT TO:<abuse>", b"501 5.1.3 "),
    (b"RCPT TO:<a@b> NOTIFY=X", b"501 5.5.4 "),
    (b"RCPT TO:<a@b> SIZE=1", b"555 5.5.4 "),
    (b"RCPT TO:<\xc3\xa4@b>", b"553 5.6.7 "),
    (b"MAIL FROM:<a@b>", b"503 5.5.1 "),
    (b"DATA", b"503 5.5.1 "),
    (b"STARTTLS", b"503 5.5.1 "),
]


@pytest.mark.parametrize(("line", "reply"), MALFORMED_RCPT)
def test_malformed_commands_in_a_transaction(line: bytes, reply: bytes) -> None:
    session = ready()
    list(drive(session, b"MAIL FROM:<>\r\n"))
    assert said(session, line + b"\r\n").startswith(reply)
    assert session.state is State.MAIL


def test_what_is_tolerated() -> None:
    """RFC 5321 §4.1.1: blanks at the end; blanks after the colon (docs/quirks.md)."""
    session = ready()
    assert [type(event) for event in events(session, b"MAIL FROM: <a@b> \t\r\nRCPT TO:  <c@d> \r\nDATA \r\n")] == [
        MailFrom,
        RcptTo,
        DataStart,
    ]


def test_every_pair_that_the_table_does_not_list_is_out_of_sequence() -> None:
    """RFC 5321 §4.1.4."""
    walk = {
        State.GREETED: b"",
        State.READY: b"EHLO c\r\n",
        State.MAIL: b"EHLO c\r\nMAIL FROM:<>\r\n",
        State.RECIPIENTS: b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n",
        State.CHUNKS: b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 0\r\n",
    }
    arguments = {
        Command.HELO: b" c",
        Command.EHLO: b" c",
        Command.AUTH: b" SCRAM-SHA-256",
        Command.MAIL: b" FROM:<>",
        Command.RCPT: b" TO:<a@b>",
        Command.BDAT: b" 0 LAST",
        Command.VRFY: b" a",
    }
    for state, way in walk.items():
        for command in Command:
            if command in (Command.LHLO, Command.EXPN):
                continue
            session = greeted()
            list(drive(session, way))
            assert session.state is state
            heard = said(session, command.value + arguments.get(command, b"") + b"\r\n")
            assert heard.startswith(b"503 5.5.1 ") is (state not in TRANSITIONS[command]), (state, command, heard)


class TestLimits:
    def test_errors(self) -> None:
        session = ready(Offer("mx.example.org", max_errors=2))
        assert said(session, b"X\r\nX\r\nNOOP\r\nQUIT\r\n").splitlines()[2:] == [b"421 4.7.0 Too many errors"]
        assert session.closed
        assert events(session, b"NOOP\r\n") == []

    def test_commands_without_mail(self) -> None:
        session = ready(Offer("mx.example.org", max_idle_commands=2))
        assert said(session, b"NOOP\r\nRSET\r\n").splitlines()[1:] == [b"421 4.7.0 Too many commands without mail"]

    def test_mail_resets_the_count(self) -> None:
        session = ready(Offer("mx.example.org", max_idle_commands=2))
        list(drive(session, b"NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\nNOOP\r\nNOOP\r\n"))
        assert not session.closed

    def test_a_line_without_end(self) -> None:
        session = ready()
        list(drive(session, b"x" * 13000))
        with pytest.raises(PeerError):
            list(drive(session, b"x" * 70000))


class TestUsage:
    def test_a_reply_that_is_not_due(self) -> None:
        with pytest.raises(UsageError):
            ready().send(OK)

    def test_421_is_always_in_order(self) -> None:
        session = ready()
        assert session.send(Reply(421, "4.3.2", ("Shutting down",))) == b"421 4.3.2 Shutting down\r\n"
        assert session.closed

    def test_replies_that_do_not_belong(self) -> None:
        session = ready()
        session.receive_data(b"MAIL FROM:<>\r\n")
        session.next_event()
        with pytest.raises(UsageError):
            session.send(Reply(354, None, ("Go on",)))
        with pytest.raises(UsageError):
            session.send(challenge(b""))

    def test_a_client_that_does_not_wait(self) -> None:
        session = SmtpServerSession(OFFER)
        assert not session.spoken_early
        session.receive_data(b"EHLO c\r\n")
        assert session.spoken_early
        assert session.next_event() is None

    def test_a_greeting_that_refuses(self) -> None:
        session = SmtpServerSession(OFFER)
        session.send(Reply(554, "5.7.1", ("No",)))
        assert session.closed


def test_help_and_vrfy() -> None:
    """RFC 5321 §4.1.1.8, §3.5.3."""
    assert said(ready(), b"HELP\r\n").splitlines()[0].startswith(b"214-2.0.0 EHLO")
    assert said(ready(), b"VRFY alice\r\n") == b"252 2.5.0 Cannot verify; send it and see\r\n"
    assert said(greeted(), b"NOOP anything\r\n") == b"250 2.0.0 OK\r\n"


def test_helo_announces_nothing() -> None:
    assert said(greeted(), b"HELO c\r\n") == b"250 mx.example.org\r\n"


def test_what_ehlo_announces() -> None:
    assert said(
        ready(Offer("mx.example.org", max_message_size=1000, max_recipients=5, max_messages=7)), b"EHLO [192.0.2.1]\r\n"
    ) == (
        b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250-CHUNKING\r\n"
        b"250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-LIMITS MAILMAX=7 RCPTMAX=5\r\n250 HELP\r\n"
    )


def test_lmtp_says_lhlo() -> None:
    """RFC 2033 §4.1."""
    session = greeted(Offer("mx.example.org", Flavour.LMTP))
    assert said(session, b"EHLO c\r\n").startswith(b"500 5.5.1 ")
    assert said(session, b"HELO c\r\n").startswith(b"500 5.5.1 ")
    assert said(session, b"LHLO c\r\n").startswith(b"250-mx.example.org\r\n")
