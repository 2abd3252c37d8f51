"""The POP3 machine alone: states, answers, what is refused, what TLS forgets."""

import pytest

from pennypost.model.errors import UsageError
from pennypost.proto.pop3 import (
    Authenticate,
    BadCommand,
    Capabilities,
    Challenge,
    Code,
    Delete,
    Err,
    Language,
    List,
    Listing,
    ListMechanisms,
    Login,
    Message,
    NoOperation,
    Offer,
    Ok,
    Pop3ServerSession,
    Quit,
    Reset,
    Retrieve,
    SaslResponse,
    StartTls,
    State,
    Statistics,
    TextBegin,
    Top,
    UniqueIds,
    User,
    Utf8,
)
from pennypost.proto.pop3.session import COMMAND_LIMIT, MAX_ERRORS

OFFER = Offer(mechanisms=("SCRAM-SHA-256", "PLAIN"), user=True, stls=True, implementation="Pennypost")


def session(authenticated: bool = False, offer: Offer = OFFER) -> Pop3ServerSession:
    machine = Pop3ServerSession(offer)
    if authenticated:
        machine.receive_data(b"USER alice\r\nPASS secret\r\n")
        for _ in range(2):
            machine.next_event()
            machine.send(Ok())
        assert machine.state is State.TRANSACTION
    return machine


def event_of(machine: Pop3ServerSession, line: bytes):
    machine.receive_data(line + b"\r\n")
    return machine.next_event()


AUTHORIZATION_COMMANDS = {
    b"USER alice": User("alice"),
    b"user alice@example.org": User("alice@example.org"),
    b"USER Al Ice": User("Al Ice"),
    "USER zoë".encode(): User("zoë"),
    b"AUTH": ListMechanisms(),
    b"AUTH plain": Authenticate("PLAIN", None),
    b"AUTH PLAIN =": Authenticate("PLAIN", b""),
    b"AUTH PLAIN AGEAYg==": Authenticate("PLAIN", b"\0a\0b"),
    b"STLS": StartTls(),
    b"UTF8": Utf8(),
    b"CAPA": Capabilities(),
    b"capa ": Capabilities(),
    b"LANG": Language(None),
    b"LANG *": Language("*"),
    b"LANG en-GB": Language("en-gb"),
    b"QUIT": Quit(update=False),
}

TRANSACTION_COMMANDS = {
    b"STAT": Statistics(),
    b"LIST": List(None),
    b"LIST 2": List(2),
    b"UIDL": UniqueIds(None),
    b"UIDL 0": UniqueIds(0),
    b"RETR 12": Retrieve(12),
    b"retr 12 ": Retrieve(12),
    b"TOP 1 0": Top(1, 0),
    b"DELE 3": Delete(3),
    b"RSET": Reset(),
    b"NOOP": NoOperation(),
    b"CAPA": Capabilities(),
    b"LANG i-default": Language("i-default"),
    b"QUIT": Quit(update=True),
}


@pytest.mark.parametrize("line", AUTHORIZATION_COMMANDS)
def test_commands_of_the_authorization_state(line):
    assert event_of(session(), line) == AUTHORIZATION_COMMANDS[line]


@pytest.mark.parametrize("line", TRANSACTION_COMMANDS)
def test_commands_of_the_transaction_state(line):
    assert event_of(session(authenticated=True), line) == TRANSACTION_COMMANDS[line]


MALFORMED = {
    b"": "Unknown command",
    b" STAT": "Unknown command",
    b"XYZZY": "Unknown command",
    b"STAT\tx": "Unknown command",
    b"USER": "Syntax error: expected a user name",
    b"USER ": "Syntax error: expected a user name",
    b"USER \xff": "Not UTF-8",
    b"PASS secret": "PASS follows USER",
    b"PASS \xe9": "Not UTF-8",
    b"APOP alice c4c9334bac560ecc979e58001b3e22fb": "APOP is not offered: it would need passwords in clear",
    b"AUTH PLAIN !!!!": "Not base64",
    b"AUTH PLAIN AGEAYg": "Not base64",
    b"AUTH CRAM-MD5": "Mechanism not offered",
    b"AUTH PL\xc4IN": "Syntax error: expected a SASL mechanism, and perhaps an initial response",
    b"AUTH PLAIN AGEAYg== x": "Not base64",
    b"CAPA all": "Syntax error: expected nothing after the command",
    b"STLS now": "Syntax error: expected nothing after the command",
    b"LANG en us": "Syntax error: expected a language tag, as en or de-AT, * or nothing",
    b"LANG \xe9": "Syntax error: expected a language tag, as en or de-AT, * or nothing",
    b"QUIT now": "Syntax error: expected nothing after the command",
    b"STAT": "Command not valid in this state",
    b"RETR 1": "Command not valid in this state",
    b"NOOP": "Command not valid in this state",
    b"CA\0PA": "NUL octet",
    b"CAPA\nCAPA": "LF without CR",
    b"CAPA\rCAPA": "CR without LF",
    b"USER " + b"x" * COMMAND_LIMIT: "line too long",
}

MALFORMED_AFTER_LOGIN = {
    b"USER alice": "Command not valid in this state",
    b"AUTH PLAIN": "Command not valid in this state",
    b"STLS": "Command not valid in this state",
    b"UTF8": "Command not valid in this state",
    b"STAT 1": "Syntax error: expected nothing after the command",
    b"LIST x": "Syntax error: expected the number of a message, or nothing",
    b"LIST -1": "Syntax error: expected the number of a message, or nothing",
    b"LIST 1 2": "Syntax error: expected the number of a message, or nothing",
    b"LIST 12345678901": "Syntax error: expected the number of a message, or nothing",
    "LIST ٣".encode(): "Syntax error: expected the number of a message, or nothing",
    b"UIDL +1": "Syntax error: expected the number of a message, or nothing",
    b"RETR": "Syntax error: expected the number of a message",
    b"RETR  1": "Syntax error: expected the number of a message",
    b"TOP 1": "Syntax error: expected the number of a message and a number of lines",
    b"TOP 1 -1": "Syntax error: expected the number of a message and a number of lines",
    b"TOP 1 2 3": "Syntax error: expected the number of a message and a number of lines",
    b"DELE all": "Syntax error: expected the number of a message",
    b"RSET 1": "Syntax error: expected nothing after the command",
}


@pytest.mark.parametrize(
    ("line", "text", "authenticated"),
    [(line, text, False) for line, text in MALFORMED.items()]
    + [(line, text, True) for line, text in MALFORMED_AFTER_LOGIN.items()],
)
def test_malformed_commands_are_refused_and_the_session_goes_on(line, text, authenticated):
    machine = session(authenticated)
    event = event_of(machine, line)
    assert event == BadCommand(Err(text), last=False)
    assert machine.send(event.response) == b"-ERR %b\r\n" % text.encode()
    assert event_of(machine, b"CAPA") == Capabilities()


def test_too_many_errors_end_the_connection():
    machine = session()
    machine.receive_data(b"X\r\n" * (MAX_ERRORS + 1))
    for number in range(1, MAX_ERRORS + 1):
        event = machine.next_event()
        assert isinstance(event, BadCommand)
        assert event.last == (number == MAX_ERRORS)
        machine.send(event.response)
    assert machine.state is State.CLOSED
    assert machine.next_event() is None


def test_pass_follows_user_immediately():
    """RFC 1939 §7: PASS is valid immediately after a successful USER only."""
    machine = session()
    machine.receive_data(b"USER alice\r\nPASS two words \r\n")
    machine.next_event()
    machine.send(Ok())
    assert machine.next_event() == Login("alice", "two words ")
    machine.send(Err("no", Code.AUTH))
    assert event_of(machine, b"PASS again") == BadCommand(Err("PASS follows USER"), last=False)
    machine.send(Err("x"))
    event_of(machine, b"USER alice")
    machine.send(Ok())
    event_of(machine, b"CAPA")
    machine.send(Listing("", []))
    assert isinstance(event_of(machine, b"PASS late"), BadCommand)


def test_commands_wait_for_the_answer_before():
    """RFC 2449 §6.6: pipelined commands are answered in order."""
    machine = session(authenticated=True)
    machine.receive_data(b"STAT\r\nNOOP\r\n")
    assert machine.next_event() == Statistics()
    assert machine.next_event() is None
    assert machine.send(Ok("2 320")) == b"+OK 2 320\r\n"
    assert machine.next_event() == NoOperation()


def test_misuse_is_ours():
    machine = session(authenticated=True)
    with pytest.raises(UsageError):
        machine.send(Ok())
    with pytest.raises(UsageError):
        machine.text_piece(b"x")
    with pytest.raises(UsageError):
        machine.text_end()
    with pytest.raises(UsageError):
        machine.tls_started(OFFER)
    event_of(machine, b"NOOP")
    with pytest.raises(UsageError):
        machine.send(Challenge(b""))


def test_sasl_exchange():
    """RFC 5034 §4: challenges and responses are base64; "*" gives up."""
    machine = session()
    assert event_of(machine, b"AUTH SCRAM-SHA-256 biws") == Authenticate("SCRAM-SHA-256", b"n,,")
    assert machine.send(Challenge(b"r=x")) == b"+ cj14\r\n"
    assert event_of(machine, b"Yz1i") == SaslResponse(b"c=b")
    assert machine.send(Challenge(b"")) == b"+ \r\n"
    assert event_of(machine, b"") == SaslResponse(b"")
    assert machine.send(Ok("in")) == b"+OK in\r\n"
    assert machine.state is State.TRANSACTION


@pytest.mark.parametrize("line", [b"*", b"no base64", b"YQ", b"\xff", b"a\nb", b"x" * 20_000])
def test_a_sasl_exchange_that_is_cancelled_or_broken_ends(line):
    machine = session()
    event_of(machine, b"AUTH PLAIN")
    machine.send(Challenge(b""))
    assert event_of(machine, line) == SaslResponse(None)
    machine.send(Err("cancelled"))
    assert machine.state is State.AUTHORIZATION
    assert event_of(machine, b"CAPA") == Capabilities()


def test_long_sasl_responses_are_taken():
    machine = session()
    event_of(machine, b"AUTH PLAIN")
    machine.send(Challenge(b""))
    assert event_of(machine, b"YWFh" * 3000) == SaslResponse(b"aaa" * 3000)


def test_nothing_from_before_tls_survives_it():
    """RFC 2595 §4."""
    machine = session()
    event_of(machine, b"USER alice")
    machine.send(Ok())
    machine.receive_data(b"STLS\r\nPASS secret\r\n")
    assert machine.next_event() == StartTls()
    machine.send(Ok("go"))
    assert machine.next_event() is None
    machine.receive_data(b"USER mallory\r\n")
    machine.tls_started(OFFER)
    assert machine.next_event() is None
    assert event_of(machine, b"PASS secret") == BadCommand(Err("PASS follows USER"), last=False)
    machine.send(Err("x"))
    assert event_of(machine, b"STLS") == BadCommand(Err("STLS is not offered"), last=False)
    assert "STLS" not in machine.capabilities()


def test_stls_after_utf8_is_refused():
    """RFC 6856 §2.1."""
    machine = session()
    event_of(machine, b"UTF8")
    machine.send(Ok())
    assert machine.utf8
    assert event_of(machine, b"STLS") == BadCommand(Err("STLS after UTF8"), last=False)


def test_login_in_clear_is_refused_where_it_is_not_offered():
    machine = session(offer=Offer(stls=True))
    event = event_of(machine, b"USER alice")
    assert event == BadCommand(Err("Login in clear is not offered: use STLS first"), last=False)


def test_capabilities_of_each_state():
    """RFC 2449 §6, RFC 2595 §4, RFC 6856 §2."""
    common = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "USER", "SASL SCRAM-SHA-256 PLAIN"]
    rest = ["EXPIRE NEVER", "LOGIN-DELAY 0", "UTF8 USER", "LANG"]
    assert session().capabilities() == [*common, "STLS", *rest]
    assert session(authenticated=True).capabilities() == [*common, *rest, "IMPLEMENTATION Pennypost"]
    plain = session(offer=Offer(expire_days=30, login_delay_seconds=60)).capabilities()
    assert "EXPIRE 30" in plain
    assert "LOGIN-DELAY 60" in plain
    assert not [line for line in plain if line.startswith(("USER", "SASL", "STLS", "IMPL"))]


def test_answers_on_the_wire():
    def sent(response) -> bytes:
        machine = session(authenticated=True)
        event_of(machine, b"STAT")
        return machine.send(response)

    assert sent(Ok()) == b"+OK\r\n"
    assert sent(Err("locked", Code.IN_USE)) == b"-ERR [IN-USE] locked\r\n"
    assert sent(Err("later", Code.SYS_TEMP)) == b"-ERR [SYS/TEMP] later\r\n"
    assert sent(Listing("2 messages", ["1 120", "2 200"])) == b"+OK 2 messages\r\n1 120\r\n2 200\r\n.\r\n"
    assert sent(Listing("none", [])) == b"+OK none\r\n.\r\n"
    assert sent(Message("4 octets", b".a\r\n..\r\n")) == b"+OK 4 octets\r\n..a\r\n...\r\n.\r\n"
    whole = b".A: b\r\n\r\n.c\r\n\n.d\r\n..\r\ne"
    for cut in range(len(whole) + 1):  # wherever the body begins
        for end in (b"", b"\r\n"):
            in_parts = sent(Message("parts", whole[:cut], whole[cut:] + end))
            assert in_parts == sent(Message("parts", whole + end)), cut
    for bad in ("two\r\nlines", "x" * 481):
        with pytest.raises(ValueError, match="not a response text"):
            sent(Err(bad))


def test_a_text_in_pieces_holds_the_next_command_back():
    machine = session(authenticated=True)
    machine.receive_data(b"RETR 1\r\nNOOP\r\n")
    assert machine.next_event() == Retrieve(1)
    octets = machine.send(TextBegin("9 octets"))
    for piece in (b".a\r", b"\n", b".", b"b\r\n"):
        octets += machine.text_piece(piece)
        assert machine.next_event() is None
    assert octets + machine.text_end() == b"+OK 9 octets\r\n..a\r\n..b\r\n.\r\n"
    assert machine.next_event() == NoOperation()


def test_quit_ends_whatever_is_answered():
    """RFC 1939 §6: also when UPDATE failed, the connection is closed."""
    machine = session(authenticated=True)
    machine.receive_data(b"QUIT\r\nNOOP\r\n")
    assert machine.next_event() == Quit(update=True)
    machine.send(Err("not removed", Code.SYS_TEMP))
    assert machine.state is State.CLOSED
    machine.receive_data(b"NOOP\r\n")
    assert machine.next_event() is None
