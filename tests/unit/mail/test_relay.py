"""The relay against next hosts of every kind, over real sockets."""

import asyncio
import errno
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import trustme
from tests.dns_server import FakeDns, Fault
from tests.next_host import CHUNKING, CLOSE, EIGHT, ENDLESS, EVERYTHING, HANG, PIPELINING, RESET, NextHost

from pennypost.clients.smtp.pool import PoolSettings
from pennypost.clients.smtp.settings import SmtpTimeouts
from pennypost.mail import connecting
from pennypost.mail.relay import Relayer
from pennypost.mail.relay_settings import LoginSettings, RelaySettings
from pennypost.mail.security_judge import Trusting
from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Notify, Recipient
from pennypost.model.relaying import HopKind, NextHop, OutgoingMessage, RelayState, TlsMode
from pennypost.model.secret import Secret
from pennypost.net.client_tls import ClientTls
from pennypost.net.outbound import connect
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings, TlsSettings

MESSAGE = b"From: a@b\r\nSubject: x\r\n\r\n.dot\r\nend\r\n"
SENT, DEFERRED, FAILED = RelayState.SENT, RelayState.DEFERRED, RelayState.FAILED
QUICK = SmtpTimeouts(*(timedelta(seconds=0.4),) * 8)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def dns() -> Iterator[FakeDns]:
    with FakeDns() as server:
        server.records["example.org", "MX"] = ["10 mx.example.org."]
        server.records["mx.example.org", "A"] = ["127.0.0.1"]
        yield server


@asynccontextmanager
async def relaying(dns: FakeDns, port: int, ca: Any = None, **settings: Any) -> AsyncIterator[Relayer]:
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=2)), (dns.server,))
    given = {"timeouts": QUICK, "refuse_networks": (), "port": port, **settings}
    relayer = Relayer(RelaySettings(**given), "me.example", resolver, ClientTls(TlsSettings(ca_file=ca)), Trusting())
    yield relayer
    await relayer.close()
    await resolver.close()


def recipients(*names: str, domain: str = "example.org") -> tuple[Recipient, ...]:
    return tuple(Recipient(Address(name, domain)) for name in names)


def outgoing(*names: str, octets: bytes = MESSAGE, **envelope: Any) -> OutgoingMessage:
    async def read() -> bytes:
        return octets

    given = {"recipients": recipients(*(names or ("alice",))), **envelope}
    return OutgoingMessage("1", Envelope(Address("me", "me.example"), **given), len(octets), read)


HOP = NextHop(HopKind.MX, "example.org")


def smarthost(port: int, tls: TlsMode = TlsMode.OPPORTUNISTIC, login: str = "", host: str = "127.0.0.1") -> NextHop:
    return NextHop(HopKind.SMARTHOST, "", host, port, tls, login)


async def states(relayer: Relayer, message: OutgoingMessage, hop: NextHop = HOP) -> list[tuple[RelayState, str]]:
    outcome = await relayer.relay(hop, message)
    assert [result.recipient for result in outcome.results] == list(message.envelope.recipients)
    assert all(result.reply.isprintable() and result.reply for result in outcome.results)
    return [(result.state, result.status) for result in outcome.results]


async def said(host: NextHost, start: str) -> None:
    """Wait until the host was told something."""
    async with asyncio.timeout(5):
        while not any(line.startswith(start) for line in host.lines):  # noqa: ASYNC110 - it is the other side that acts
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "announced", [EVERYTHING, (PIPELINING,), (), (CHUNKING,), (PIPELINING, "X-ODD"), ("SIZE",)], ids=" ".join
)
async def test_a_message_arrives_as_it_is(dns: FakeDns, announced: tuple[str, ...]) -> None:
    async with NextHost(announced) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing("alice", "bob")) == [(SENT, "2.0.0")] * 2
        (kept,) = host.kept
        assert (kept.sender, kept.recipients) == ("me@me.example", ["alice@example.org", "bob@example.org"])
        assert kept.octets == MESSAGE
        assert ("BDAT" in " ".join(host.lines)) is (CHUNKING in announced)


async def test_a_large_message(dns: FakeDns) -> None:
    octets = b"Subject: large\r\n\r\n" + b".line of text\r\n" * 20_000
    for announced in (EVERYTHING, (PIPELINING,)):
        async with NextHost(announced) as host, relaying(dns, host.port, timeouts=SmtpTimeouts()) as relayer:
            assert await states(relayer, outgoing(octets=octets)) == [(SENT, "2.0.0")]
            assert host.kept[0].octets == octets


async def test_each_recipient_has_its_own_result(dns: FakeDns) -> None:
    script: Any = {
        "RCPT TO:<bob@example.org>": "550 5.1.1 nobody",
        "RCPT TO:<carol@example.org>": "450 4.2.1 later",
    }
    async with NextHost(script=script) as host, relaying(dns, host.port) as relayer:
        outcome = await relayer.relay(HOP, outgoing("alice", "bob", "carol"))
        assert [(r.state, r.status, r.reply, r.transaction_failed) for r in outcome.results] == [
            (SENT, "2.0.0", "250 2.0.0 kept", False),
            (FAILED, "5.1.1", "550 5.1.1 nobody", False),
            (DEFERRED, "4.2.1", "450 4.2.1 later", False),
        ]
        assert {r.remote for r in outcome.results} == {"mx.example.org [127.0.0.1]"}
        assert outcome.results[0].dsn_passed_on
        assert host.kept[0].recipients == ["alice@example.org"]


@pytest.mark.parametrize("announced", [EVERYTHING, (PIPELINING,), ()])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"MAIL": "550 5.7.1 not you"}, (FAILED, "5.7.1")),
        ({"MAIL": "451 4.3.0 later"}, (DEFERRED, "4.3.0")),
        ({"RCPT": "550 nobody"}, (FAILED, "5.0.0")),
        ({"RCPT": "552 full"}, (DEFERRED, "4.0.0")),
        ({"DATA": "451 4.3.0 later", "BDAT": "451 4.3.0 later"}, (DEFERRED, "4.3.0")),
        ({"TEXT": "554 5.6.0 spam", "BDAT": "554 5.6.0 spam"}, (FAILED, "5.6.0")),
        ({"TEXT": "421 4.3.2 bye", "BDAT": "421 4.3.2 bye"}, (DEFERRED, "4.3.2")),
        ({"CONNECT": "554 no service"}, (FAILED, "5.0.0")),
        ({"CONNECT": "421 4.3.2 busy"}, (DEFERRED, "4.3.2")),
        ({"EHLO": "550 who", "HELO": "550 who"}, (FAILED, "5.0.0")),
        ({"MAIL": "421 4.7.0 bye"}, (DEFERRED, "4.7.0")),
        ({"RCPT": "421 4.7.0 bye"}, (DEFERRED, "4.7.0")),
    ],
)
async def test_replies(
    dns: FakeDns, announced: tuple[str, ...], script: dict[str, Any], expected: tuple[RelayState, str]
) -> None:
    async with NextHost(announced, dict(script)) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [expected]
        assert not host.kept


@pytest.mark.parametrize(
    ("announced", "verb"),
    [(EVERYTHING, verb) for verb in ("CONNECT", "EHLO", "MAIL", "RCPT", "BDAT")]
    + [
        (announced, verb)
        for announced in ((PIPELINING,), ())
        for verb in ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "TEXT")
    ],
)
@pytest.mark.parametrize("fault", [HANG, RESET, CLOSE, ENDLESS, "\x00\xff\x80binary", "250 bare\nline"])
async def test_faults_defer(dns: FakeDns, announced: tuple[str, ...], verb: str, fault: str) -> None:
    """A next host that hangs, resets, closes, sends endless or binary replies: deferred, quickly, and no leak."""
    quick = SmtpTimeouts(*(timedelta(seconds=0.1),) * 8)
    async with NextHost(announced, {verb: fault}) as host, relaying(dns, host.port, timeouts=quick) as relayer:
        async with asyncio.timeout(5):
            ((state, status),) = await states(relayer, outgoing())
        assert state is DEFERRED
        assert status.startswith("4.")
        # Where the text goes along with the envelope it may have been taken before the replies went wrong.
        assert not host.kept or CHUNKING in announced


async def test_helo_where_ehlo_is_not_known(dns: FakeDns) -> None:
    async with NextHost(script={"EHLO": "502 what"}) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
        assert host.lines[:3] == ["EHLO me.example", "HELO me.example", "MAIL FROM:<me@me.example>"]


async def test_bdat_that_does_not_work_is_done_without(dns: FakeDns) -> None:
    async with NextHost(script={"BDAT": "502 5.5.1 what"}) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing("alice", "bob")) == [(SENT, "2.0.0")] * 2
        assert host.kept[0].recipients == ["alice@example.org", "bob@example.org"]


# -- Hosts


async def test_the_next_mail_host_is_tried(dns: FakeDns) -> None:
    """RFC 5321 §5.1: also behind one that greets badly."""
    dns.records["example.org", "MX"] = ["5 gone.example.org.", "10 down.example.org.", "20 mx.example.org."]
    dns.records["down.example.org", "A"] = ["127.0.0.2"]
    async with (
        NextHost(host="127.0.0.2", script={"CONNECT": "554 closed"}) as down,
        NextHost(port=down.port) as host,
        relaying(dns, host.port) as relayer,
    ):
        assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
        assert (down.connections, len(host.kept)) == (1, 1)


async def test_behind_the_text_no_other_host_is_tried(dns: FakeDns) -> None:
    """Nobody knows whether the first one took it."""
    dns.records["mx.example.org", "A"] = ["127.0.0.1", "127.0.0.2"]
    for announced in (EVERYTHING, (PIPELINING,)):
        script: Any = {"BDAT": CLOSE, "TEXT": CLOSE}
        async with (
            NextHost(announced, script) as one,
            NextHost(announced, dict(script), host="127.0.0.2", port=one.port) as two,
            relaying(dns, one.port) as relayer,
        ):
            assert await states(relayer, outgoing()) == [(DEFERRED, "4.4.2")]
            assert one.connections + two.connections == 1


@pytest.mark.parametrize(
    ("records", "faults", "expected"),
    [
        ({("example.org", "MX"): ["0 ."]}, {}, (FAILED, "5.1.10")),
        ({("example.org", "MX"): ["10 me.example."]}, {}, (FAILED, "5.4.6")),
        ({("example.org", "MX"): ["10 gone.example.org."]}, {}, (FAILED, "5.4.4")),
        ({}, {"example.org": Fault.NXDOMAIN}, (FAILED, "5.1.2")),
        ({}, {"example.org": Fault.SERVFAIL}, (DEFERRED, "4.4.3")),
        ({}, {"example.org": Fault.SILENCE}, (DEFERRED, "4.4.3")),
        ({}, {"mx.example.org": Fault.SILENCE}, (DEFERRED, "4.4.3")),
        ({}, {"mx.example.org": Fault.OTHER_NAME}, (FAILED, "5.4.4")),
        ({}, {"example.org": Fault.WRONG_ID}, (DEFERRED, "4.4.3")),
        ({}, {"example.org": Fault.WRONG_QUESTION}, (DEFERRED, "4.4.3")),
        ({}, {"example.org": Fault.GARBAGE}, (DEFERRED, "4.4.3")),
        ({}, {"mx.example.org": Fault.TRUNCATED_ALWAYS}, (DEFERRED, "4.4.3")),
        ({}, {"example.org": Fault.REFUSED}, (DEFERRED, "4.4.3")),
    ],
)
async def test_domains_that_lead_nowhere(
    dns: FakeDns, records: Any, faults: Any, expected: tuple[RelayState, str]
) -> None:
    dns.records.update(records)
    dns.faults.update(faults)
    async with relaying(dns, 9) as relayer:
        assert await states(relayer, outgoing()) == [expected]


async def test_truncated_answers_lead_on(dns: FakeDns) -> None:
    dns.faults["example.org"] = dns.faults["mx.example.org"] = Fault.TRUNCATED
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]


async def test_a_domain_without_mx_and_a_literal(dns: FakeDns) -> None:
    dns.records["plain.example", "A"] = ["127.0.0.1"]
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        for domain in ("plain.example", "[127.0.0.1]"):
            hop = NextHop(HopKind.MX, domain)
            assert await states(relayer, outgoing(), hop) == [(SENT, "2.0.0")]


async def test_a_machine_without_ipv6_does_not_try_it_for_a_while(
    dns: FakeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def no_ipv6(host: str, port: int, **options: Any) -> Any:
        tried.append(host)
        if ":" in host:
            raise OSError(errno.ENETUNREACH, "x")
        return await connect(host, port, **options)

    monkeypatch.setattr(connecting, "connect", no_ipv6)
    dns.records["mx.example.org", "AAAA"] = [f"2001:db8::{n}" for n in range(1, 9)]
    dns.records["six.example", "AAAA"] = ["2001:db8::1"]
    async with NextHost() as host, relaying(dns, host.port, pool=PoolSettings(idle=timedelta())) as relayer:
        for _ in range(2):
            assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
        assert len(tried) == 3
        assert await states(relayer, outgoing(), NextHop(HopKind.MX, "six.example")) == [(DEFERRED, "4.4.1")]
        assert len(tried) == 3


async def test_a_source_address_is_used(dns: FakeDns) -> None:
    dns.records["mx.example.org", "AAAA"] = ["2001:db8::1"]
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        hop = replace(HOP, source="127.0.0.3")
        assert await states(relayer, outgoing(), hop) == [(SENT, "2.0.0")]
        assert host.peers == {"127.0.0.3"}


async def test_nobody_listens(dns: FakeDns) -> None:
    async with NextHost() as host:
        port = host.port
    async with relaying(dns, port) as relayer:
        assert await states(relayer, outgoing()) == [(DEFERRED, "4.4.1")]


async def test_mail_for_others_never_goes_to_this_machine(dns: FakeDns) -> None:
    dns.records["mapped.example", "AAAA"] = ["::ffff:127.0.0.1"]
    async with NextHost() as host:
        normal = RelaySettings().refuse_networks
        async with relaying(dns, host.port, refuse_networks=normal) as relayer:
            assert await states(relayer, outgoing()) == [(FAILED, "5.4.4")]
            assert await states(relayer, outgoing(), NextHop(HopKind.MX, "[127.0.0.1]")) == [(FAILED, "5.4.4")]
            assert await states(relayer, outgoing(), NextHop(HopKind.MX, "mapped.example")) == [(FAILED, "5.4.4")]
        assert host.connections == 0


async def test_a_host_that_has_our_name_is_a_loop(dns: FakeDns) -> None:
    async with NextHost(name="ME.example") as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [(FAILED, "5.4.6")]


# -- Limits, and many recipients


async def test_as_many_recipients_as_the_host_announces(dns: FakeDns) -> None:
    """RFC 9422 RCPTMAX."""
    names = [f"u{n}" for n in range(7)]
    async with NextHost((*EVERYTHING, "LIMITS RCPTMAX=3")) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing(*names)) == [(SENT, "2.0.0")] * 7
        assert [len(kept.recipients) for kept in host.kept] == [3, 3, 1]
        assert host.connections == 1


@pytest.mark.parametrize("announced", [EVERYTHING, ()])
async def test_452_for_a_recipient_means_the_next_transaction(dns: FakeDns, announced: tuple[str, ...]) -> None:
    """RFC 5321 §4.5.3.1.10."""
    script: Any = {"RCPT": ["250 ok", "250 ok", "452 4.5.3 too many", "250 ok"]}
    async with NextHost(announced, script) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing("a", "b", "c")) == [(SENT, "2.0.0")] * 3
        assert [kept.recipients for kept in host.kept] == [["a@example.org", "b@example.org"], ["c@example.org"]]


async def test_refused_batches_do_not_keep_the_others(dns: FakeDns) -> None:
    script: Any = {"RCPT": ["550 no", "550 no", "250 ok"]}
    async with NextHost(script=script) as host, relaying(dns, host.port, max_recipients=2) as relayer:
        assert [state for state, _ in await states(relayer, outgoing("a", "b", "c"))] == [FAILED, FAILED, SENT]


async def test_a_message_that_is_too_large_is_not_sent(dns: FakeDns) -> None:
    """RFC 1870 §6.1."""
    async with NextHost(("SIZE 10",)) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [(FAILED, "5.3.4")]
        assert not any(line.startswith("MAIL") for line in host.lines)


# -- Connections


async def test_a_connection_is_used_again(dns: FakeDns) -> None:
    async with NextHost() as host, relaying(dns, host.port, pool=PoolSettings(messages=3)) as relayer:
        for _ in range(4):
            assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
        assert (host.connections, len(host.kept)) == (2, 4)
        assert dns.asked.count(("example.org", "MX")) == 1


async def test_a_connection_that_died_meanwhile_costs_nothing(dns: FakeDns) -> None:
    for fault in (CLOSE, RESET, "421 4.4.2 idle"):
        async with NextHost(script={"MAIL": ["250 ok", fault, "250 ok"]}) as host, relaying(dns, host.port) as relayer:
            for _ in range(2):
                assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
            assert (host.connections, len(host.kept)) == (2, 2)


async def test_a_refused_transaction_does_not_spoil_the_next(dns: FakeDns) -> None:
    script: Any = {"RCPT": ["550 no", "250 ok"]}
    async with NextHost(script=script) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [(FAILED, "5.0.0")]
        assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
        assert "RSET" in host.lines
        assert host.connections == 1


@pytest.mark.parametrize("announced", [EVERYTHING, (PIPELINING,), ()])
async def test_a_host_that_cannot_reset_gets_a_new_connection(dns: FakeDns, announced: tuple[str, ...]) -> None:
    script: Any = {"RCPT": ["550 no", "250 ok"], "RSET": "502 5.5.1 what"}
    async with NextHost(announced, script) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [(FAILED, "5.0.0")]
        assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
        assert (host.connections, len(host.kept)) == (2, 1)


async def test_idle_connections_are_ended(dns: FakeDns) -> None:
    pool = PoolSettings(idle=timedelta(milliseconds=30))
    async with NextHost() as host, relaying(dns, host.port, pool=pool) as relayer:
        await states(relayer, outgoing())
        await said(host, "QUIT")
        assert not len(relayer._pool)


async def test_who_is_cancelled_leaves_no_connection(dns: FakeDns) -> None:
    async with NextHost(script={"MAIL": HANG}) as host, relaying(dns, host.port) as relayer:
        task = asyncio.create_task(relayer.relay(HOP, outgoing()))
        await said(host, "MAIL")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not len(relayer._pool)


# -- What the message needs

EIGHT_BIT = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n".encode()


async def test_eight_bits(dns: FakeDns) -> None:
    """RFC 6152 §3: as it is where the host takes it, else converted."""
    message = outgoing(octets=EIGHT_BIT, body=BodyType.EIGHT_BIT_MIME)
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(SENT, "2.0.0")]
        assert host.kept[0].octets == EIGHT_BIT
        assert "BODY=8BITMIME" in " ".join(host.lines)
    async with NextHost((PIPELINING,)) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(SENT, "2.0.0")]
        assert host.kept[0].octets.isascii()
        assert b"Gr=C3=BC=C3=9Fe" in host.kept[0].octets
        assert "BODY" not in " ".join(host.lines)


async def test_binary(dns: FakeDns) -> None:
    """RFC 3030 §3."""
    octets = b"MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\n\r\xff"
    message = outgoing(octets=octets, body=BodyType.BINARY_MIME)
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(SENT, "2.0.0")]
        assert host.kept[0].octets == octets
    async with NextHost((PIPELINING, EIGHT)) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(SENT, "2.0.0")]
        assert b"base64\r\n\r\nAAoN/w==" in host.kept[0].octets


async def test_utf8_addresses(dns: FakeDns) -> None:
    """RFC 6531 §3.2: only where the host takes them."""
    given = Envelope(Address("jürgen", "me.example"), recipients("alice"), smtputf8=True)
    message = replace(outgoing(), envelope=given)
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(SENT, "2.0.0")]
        assert "SMTPUTF8" in " ".join(host.lines)
    async with NextHost((PIPELINING, EIGHT)) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(FAILED, "5.6.7")]
        header = outgoing(octets="Subject: ä\r\n\r\nx\r\n".encode(), smtputf8=True)
        assert await states(relayer, header) == [(FAILED, "5.6.7")]
        # What does not need the extension goes on without it, domains in A-labels.
        plain = Envelope(Address("me", "bücher.example"), recipients("alice", "jürgen"), smtputf8=True)
        assert await states(relayer, replace(outgoing(), envelope=plain)) == [(SENT, "2.0.0"), (FAILED, "5.6.7")]
        assert host.kept[0].sender == "me@xn--bcher-kva.example"


async def test_utf8_addresses_that_an_alias_brought_in(dns: FakeDns) -> None:
    """RFC 6531 §3.1: whatever the message came with."""
    message = replace(outgoing(), envelope=Envelope(Address("me", "me.example"), recipients("alice", "j\u00fcrgen")))
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(SENT, "2.0.0"), (SENT, "2.0.0")]
        assert "SMTPUTF8" in " ".join(host.lines)
    async with NextHost((PIPELINING, EIGHT)) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, message) == [(SENT, "2.0.0"), (FAILED, "5.6.7")]
        assert " ".join(host.lines).isascii()


async def test_a_host_that_takes_the_text_by_the_octet(dns: FakeDns) -> None:
    """RFC 5321 §4.5.3.2.5 gives each piece its time; all of them have one together."""

    over, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            writer.write(b"220 slow.example\r\n")
            for reply in (b"250 slow.example\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n"):
                await reader.readuntil(b"\r\n")
                writer.write(reply)
            while not over.is_set() and await reader.read(60_000):
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.02)
        writer.transport.abort()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    timeouts = replace(QUICK, text=timedelta(seconds=5), whole_text=timedelta(seconds=0.3))
    message = outgoing(octets=b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" + (b"z" * 70 + b"\r\n") * 300_000)
    async with relaying(dns, port, timeouts=timeouts) as relayer:
        begun = time.monotonic()
        assert await states(relayer, message) == [(DEFERRED, "4.4.2")]
        assert time.monotonic() - begun < 3
    over.set()
    await gone.wait()
    server.close()
    await server.wait_closed()


async def test_we_know_ourselves_by_the_name_we_greet_with(dns: FakeDns) -> None:
    """Though we call ourselves another one in EHLO: RFC 5321 §6.3."""
    async with NextHost(name="me.example") as host, relaying(dns, host.port, hello_name="out.example") as relayer:
        assert await states(relayer, outgoing()) == [(FAILED, "5.4.6")]
        assert any(line == "EHLO out.example" for line in host.lines)


async def test_a_literal_that_is_no_address(dns: FakeDns) -> None:
    async with relaying(dns, 9) as relayer:
        outcome = await relayer.relay(NextHop(HopKind.MX, "[a.b]"), outgoing())
        assert [(result.state, result.status) for result in outcome.results] == [(FAILED, "5.4.4")]


async def test_bare_line_ends_are_never_sent(dns: FakeDns) -> None:
    """RFC 5321 §2.3.8."""
    async with NextHost((PIPELINING,)) as host, relaying(dns, host.port) as relayer:
        smuggled = b"Subject: x\r\n\r\na\n.\r\nMAIL FROM:<evil@x>\r\n"
        assert await states(relayer, outgoing(octets=smuggled)) == [(SENT, "2.0.0")]
        assert b"a=0A.\r\n" in host.kept[0].octets
        assert await states(relayer, outgoing(octets=b"Subject: a\rb\r\n\r\nx\r\n")) == [(FAILED, "5.6.11")]


async def test_dsn_wishes_are_passed_on(dns: FakeDns) -> None:
    """RFC 3461 §5.2.2."""
    wishes = (Recipient(Address("alice", "example.org"), Notify.SUCCESS | Notify.FAILURE, "rfc822;al@x"),)
    message = outgoing(recipients=wishes, envelope_id="e+1")
    async with NextHost() as host, relaying(dns, host.port) as relayer:
        outcome = await relayer.relay(HOP, message)
        assert outcome.results[0].dsn_passed_on
        assert "ENVID=e+2B1" in " ".join(host.lines)
        assert "RCPT TO:<alice@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;al@x" in host.lines
    async with NextHost(()) as host, relaying(dns, host.port) as relayer:
        outcome = await relayer.relay(HOP, message)
        assert not outcome.results[0].dsn_passed_on
        assert "NOTIFY" not in " ".join(host.lines)


# -- TLS


async def test_tls_where_it_is_offered(dns: FakeDns, authority: trustme.CA) -> None:
    """RFC 3207, RFC 7435: nobody vouches for the certificate, and nobody needs to."""
    async with NextHost(tls=server_context(authority, "other.example")) as host, relaying(dns, host.port) as relayer:
        outcome = await relayer.relay(HOP, outgoing())
        assert outcome.results[0].state is SENT
        tls = outcome.results[0].tls
        assert tls is not None
        assert (tls.version, tls.authenticated_by) == ("TLSv1.3", "")
        assert host.kept[0].tls


@pytest.mark.parametrize("fault", [HANG, RESET, CLOSE, ENDLESS, "\x00\xff\x80binary"])
async def test_a_host_that_goes_wrong_at_starttls(dns: FakeDns, authority: trustme.CA, fault: str) -> None:
    """Nothing hangs, and the message goes in clear over another connection, or waits."""
    quick = SmtpTimeouts(*(timedelta(seconds=0.1),) * 8)
    context = server_context(authority, "mx.example.org")
    async with (
        NextHost(tls=context, script={"STARTTLS": fault}) as host,
        relaying(dns, host.port, timeouts=quick) as relayer,
        asyncio.timeout(5),
    ):
        ((state, _),) = await states(relayer, outgoing())
        assert state in (SENT, DEFERRED)
        assert len(host.kept) == int(state is SENT)
        assert not any(kept.tls for kept in host.kept)


@pytest.mark.parametrize("fault", ["454 4.7.0 not now", "220 but no handshake"])
async def test_in_clear_where_tls_does_not_work(dns: FakeDns, authority: trustme.CA, fault: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate
    async with NextHost(tls=context, script={"STARTTLS": fault}) as host, relaying(dns, host.port) as relayer:
        assert await states(relayer, outgoing()) == [(SENT, "2.0.0")]
        assert (host.connections, host.kept[0].tls) == (2, False)


@pytest.mark.parametrize(
    ("names", "mode", "implicit", "expected"),
    [
        (("localhost",), TlsMode.VERIFIED, False, (SENT, "2.0.0")),
        (("other.example",), TlsMode.VERIFIED, False, (DEFERRED, "4.7.5")),
        (("other.example",), TlsMode.REQUIRED, False, (SENT, "2.0.0")),
        (("localhost",), TlsMode.IMPLICIT, True, (SENT, "2.0.0")),
        (("other.example",), TlsMode.IMPLICIT, True, (DEFERRED, "4.7.5")),
        ((), TlsMode.REQUIRED, False, (DEFERRED, "4.7.10")),
        (("localhost",), TlsMode.OFF, False, (SENT, "2.0.0")),
    ],
)
async def test_smarthosts_have_the_tls_that_was_asked_for(
    dns: FakeDns,
    authority: trustme.CA,
    authority_file: Any,
    names: tuple[str, ...],
    mode: TlsMode,
    implicit: bool,
    expected: tuple[RelayState, str],
) -> None:
    context = server_context(authority, *names) if names else None
    async with NextHost(tls=context, implicit=implicit) as host, relaying(dns, 9, authority_file) as relayer:
        hop = smarthost(host.port, mode, host="localhost")
        assert await states(relayer, outgoing(), hop) == [expected]
        if expected[0] is SENT:
            assert host.kept[0].tls is (mode is not TlsMode.OFF)


async def test_logging_in(dns: FakeDns, authority: trustme.CA, authority_file: Any) -> None:
    """RFC 4954."""

    def check(line: str) -> str:
        return "235 2.7.0 in" if line == "AUTH PLAIN AG1lAHNlY3JldA==" else "535 5.7.8 no"

    context = server_context(authority, "localhost")
    logins = {
        "good": LoginSettings("me", Secret("secret")),
        "bad": LoginSettings("me", Secret("wrong")),
    }
    host = NextHost((*EVERYTHING, "AUTH PLAIN LOGIN"), tls=context, log_in=check)
    async with host, relaying(dns, 9, authority_file, logins=logins) as relayer:
        for login, expected in (("good", (SENT, "2.0.0")), ("bad", (DEFERRED, "4.7.8")), ("none", (DEFERRED, "4.7.0"))):
            hop = smarthost(host.port, TlsMode.VERIFIED, login, "localhost")
            assert await states(relayer, outgoing(), hop) == [expected]
        clear = smarthost(host.port, TlsMode.OFF, "good", "localhost")
        assert await states(relayer, outgoing(), clear) == [(DEFERRED, "4.7.8")]  # no password in clear


async def test_lmtp(dns: FakeDns) -> None:
    """RFC 2033 §4.2: an answer for each recipient."""
    script: Any = {"TEXT": ["250 2.0.0 kept", "452 4.2.2 full", "250 2.0.0 kept"], "RCPT TO:<b@example.org>": "550 no"}
    async with NextHost((PIPELINING,), script, lmtp=True) as host, relaying(dns, 9) as relayer:
        hop = NextHop(HopKind.LMTP, "example.org", "127.0.0.1", host.port)
        assert [state for state, _ in await states(relayer, outgoing("a", "b", "c", "d"), hop)] == [
            SENT,
            FAILED,
            DEFERRED,
            SENT,
        ]
        assert host.lines[0] == "LHLO me.example"


async def test_require_tls(dns: FakeDns, authority: trustme.CA, authority_file: Any) -> None:
    """RFC 8689 §4.2.1."""
    context = server_context(authority, "mx.example.org")
    message = outgoing(require_tls=True)
    async with NextHost((*EVERYTHING, "REQUIRETLS"), tls=context) as host:
        async with relaying(dns, host.port, authority_file) as relayer:
            assert await states(relayer, message) == [(FAILED, "5.7.30")]  # nobody vouches for the host's name
        dns.secure |= {"example.org"}
        async with relaying(dns, host.port, authority_file) as relayer:
            assert await states(relayer, message) == [(SENT, "2.0.0")]
            assert "REQUIRETLS" in host.lines[-1] or "REQUIRETLS" in " ".join(host.lines)
    async with NextHost(tls=context) as host, relaying(dns, host.port, authority_file) as relayer:
        assert await states(relayer, message) == [(FAILED, "5.7.30")]
