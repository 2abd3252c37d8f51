"""The machine: RFC 9051 §3, §4.3, §6; RFC 7888; RFC 2177; RFC 4959."""

import pytest

from pennypost.model.errors import PeerError, UsageError
from pennypost.model.flags import Flags
from pennypost.proto.imap.commands import COMMANDS
from pennypost.proto.imap.commands.announcement import Announcement
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.commands.authenticate import Authenticate
from pennypost.proto.imap.commands.catenate import AppendRest, Catenate, CatenateText, Composed
from pennypost.proto.imap.commands.fetch import Fetch
from pennypost.proto.imap.commands.idle import Idle
from pennypost.proto.imap.commands.login import Login
from pennypost.proto.imap.commands.noop import Noop
from pennypost.proto.imap.commands.select import Select
from pennypost.proto.imap.commands.starttls import StartTls
from pennypost.proto.imap.events import (
    AppendChunk,
    AppendEnd,
    AppendStart,
    AppendText,
    AuthenticateCancelled,
    AuthenticateResponse,
    BadCommand,
    Command,
    Event,
    IdleDone,
    LiteralRequested,
)
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.limits import AFTER_LOGIN, BEFORE_LOGIN, MAX_TAG
from pennypost.proto.imap.responses.codes import TRYCREATE
from pennypost.proto.imap.responses.status import bad, no, ok
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.proto.imap.session import ImapServerSession
from pennypost.proto.imap.states import State

READY = b"+ Ready for literal data\r\n"
NO_FLAGS = FlagList(Flags.NONE, ())


def fresh(*octets: bytes, literal_plus: bool = True) -> ImapServerSession:
    session = ImapServerSession(literal_plus=literal_plus)
    for data in octets:
        session.receive_data(data)
    return session


def logged_in(*octets: bytes, selected: bool = False, literal_plus: bool = True) -> ImapServerSession:
    session = fresh(b"L LOGIN a b\r\n", literal_plus=literal_plus)
    assert isinstance(session.next_event(), Command)
    session.send(ok("hello"))
    if selected:
        session.receive_data(b"S SELECT INBOX\r\n")
        assert isinstance(session.next_event(), Command)
        session.send(ok("open"))
    for data in octets:
        session.receive_data(data)
    return session


def expect(session: ImapServerSession, event: Event | None) -> None:
    assert session.next_event() == event


# -- One command at a time


def test_commands_are_taken_one_at_a_time() -> None:
    session = fresh(b"a NOOP\r\nb noop\r\nc N", b"OO", b"P\r", b"\n")
    expect(session, Command(b"a", Noop()))
    expect(session, None)
    assert session.send(ok("done")) == b"a OK done\r\n"
    expect(session, Command(b"b", Noop()))
    assert session.send(no("not now", TRYCREATE)) == b"b NO [TRYCREATE] not now\r\n"
    expect(session, Command(b"c", Noop()))
    assert session.send(bad("odd")) == b"c BAD odd\r\n"
    expect(session, None)
    assert session.buffered == 0


@pytest.mark.parametrize(
    ("line", "tag", "reason"),
    [
        (b"", None, "expected a tag"),
        (b" ", None, "expected a tag"),
        (b" a NOOP", None, "expected a tag"),
        (b"+ NOOP", None, "expected a tag"),
        (b"a+ NOOP", None, "expected a tag"),
        (b"* NOOP", None, "expected a tag"),
        (b"\x00 NOOP", None, "expected a tag"),
        (b"t" * (MAX_TAG + 1) + b" NOOP", None, "expected a tag"),
        (b"a", b"a", "expected a command"),
        (b"a ", b"a", "expected a command"),
        (b"a  NOOP", b"a", "expected a command"),
        (b"a N00P", b"a", "expected a command"),
        (b"a NOOP\t", b"a", "expected a command"),
        (b"a NOPE", b"a", "unknown command"),
        (b"a UID", b"a", "expected a command after UID"),
        (b"a UID NOOP", b"a", "unknown command"),
        (b"a NOOP\n", b"a", "expected a command"),
        (b"a NOOP\nb NOOP", b"a", "expected a command"),
        (b"a NOOP x", b"a", "expected the end of the command (read up to octet 6)"),
        (b"GET / HTTP/1.1", b"GET", "expected a command"),
        (b"a SELECT inbox", b"a", "SELECT is not allowed when not authenticated"),
        (b"a UID FETCH 1 FLAGS", b"a", "UID FETCH is not allowed when not authenticated"),
    ],
)
def test_bad_commands(line: bytes, tag: bytes | None, reason: str) -> None:
    session = fresh(line + b"\r\nz NOOP\r\n")
    expect(session, BadCommand(tag, reason))
    expect(session, None)
    assert session.send(bad(reason)) == (tag or b"*") + b" BAD " + reason.encode() + b"\r\n"
    expect(session, Command(b"z", Noop()))


def test_the_longest_tag() -> None:
    expect(fresh(b"t" * MAX_TAG + b" NOOP\r\n"), Command(b"t" * MAX_TAG, Noop()))


# -- States


def test_the_state_table() -> None:
    """RFC 9051 §3: each command comes in the states of its section, and nowhere else."""
    sessions = {State.NOT_AUTHENTICATED: fresh(), State.AUTHENTICATED: logged_in()}
    sessions[State.SELECTED] = logged_in(selected=True)
    for verb, spec in COMMANDS.items():
        for state, session in sessions.items():
            assert session.state is state
            session.receive_data(b"x " + verb + b" ((\r\n")
            if session.next_event() != BadCommand(b"x", f"{verb.decode()} is not allowed when {state.value}"):
                assert state in spec.states
            else:
                assert state not in spec.states
            session.send(bad("no"))
            session.receive_data(b"x NOOP\r\n")  # so that the bad ones are not in a row
            session.next_event()
            session.send(ok("done"))
            if state is State.NOT_AUTHENTICATED:
                sessions[state] = fresh()


def test_login_opens_the_second_table() -> None:
    session = fresh(b"a LOGIN u p\r\nb LOGIN u p\r\nc LOGIN u p\r\n")
    expect(session, Command(b"a", Login("u", "p")))
    session.send(no("wrong"))
    assert session.state is State.NOT_AUTHENTICATED
    assert session.limits is BEFORE_LOGIN
    session.next_event()
    session.send(ok("right"))
    assert session.state is State.AUTHENTICATED
    assert session.limits is AFTER_LOGIN
    expect(session, BadCommand(b"c", "LOGIN is not allowed when authenticated"))


def test_a_failed_select_closes_the_mailbox() -> None:
    """RFC 9051 §6.3.2."""
    session = logged_in(b"a SELECT other\r\nb CLOSE\r\n", selected=True)
    assert session.state is State.SELECTED
    expect(session, Command(b"a", Select("other")))
    session.send(no("no such mailbox"))
    assert session.state is State.AUTHENTICATED
    expect(session, BadCommand(b"b", "CLOSE is not allowed when authenticated"))


@pytest.mark.parametrize("verb", [b"CLOSE", b"UNSELECT"])
def test_close(verb: bytes) -> None:
    session = logged_in(b"a " + verb + b"\r\n", selected=True)
    session.next_event()
    session.send(ok("closed"))
    assert session.state is State.AUTHENTICATED


def test_nothing_is_read_after_logout() -> None:
    session = fresh(b"a LOGOUT\r\nb NOOP\r\n")
    session.next_event()
    assert session.send(ok("bye")) == b"a OK bye\r\n"
    assert session.state is State.LOGOUT
    session.receive_data(b"c NOOP\r\n")
    expect(session, None)
    assert session.buffered == 0


def test_utf8_names() -> None:
    """RFC 9051 Appendix A: names are modified UTF-7 until IMAP4rev2 is enabled."""
    session = logged_in('a SELECT "ü"\r\nb SELECT "ü"\r\n'.encode())
    expect(session, BadCommand(b"a", "mailbox name is not modified UTF-7 (read up to octet 13)"))
    session.send(bad("no"))
    session.use_utf8_names()
    expect(session, Command(b"b", Select("ü")))


# -- TLS


def test_starttls_forgets_what_was_sent_in_clear() -> None:
    """RFC 9051 §11.1: pipelining over STARTTLS is the injection of CVE-2011-0411."""
    session = fresh(b"a STARTTLS\r\nb LOGIN u p\r\n")
    expect(session, Command(b"a", StartTls()))
    assert session.send(ok("begin")) == b"a OK begin\r\n"
    session.receive_data(b"c LOGIN u p\r\n")
    expect(session, None)
    assert session.buffered == 0
    session.tls_started()
    expect(session, None)
    session.receive_data(b"d STARTTLS\r\ne NOOP\r\n")
    expect(session, BadCommand(b"d", "TLS is active already"))
    session.send(bad("no"))
    expect(session, Command(b"e", Noop()))


def test_a_refused_starttls_changes_nothing() -> None:
    session = fresh(b"a STARTTLS\r\nb NOOP\r\n")
    session.next_event()
    session.send(no("no certificate"))
    expect(session, Command(b"b", Noop()))
    with pytest.raises(UsageError):
        session.tls_started()


def test_implicit_tls() -> None:
    session = ImapServerSession(tls=True)
    session.receive_data(b"a STARTTLS\r\n")
    expect(session, BadCommand(b"a", "TLS is active already"))


# -- Literals that are arguments


def test_a_literal_is_announced_first() -> None:
    session = fresh(b"a LOGIN {1}\r\n")
    expect(session, LiteralRequested(b"a", 1))
    expect(session, None)
    assert session.accept_literal() == READY
    expect(session, None)
    session.receive_data(b"u {3}\r\n")
    expect(session, LiteralRequested(b"a", 3))
    assert session.accept_literal() == READY
    session.receive_data(b"\r\n}\r\nb NOOP\r\n")
    expect(session, Command(b"a", Login("u", "\r\n}")))
    session.send(ok("done"))
    expect(session, Command(b"b", Noop()))


def test_a_refused_literal_ends_the_command() -> None:
    session = fresh(b"a LOGIN {1}\r\nb NOOP\r\n")
    session.next_event()
    assert session.send(no("not so")) == b"a NO not so\r\n"
    expect(session, Command(b"b", Noop()))


def test_literals_that_come_unasked() -> None:
    """RFC 7888 §4."""
    session = fresh(b"a LOGIN {1+}\r\nu {3+}\r\np\r\n\r\nb NOOP\r\n")
    expect(session, Command(b"a", Login("u", "p\r\n")))
    session.send(ok("done"))
    expect(session, Command(b"b", Noop()))


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (b"FOO", "unknown command"),
        (b"LOGIN u ~", "a literal8 is not allowed here"),
        (b"SELECT", "SELECT is not allowed when not authenticated"),
    ],
)
def test_a_bad_command_with_a_literal(command: bytes, reason: str) -> None:
    """One that waits is not asked for; one that comes unasked is forgotten with the rest of its command."""
    session = fresh(b"a " + command + (b"" if command.endswith(b"~") else b" ") + b"{9}\r\nb NOOP\r\n")
    expect(session, BadCommand(b"a", reason))
    session.send(bad(reason))
    expect(session, Command(b"b", Noop()))
    rest = b"{9+}\r\nz LOGOUT\r x {0+}\r\n\r\nb NOOP\r\n"
    session = fresh(b"a " + command + (b"" if command.endswith(b"~") else b" ") + rest)
    expect(session, BadCommand(b"a", reason))
    session.send(bad(reason))
    expect(session, Command(b"b", Noop()))
    assert session.buffered == 0


def test_a_waiting_literal_ends_what_is_forgotten() -> None:
    """The client has read BAD before it would send that literal."""
    session = fresh(b"a FOO {1+}\r\nx {4}\r\nb NOOP\r\n")
    session.next_event()
    session.send(bad("no"))
    expect(session, Command(b"b", Noop()))


def test_a_syntax_error_behind_a_literal() -> None:
    session = fresh(b"a LOGIN {1+}\r\nu\r\nb NOOP\r\n")
    expect(session, BadCommand(b"a", "expected a space and a password (read up to octet 15)"))
    session.send(bad("no"))
    expect(session, Command(b"b", Noop()))


def test_what_only_looks_like_a_literal() -> None:
    session = fresh(b'a LOGIN u x}\r\nb LOGIN u {x}\r\nc LOGIN u "{5}"\r\nd LOGIN {99999999999999999999} x\r\n')
    expect(session, Command(b"a", Login("u", "x}")))
    session.send(no("no"))
    expect(session, BadCommand(b"b", "expected a password: a literal, as {5}, and its octets (read up to octet 10)"))
    session.send(bad("no"))
    expect(session, Command(b"c", Login("u", "{5}")))
    session.send(no("no"))
    expect(session, BadCommand(b"d", "expected a user name: a literal, as {5}, and its octets (read up to octet 8)"))


# -- Messages


def test_append_streams() -> None:
    session = logged_in(b"a APPEND work (\\Seen) {10}\r\n")
    expect(session, AppendStart(b"a", Append("work", FlagList(Flags.SEEN, ()), None, 10, False, True)))
    expect(session, None)
    assert session.accept_literal() == READY
    expect(session, None)
    session.receive_data(b"12")
    expect(session, AppendChunk(b"12"))
    expect(session, None)
    session.receive_data(b"34567890\r")
    expect(session, AppendChunk(b"34567890"))
    expect(session, None)
    session.receive_data(b"\nb NOOP\r\n")
    expect(session, AppendEnd(b"a"))
    expect(session, None)
    assert session.send(ok("stored")) == b"a OK stored\r\n"
    expect(session, Command(b"b", Noop()))


def test_append_to_a_name_in_a_literal() -> None:
    session = logged_in(b"a APPEND {4}\r\n")
    expect(session, LiteralRequested(b"a", 4))
    session.accept_literal()
    session.receive_data(b"work {0}\r\n")
    expect(session, AppendStart(b"a", Append("work", NO_FLAGS, None, 0, False, True)))
    assert session.accept_literal() == READY
    session.receive_data(b"\r\n")
    expect(session, AppendEnd(b"a"))


def test_append_unasked() -> None:
    session = logged_in(b"a APPEND {4+}\r\nwork ~{3+}\r\nx\x00y\r\n")
    expect(session, AppendStart(b"a", Append("work", NO_FLAGS, None, 3, True, False)))
    assert session.accept_literal() == b""
    expect(session, AppendChunk(b"x\x00y"))
    expect(session, AppendEnd(b"a"))


def test_a_message_larger_than_any_buffer() -> None:
    size = AFTER_LOGIN.buffered * 3
    session = logged_in(b"a APPEND work {%d}\r\n" % size)
    session.next_event()
    session.accept_literal()
    got = 0
    for _ in range(0, size, 65536):
        session.receive_data(b"x" * 65536)
        event = session.next_event()
        assert isinstance(event, AppendChunk)
        got += len(event.data)
        assert session.buffered == 0
    assert got == size
    session.receive_data(b"\r\n")
    expect(session, AppendEnd(b"a"))


def test_a_refused_message_that_waits() -> None:
    session = logged_in(b"a APPEND work {10}\r\nb NOOP\r\n")
    session.next_event()
    assert session.send(no("no such mailbox", TRYCREATE)) == b"a NO [TRYCREATE] no such mailbox\r\n"
    expect(session, Command(b"b", Noop()))


@pytest.mark.parametrize("size", [0, 10])
def test_a_refused_message_that_comes_all_the_same(size: int) -> None:
    session = logged_in(b"a APPEND work {%d+}\r\n" % size)
    session.next_event()
    assert session.send(no("no such mailbox")) == b"a NO no such mailbox\r\n"
    for octet in b"." * size + b"\r\nb NOOP\r\n":
        assert session.buffered < 20
        session.receive_data(bytes([octet]))
        event = session.next_event()
    assert event == Command(b"b", Noop())


def test_refused_half_way() -> None:
    """A full disk while the message comes."""
    session = logged_in(b"a APPEND work {10}\r\n")
    session.next_event()
    session.accept_literal()
    session.receive_data(b"12345")
    expect(session, AppendChunk(b"12345"))
    assert session.send(no("full")) == b"a NO full\r\n"
    session.receive_data(b"67890\r\nb NOOP\r\n")
    expect(session, Command(b"b", Noop()))


def test_refused_before_the_end_of_the_line() -> None:
    session = logged_in(b"a APPEND work {2+}\r\nxy")
    session.next_event()
    session.accept_literal()
    expect(session, AppendChunk(b"xy"))
    expect(session, None)
    session.send(no("full"))
    session.receive_data(b"\r\nb NOOP\r\n")
    expect(session, Command(b"b", Noop()))


@pytest.mark.parametrize("rest", [b"x\r\n", b" \r\n", b" x {5}\r\n", b" x {5+}\r\n12345\r\n"])
def test_something_behind_the_message(rest: bytes) -> None:
    session = logged_in(b"a APPEND work {2+}\r\nxy" + rest + b"b NOOP\r\n")
    session.next_event()
    session.accept_literal()
    expect(session, AppendChunk(b"xy"))
    event = session.next_event()
    assert isinstance(event, BadCommand)
    assert event.tag == b"a"
    session.send(bad("no"))
    expect(session, Command(b"b", Noop()))


@pytest.mark.parametrize("plus", [b"", b"+"])
def test_one_more_message(plus: bytes) -> None:
    """RFC 3502: each is announced before it comes, and refused with all of the command."""
    session = logged_in(b"a APPEND work {2+}\r\nxy (\\Seen) {3%b}\r\n" % plus)
    session.next_event()
    session.accept_literal()
    expect(session, AppendChunk(b"xy"))
    event = session.next_event()
    assert isinstance(event, AppendStart)
    assert event.append == Append("work", FlagList(Flags.SEEN, ()), None, 3, False, not plus)
    if plus:
        session.send(no("full"))
        session.receive_data(b"abc\r\nb NOOP\r\n")
    else:
        assert session.accept_literal().startswith(b"+ ")
        session.receive_data(b"abc\r\nb NOOP\r\n")
        expect(session, AppendChunk(b"abc"))
        expect(session, AppendEnd(b"a"))
        session.send(ok("done"))
    expect(session, Command(b"b", Noop()))


def test_a_replacement_that_is_put_together() -> None:
    """RFC 8508 §4.2: as an APPEND is, but for a second message."""
    line = b"a UID REPLACE 7 work CATENATE (URL /b TEXT {2+}\r\nxy URL /c TEXT {3}\r\n"
    session = logged_in(line, selected=True)
    seven = SequenceSet(((7, 7),))
    start = Append("work", NO_FLAGS, None, 2, False, False, seven, uid=True, urls=(b"/b",), catenates=True)
    expect(session, AppendStart(b"a", start))
    assert session.accept_literal() == b""
    expect(session, AppendChunk(b"xy"))
    expect(session, AppendText(b"a", CatenateText((b"/c",), Announcement(3, False, True, False))))
    assert session.accept_literal() == READY
    session.receive_data(b"abc URL /d)\r\n")
    expect(session, AppendChunk(b"abc"))
    expect(session, AppendEnd(b"a", AppendRest((b"/d",))))
    session.send(ok("done"))
    session.receive_data(b"b REPLACE 1 work CATENATE (URL {2}\r\n")
    expect(session, LiteralRequested(b"b", 2))
    session.accept_literal()
    session.receive_data(b"/b)\r\n")
    composed = (Composed(NO_FLAGS, None, (b"/b",)),)
    expect(session, Command(b"b", Catenate("work", composed, SequenceSet(((1, 1),)))))
    session.send(ok("done"))
    session.receive_data(b"c REPLACE 1 work CATENATE (URL /b) {3+}\r\nabc\r\nd NOOP\r\n")
    expect(session, BadCommand(b"c", "expected the end of the command"))
    session.send(bad("no"))
    expect(session, Command(b"d", Noop()))


def test_a_malformed_append_is_not_asked_for() -> None:
    session = logged_in(b"a APPEND work (\\Foo) {9}\r\nb APPEND work (\\Foo) {9+}\r\nz LOGOUT\r\r\nc NOOP\r\n")
    flags = "expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft, or a keyword without a backslash"
    expect(session, BadCommand(b"a", flags))
    session.send(bad("no"))
    expect(session, BadCommand(b"b", flags))
    session.send(bad("no"))
    expect(session, Command(b"c", Noop()))


def test_literal_minus() -> None:
    """RFC 7888 §5: more than 4096 octets have to be asked for."""
    session = logged_in(b"a APPEND work {4096+}\r\n", literal_plus=False)
    assert isinstance(session.next_event(), AppendStart)
    session = logged_in(b"a APPEND work {4097+}\r\n" + b"x" * 4097 + b"\r\nb NOOP\r\n", literal_plus=False)
    expect(session, BadCommand(b"a", "literal is too large to be sent unasked"))
    session.send(bad("no"))
    expect(session, Command(b"b", Noop()))
    session = logged_in(b"a APPEND work {4097}\r\n", literal_plus=False)
    assert isinstance(session.next_event(), AppendStart)


# -- IDLE


def test_idle() -> None:
    session = logged_in(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
    expect(session, Command(b"a", Idle()))
    assert session.continue_() == b"+ idling\r\n"
    expect(session, IdleDone(b"a"))
    expect(session, None)
    session.send(ok("done"))
    expect(session, Command(b"b", Noop()))


def test_idle_ends_with_nothing_but_done() -> None:
    session = logged_in(b"a IDLE\r\nb NOOP\r\nc NOOP\r\n")
    session.next_event()
    session.continue_()
    expect(session, BadCommand(b"a", "expected DONE"))
    assert session.send(bad("expected DONE")) == b"a BAD expected DONE\r\n"
    expect(session, Command(b"c", Noop()))


# -- AUTHENTICATE


def test_authenticate() -> None:
    session = fresh(b"a AUTHENTICATE SCRAM-SHA-256\r\n")
    expect(session, Command(b"a", Authenticate("SCRAM-SHA-256")))
    assert session.challenge(b"") == b"+ \r\n"
    expect(session, None)
    session.receive_data(b"bixhPWI=\r\n")
    expect(session, AuthenticateResponse(b"n,a=b"))
    assert session.challenge(b"r=x") == b"+ cj14\r\n"
    session.receive_data(b"\r\n")
    expect(session, AuthenticateResponse(b""))
    assert session.send(ok("welcome")) == b"a OK welcome\r\n"
    assert session.state is State.AUTHENTICATED


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"*", AuthenticateCancelled(b"a")),
        (b"====", BadCommand(b"a", "expected base64, with its padding")),
        (b"Zm9v Zm9v", BadCommand(b"a", "expected base64, with its padding")),
        (b"Zm9", BadCommand(b"a", "expected base64, with its padding")),
    ],
)
def test_authenticate_given_up(line: bytes, event: Event) -> None:
    session = fresh(b"a AUTHENTICATE PLAIN\r\n" + line + b"\r\nb NOOP\r\n")
    session.next_event()
    session.challenge(b"")
    expect(session, event)
    assert session.send(bad("so be it")) == b"a BAD so be it\r\n"
    assert session.state is State.NOT_AUTHENTICATED
    expect(session, Command(b"b", Noop()))


# -- Bounds


@pytest.mark.parametrize("before", [True, False])
def test_the_longest_line(before: bool) -> None:
    limit = (BEFORE_LOGIN if before else AFTER_LOGIN).line
    make = fresh if before else logged_in
    session = make(b"a NOOP" + b"x" * (limit - 6) + b"\r\n")
    assert isinstance(session.next_event(), BadCommand)
    session = make(b"a NOOP" + b"x" * (limit - 5) + b"\r\n")
    with pytest.raises(PeerError, match="line too long"):
        session.next_event()
    session = make(b"x" * limit + b"\r")
    expect(session, None)
    session.receive_data(b"x")
    with pytest.raises(PeerError, match="line too long"):
        session.next_event()


@pytest.mark.parametrize("start", [b"a IDLE\r\n", b"a APPEND x {0+}\r\n", b"a FOO {0+}\r\n"])
def test_no_line_is_endless(start: bytes) -> None:
    session = logged_in(start)
    match session.next_event():
        case Command():
            session.continue_()
        case AppendStart():
            session.accept_literal()
        case _:
            session.send(bad("no"))
    session.receive_data(b"x" * (AFTER_LOGIN.line + 2))
    with pytest.raises(PeerError, match="line too long"):
        session.next_event()


def test_an_argument_too_large() -> None:
    limit = BEFORE_LOGIN.literal
    session = fresh(b"a LOGIN u {%d}\r\n" % limit)
    expect(session, LiteralRequested(b"a", limit))
    session = fresh(b"a LOGIN u {%d}\r\n" % (limit + 1))
    expect(session, BadCommand(b"a", "literal is too large"))
    session = fresh(b"a LOGIN u {%d+}\r\n" % (limit + 1) + b"x" * (limit + 1) + b"\r\nb NOOP\r\n")
    expect(session, BadCommand(b"a", "literal is too large"))
    session.send(bad("no"))
    expect(session, Command(b"b", Noop()))


def test_a_refused_literal_too_large_to_read() -> None:
    session = fresh(b"a LOGIN u {%d+}\r\n" % (BEFORE_LOGIN.discard + 1))
    expect(session, BadCommand(b"a", "literal is too large"))
    session.send(bad("no"))
    with pytest.raises(PeerError, match="literal too large"):
        session.next_event()
    session = fresh(b"a FOO {0+}\r\n{%d+}\r\n" % (BEFORE_LOGIN.discard + 1))
    session.next_event()
    session.send(bad("no"))
    with pytest.raises(PeerError, match="literal too large"):
        session.next_event()


def test_a_refused_message_too_large_to_read() -> None:
    session = logged_in(b"a APPEND work {%d+}\r\n" % (AFTER_LOGIN.discard + 1))
    assert isinstance(session.next_event(), AppendStart)
    assert session.send(no("too large")) == b"a NO too large\r\n"
    with pytest.raises(PeerError, match="literal too large"):
        session.next_event()


def test_a_command_of_too_many_literals() -> None:
    session = fresh(b"a LOGIN u")
    pieces = b" {4096+}\r\n" + b"x" * 4096
    for _ in range(3):
        session.receive_data(pieces)
        expect(session, None)
    session.receive_data(pieces)
    expect(session, BadCommand(b"a", "command is too large"))


def test_too_many_bad_commands() -> None:
    session = fresh()
    for _ in range(BEFORE_LOGIN.errors):
        session.receive_data(b"x\r\nx NOOP\r\n")
        assert isinstance(session.next_event(), BadCommand)
        session.send(bad("no"))
        expect(session, Command(b"x", Noop()))  # good ones in between do not help a stranger
        session.send(ok("done"))
    session.receive_data(b"x\r\n")
    with pytest.raises(PeerError, match="too many bad commands"):
        session.next_event()


def test_bad_commands_of_a_client_count_in_a_row() -> None:
    session = logged_in()
    for _ in range(AFTER_LOGIN.errors * 2):
        session.receive_data(b"x\r\nx NOOP\r\n")
        assert isinstance(session.next_event(), BadCommand)
        session.send(bad("no"))
        session.next_event()
        session.send(ok("done"))
    for _ in range(AFTER_LOGIN.errors):
        session.receive_data(b"x\r\n")
        assert isinstance(session.next_event(), BadCommand)
        session.send(bad("no"))
    session.receive_data(b"x\r\n")
    with pytest.raises(PeerError, match="too many bad commands"):
        session.next_event()


def test_what_is_sent_ahead_is_bounded() -> None:
    session = fresh(b"a LOGIN u p\r\n")
    session.next_event()
    session.receive_data(b"x NOOP\r\n" * 3000)
    assert not session.congested
    session.receive_data(b"x NOOP\r\n" * 3000)
    assert session.congested
    with pytest.raises(PeerError, match="too much sent ahead"):
        session.receive_data(b"x" * BEFORE_LOGIN.buffered)
    session.send(ok("done"))
    assert not session.congested


# -- Our own mistakes


def test_misuse() -> None:
    session = fresh()
    with pytest.raises(UsageError):
        session.send(ok("nothing was asked"))
    with pytest.raises(UsageError):
        session.accept_literal()
    session.receive_data(b"a NOOP\r\n")
    session.next_event()
    with pytest.raises(UsageError):
        session.continue_()
    with pytest.raises(UsageError):
        session.challenge(b"")
    session.send(ok("done"))
    with pytest.raises(UsageError):
        session.send(ok("twice"))


def test_a_bad_idle_cannot_be_continued() -> None:
    session = logged_in(b"a IDLE x\r\nb AUTHENTICATE\r\n")
    assert isinstance(session.next_event(), BadCommand)
    with pytest.raises(UsageError):
        session.continue_()


def test_a_fetch_through_the_machine() -> None:
    session = logged_in(b"a uid FETCH 1:* (FLAGS)\r\n", selected=True)
    event = session.next_event()
    assert isinstance(event, Command)
    assert isinstance(event.body, Fetch)
    assert event.body.uid
