import pytest

from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Notify, Recipient, ReturnContent
from pennypost.model.errors import PeerError, UsageError
from pennypost.proto.smtp.announced import Announced, read_announced
from pennypost.proto.smtp.client import Answered, Dismissed, Greeted, SmtpClientSession
from pennypost.proto.smtp.limits import MAX_AUTH_LINE, MAX_REPLY_LINES
from pennypost.proto.smtp.replies import ReplyReader
from pennypost.proto.smtp.reply import Reply
from pennypost.proto.smtp.requests import (
    Auth,
    AuthResponse,
    Chunk,
    Data,
    Hello,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Request,
    Reset,
    StartTls,
    Text,
    Verb,
)

ALICE = Recipient(Address("alice", "example.org"))
BOB = Recipient(Address("bob", "example.org"))
EVERYTHING = b"""250-mx.example.org hello
250-PIPELINING
250-SIZE 1000
250-8BITMIME
250-BINARYMIME
250-CHUNKING
250-SMTPUTF8
250-ENHANCEDSTATUSCODES
250-DSN
250-STARTTLS
250-REQUIRETLS
250-LIMITS MAILMAX=5 RCPTMAX=100
250-AUTH=PLAIN LOGIN
250-X-UNKNOWN whatever
250 HELP
""".replace(b"\n", b"\r\n")


def greeted(hello: bytes = EVERYTHING, verb: Verb = Verb.EHLO) -> SmtpClientSession:
    session = SmtpClientSession()
    session.receive_data(b"220 mx.example.org ESMTP\r\n")
    assert session.next_event() == Greeted(Reply(220, None, ("mx.example.org ESMTP",)))
    session.send(Hello(verb, "me.example"))
    session.receive_data(hello)
    assert isinstance(session.next_event(), Answered)
    assert session.next_event() is None
    return session


def replies(session: SmtpClientSession, octets: bytes) -> list[tuple[type[Request], int]]:
    session.receive_data(octets)
    found = []
    while (event := session.next_event()) is not None:
        assert isinstance(event, Answered)
        found.append((type(event.request), event.reply.code))
    return found


def test_what_is_announced() -> None:
    """RFC 5321 §4.1.1.1, RFC 1870, RFC 9422."""
    assert greeted().announced == Announced(
        "mx.example.org",
        pipelining=True,
        size=True,
        max_size=1000,
        eight_bit_mime=True,
        binary_mime=True,
        chunking=True,
        smtputf8=True,
        enhanced_status_codes=True,
        dsn=True,
        starttls=True,
        require_tls=True,
        max_recipients=100,
        max_messages=5,
        mechanisms=("PLAIN", "LOGIN"),
    )
    odd = read_announced(Reply(250, None, ("h", "SIZE 0", "LIMITS RCPTMAX=x MAILMAX", "size 77", "AUTH")))
    assert odd == Announced("h", size=True)
    assert read_announced(Reply(250, None, ("",))) == Announced()


def test_a_pipelined_transaction() -> None:
    """RFC 2920 §3.1."""
    session = greeted()
    octets = b"".join(map(session.send, (Mail(Envelope(ALICE.address), 3), Rcpt(BOB), Rcpt(ALICE), Data())))
    assert octets == (
        b"MAIL FROM:<alice@example.org> SIZE=3\r\nRCPT TO:<bob@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
    )
    assert replies(session, b"250 ok\r\n550 5.1.1 no\r\n251 ok\r\n354 go\r\n") == [
        (Mail, 250),
        (Rcpt, 550),
        (Rcpt, 251),
        (Data, 354),
    ]
    assert session.send(Text(b".\r\na")) == b"..\r\na\r\n.\r\n"
    assert replies(session, b"250 2.0.0 kept\r\n") == [(Text, 250)]
    assert not session.needs_reset
    assert session.send(Quit()) == b"QUIT\r\n"
    assert replies(session, b"221 bye\r\n") == [(Quit, 221)]
    assert session.closed


def test_a_message_in_one_flight() -> None:
    """RFC 3030 §2."""
    session = greeted()
    octets = b"".join(map(session.send, (Mail(Envelope(None), 3), Rcpt(BOB), Chunk(b"a\r\n"))))
    assert octets.endswith(b"RCPT TO:<bob@example.org>\r\nBDAT 3 LAST\r\na\r\n")
    assert replies(session, b"250 ok\r\n250 ok\r\n250 ok\r\n") == [(Mail, 250), (Rcpt, 250), (Chunk, 250)]
    assert not session.needs_reset
    b"".join(
        map(session.send, (Mail(Envelope(None), 3), Rcpt(BOB), Chunk(b"a\r\n", last=False), Chunk(b"", last=True)))
    )
    assert len(replies(session, b"250 ok\r\n550 no\r\n503 no\r\n503 no\r\n")) == 4
    assert session.needs_reset


def test_a_refused_transaction_is_reset() -> None:
    session = greeted()
    for request in (Mail(Envelope(None), 3), Rcpt(BOB), Data()):
        session.send(request)
    replies(session, b"250 ok\r\n450 later\r\n503 no recipients\r\n")
    assert session.needs_reset
    session.send(Reset())
    replies(session, b"250 ok\r\n")
    assert not session.needs_reset
    session.send(Mail(Envelope(None), 3))
    replies(session, b"451 later\r\n")
    assert not session.needs_reset


def test_lmtp_answers_for_each_recipient_that_was_accepted() -> None:
    """RFC 2033 §4.2."""
    session = greeted(verb=Verb.LHLO)
    for request in (Mail(Envelope(None), 3), Rcpt(ALICE), Rcpt(BOB), Rcpt(ALICE), Data()):
        session.send(request)
    replies(session, b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    session.send(Text(b""))
    session.receive_data(b"250 one\r\n452 two\r\n")
    first, second = session.next_event(), session.next_event()
    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    assert (first.reply.code, first.recipient, second.reply.code) == (250, Rcpt(ALICE), 452)
    assert session.replies_due == 0
    session.send(Mail(Envelope(None), 3))


def test_parameters() -> None:
    """RFC 3461 §4, RFC 6152, RFC 6531, RFC 8689, RFC 6533 §3."""
    session = greeted()
    envelope = Envelope(
        Address("jürgen", "example.org"), (), BodyType.EIGHT_BIT_MIME, True, True, ReturnContent.HEADERS, "a+b=c d"
    )
    assert (
        session.send(Mail(envelope, 10))
        == (
            "MAIL FROM:<jürgen@example.org> SIZE=10 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+2Bb+3Dc+20d\r\n"
        ).encode()
    )
    wishes = Recipient(BOB.address, Notify.SUCCESS | Notify.DELAY, "rfc822;a=b@c")
    assert session.send(Rcpt(wishes)) == (b"RCPT TO:<bob@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+3Db@c\r\n")
    foreign = Recipient(BOB.address, Notify.NEVER, "utf-8;jü+x@c")
    assert session.send(Rcpt(foreign)) == (b"RCPT TO:<bob@example.org> NOTIFY=NEVER ORCPT=utf-8;j\\x{FC}\\x{2B}x@c\r\n")
    assert session.send(Rcpt(foreign, smtputf8=True)).endswith("ORCPT=utf-8;jü\\x{2B}x@c\r\n".encode())


def test_nobody_asks_for_what_was_not_announced() -> None:
    session = greeted(b"250 h\r\n")
    assert session.send(Mail(Envelope(None, return_content=ReturnContent.FULL), 5)) == b"MAIL FROM:<>\r\n"
    replies(session, b"250 ok\r\n")
    assert session.send(Rcpt(Recipient(BOB.address, Notify.NEVER, "rfc822;x"))) == b"RCPT TO:<bob@example.org>\r\n"


def test_starttls_forgets_what_was_said_in_clear() -> None:
    """RFC 3207 §4.2: also what an attacker put behind the answer."""
    session = greeted()
    session.send(StartTls())
    session.receive_data(b"220 go\r\n250 injected\r\n")
    assert isinstance(session.next_event(), Answered)
    session.tls_started()
    assert session.announced == Announced()
    session.send(Hello(Verb.EHLO, "me"))
    assert session.next_event() is None
    with pytest.raises(UsageError):
        greeted().tls_started()


def test_auth() -> None:
    """RFC 4954 §4."""
    session = greeted()
    assert session.send(Auth("LOGIN")) == b"AUTH LOGIN\r\n"
    assert replies(session, b"334 VXNlcm5hbWU6\r\n") == [(Auth, 334)]
    assert session.send(AuthResponse(b"me")) == b"bWU=\r\n"
    assert replies(session, b"334 UGFzc3dvcmQ6\r\n") == [(AuthResponse, 334)]
    assert session.send(AuthResponse(None)) == b"*\r\n"
    assert replies(session, b"501 cancelled\r\n") == [(AuthResponse, 501)]
    assert session.send(Auth("EXTERNAL", b"")) == b"AUTH EXTERNAL =\r\n"
    assert replies(session, b"235 2.7.0 in\r\n") == [(Auth, 235)]
    session.send(Mail(Envelope(None), 1))


@pytest.mark.parametrize(
    ("before", "request_"),
    [
        ((), Rcpt(BOB)),
        ((), Data()),
        ((), Text(b"")),
        ((), AuthResponse(b"")),
        ((Mail(Envelope(None), 1),), Mail(Envelope(None), 1)),
        ((Mail(Envelope(None), 1), Rcpt(BOB)), StartTls()),
        ((Mail(Envelope(None), 1), Rcpt(BOB), Data()), Reset()),
        ((Noop(),), Mail(Envelope(None), 1)),
        ((), Mail(Envelope(Address("a\r\nQUIT", "b")), 1)),
        ((), Hello(Verb.EHLO, "a\nb")),
    ],
)
def test_misuse(before: tuple[Request, ...], request_: Request) -> None:
    session = greeted()
    for request in before:
        session.send(request)
    with pytest.raises(UsageError):
        session.send(request_)


def test_without_pipelining_each_reply_is_waited_for() -> None:
    session = greeted(b"250 h\r\n")
    session.send(Mail(Envelope(None), 1))
    with pytest.raises(UsageError):
        session.send(Rcpt(BOB))


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"2500 x\r\n",
        b"199 x\r\n",
        b"25 x\r\n",
        b"600 x\r\n",
        b"250 x\n250 y\r\n",
        b"250 x\0y\r\n",
        b"250-x\r\n251 y\r\n",
        b"354 go\r\n",
        b"250-x\r\n" * (MAX_REPLY_LINES + 1),
        b"250-" + b"x" * MAX_AUTH_LINE,
        b"250-" + b"x" * 12000 + b"\r\n250-" + b"x" * 12000 + b"\r\n250-" + b"x" * 12000 + b"\r\n",
    ],
)
def test_what_is_no_reply(octets: bytes) -> None:
    session = greeted()
    session.send(Mail(Envelope(None), 1))
    with pytest.raises(PeerError):
        replies(session, octets)


def test_a_reply_to_nothing() -> None:
    with pytest.raises(PeerError):
        replies(greeted(), b"250 surprise\r\n")
    session = greeted()
    session.receive_data(b"421 4.4.2 idle\r\n")
    assert session.next_event() == Dismissed(Reply(421, "4.4.2", ("idle",)))
    assert session.closed


def test_421_ends_the_session_whatever_it_answers() -> None:
    """RFC 5321 §3.8."""
    session = greeted()
    session.send(Mail(Envelope(None), 1))
    session.send(Rcpt(BOB))
    assert replies(session, b"421 bye\r\n250 ok\r\n") == [(Mail, 421)]
    assert session.closed


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"250\r\n", Reply(250, None, ("",))),
        (b"550 5.1.1 No\r\n", Reply(550, "5.1.1", ("No",))),
        (b"550-5.1.1 No\r\n550 5.1.1 really\r\n", Reply(550, "5.1.1", ("No", "really"))),
        (b"571 5.7.1 Not you\r\n", Reply(571, "5.7.1", ("Not you",))),
        (b"450 5.1.1 odd\r\n", Reply(450, None, ("5.1.1 odd",))),
        ("550 nö\tx\x1b[1m\r\n".encode(), Reply(550, None, ("nö x?[1m",))),
        (b"550 \xff\r\n", Reply(550, None, ("\ufffd",))),
    ],
)
def test_replies(octets: bytes, reply: Reply) -> None:
    for cut in range(1, len(octets) + 1):
        reader = ReplyReader()
        found = []
        for start in range(0, len(octets), cut):
            reader.feed(octets[start : start + cut])
            found.append(reader.next_reply())
        assert found == [None] * (len(found) - 1) + [reply]
        assert len(reader) == 0
