"""What a web service is sent, what its answers mean, and that nothing it does hurts."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from tests.unit.clients.peers import FAULTS, VISIT, Handler, listening, specimen

from pennypost.clients import http_hook
from pennypost.clients.http_hook import HookMoment, HttpHook, HttpHookSettings, opinion_on, signed
from pennypost.clients.screening.guard import TROUBLE
from pennypost.clients.screening.shape import NOTHING, AddField, Moment, Ruling, ScreenerFailed
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.peer import TlsInfo
from pennypost.model.secret import Secret
from pennypost.model.units import Octets

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEY = b"0123456789abcdef"
SECRET = Secret("whsec_" + base64.b64encode(KEY).decode())
ENVELOPE = Envelope(Address("carl", "example.org"), (Recipient(Address("anna", "penny.test")),))


class Service:
    """Keeps what it is sent, and answers with what `answer` gives: status and content."""

    def __init__(self, answer: Callable[[], tuple[int, bytes]] = lambda: (204, b"")) -> None:
        self.answer = answer
        self.fields: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.heard = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")[1:-2]
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            self.bodies.append(await reader.readexactly(int(fields["content-length"])))
            self.fields.append(fields)
            status, content = self.answer()
            length = b"Content-Length: %d\r\n" % len(content) if status != 204 else b""
            writer.write(b"HTTP/1.1 %d X\r\n%b\r\n%b" % (status, length, content))
            await writer.drain()
            self.heard.set()

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


@asynccontextmanager
async def hooked(handler: Handler, **settings: Any) -> AsyncIterator[HttpHook]:
    async with listening(handler) as endpoint:
        made = HttpHookSettings(name="hook", url=f"http://{endpoint}/mail?x=1", **settings)
        hook = HttpHook(made, ssl.create_default_context(), lambda: NOW)
        try:
            yield hook
        finally:
            await hook.close()


async def test_what_it_is_told() -> None:
    service = Service()
    tls = TlsInfo("TLSv1.3", "AES", 256, b"", None)
    async with hooked(service.serve, moments=tuple(HookMoment), body=True) as hook:
        assert hook.moments == {Moment.SENDER, Moment.RECIPIENT, Moment.MESSAGE, Moment.DELIVERED}
        screening = hook.begin(replace(VISIT, tls=tls))
        assert await screening.sender(Envelope(None)) == NOTHING
        assert await screening.recipient(ENVELOPE, Recipient(Address("bert", "penny.test"))) is NOTHING
        assert await screening.message(replace(specimen(), verdicts={"spf": "pass example.org"})) is NOTHING
        service.heard.clear()
        screening.delivered(ENVELOPE, 100, ["1/7"])
        await service.heard.wait()
    connect, mail, rcpt, message, delivered = service.facts
    shared = {name: mail[name] for name in ("id", "server", "connection")}
    assert connect == {"type": "connect", **shared}
    assert mail == {
        "type": "mail",
        "id": "0123456789abcdef",
        "server": "mail.penny.test",
        "connection": {
            "ip": "192.0.2.7",
            "port": 4711,
            "hello": "mx.example",
            "tls": {"version": "TLSv1.3", "cipher": "AES"},
            "user": None,
        },
        "sender": "",
        "recipients": [],
    }
    assert (rcpt["type"], rcpt["sender"], rcpt["recipient"]) == ("rcpt", "carl@example.org", "bert@penny.test")
    assert (message["verdicts"], message["size"]) == ({"spf": "pass example.org"}, specimen().size)
    assert message["headers"] == [["From", "carl@example.org"], ["To", "anna@penny.test"], ["Subject", "hello"]]
    assert base64.b64decode(message["message"]) == b"".join(specimen().pieces(100))
    assert (delivered["type"], delivered["size"], delivered["stored"]) == ("delivered", 100, ["1/7"])
    assert delivered["recipients"] == ["anna@penny.test"]
    ids = [fields["webhook-id"] for fields in service.fields]
    assert len(set(ids)) == 5
    assert not any("webhook-signature" in fields for fields in service.fields)
    assert {fields["accept-encoding"] for fields in service.fields} == {"identity"}


async def test_who_may_not_connect_is_not_asked_about_further() -> None:
    service = Service(lambda: (200, b'{"action": "refuse", "text": "Not you"}'))
    async with hooked(service.serve, moments=(HookMoment.CONNECT, HookMoment.MAIL)) as hook:
        opinion = await hook.begin(VISIT).sender(ENVELOPE)
    assert (opinion.ruling, [facts["type"] for facts in service.facts]) == (Ruling.REFUSE, ["connect"])


async def test_what_is_said_at_both_moments_counts() -> None:
    said = b'{"action": "%b", "evidence": [{"name": "%b", "weight": 1.0, "sentence": "x"}]}'
    answers = iter([(200, said % (b"junk", b"a")), (200, said % (b"accept", b"b"))])
    service = Service(lambda: next(answers))
    async with hooked(service.serve, moments=(HookMoment.CONNECT, HookMoment.MAIL)) as hook:
        opinion = await hook.begin(VISIT).sender(ENVELOPE)
    assert opinion.ruling is Ruling.JUNK
    assert [one.name for one in opinion.evidence] == ["hook-hook-a", "hook-hook-b"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_certificates_are_checked(trusted: bool) -> None:
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    ours = ssl.create_default_context()
    if trusted:
        authority.configure_trust(ours)
    async with listening(Service().serve, context=theirs) as endpoint:
        hook = HttpHook(HttpHookSettings(name="hook", url=f"https://{endpoint}/"), ours, lambda: NOW)
        try:
            if trusted:
                assert await hook.begin(VISIT).message(specimen()) is NOTHING
            else:
                with pytest.raises(ScreenerFailed, match="certificate"):
                    await hook.begin(VISIT).message(specimen())
        finally:
            await hook.close()


async def test_large_messages_go_without_their_body() -> None:
    service = Service()
    async with hooked(service.serve, body=True, max_body=Octets(10)) as hook:
        await hook.begin(VISIT).message(specimen())
    assert service.facts[0]["message"] is None


async def test_requests_are_signed() -> None:
    """As the Standard Webhooks specification has it."""
    service = Service()
    async with hooked(service.serve, secret=SECRET) as hook:
        await hook.begin(VISIT).message(specimen())
    (fields,), (body,) = service.fields, service.bodies
    assert fields["webhook-timestamp"] == str(int(NOW.timestamp()))
    signed_octets = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed_octets, hashlib.sha256).digest()).decode()
    assert fields["webhook-signature"] == f"v1,{expected}"


def test_the_example_of_the_specification() -> None:
    """https://github.com/standard-webhooks/standard-webhooks: the vector of its libraries."""
    key = http_hook.key_of(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    when = datetime.fromtimestamp(1614265330, UTC)
    fields = dict(signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", when, b'{"test": 2432232314}'))
    assert fields[b"webhook-signature"] == b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("said", "ruling", "reply"),
    [
        ({"action": "accept"}, Ruling.ACCEPT, None),
        ({}, Ruling.ACCEPT, None),
        ({"action": "junk"}, Ruling.JUNK, None),
        ({"action": "hold"}, Ruling.HOLD, None),
        ({"action": "defer"}, Ruling.DEFER, (451, "4.7.1", "Try again later")),
        ({"action": "defer", "code": 421}, Ruling.DEFER, (451, "4.7.1", "Try again later")),
        ({"action": "defer", "code": 550, "status": "5.7.1"}, Ruling.DEFER, (451, "4.7.1", "Try again later")),
        ({"action": "refuse"}, Ruling.REFUSE, (550, "5.7.1", "Refused")),
        (
            {"action": "refuse", "code": 554, "status": "5.6.0", "text": "No\r\n250 OK"},
            Ruling.REFUSE,
            (554, "5.6.0", "No 250 OK"),
        ),
        ({"action": "refuse", "code": 250, "status": "x"}, Ruling.REFUSE, (550, "5.7.1", "Refused")),
    ],
)
def test_answers(said: dict[str, Any], ruling: Ruling, reply: tuple[int, str, str] | None) -> None:
    opinion = opinion_on(json.dumps(said).encode(), "hook")
    assert opinion.ruling is ruling
    found = (opinion.reply.code, opinion.reply.status, opinion.reply.text) if opinion.reply is not None else None
    assert found == reply
    assert bool(opinion.evidence) is (ruling in (Ruling.JUNK, Ruling.HOLD))


def test_evidence_and_header_fields() -> None:
    said = {
        "evidence": [{"name": "New customer", "weight": -1e9, "sentence": "We know\nthem."}],
        "add_headers": [["X-Ticket", "17"], ["X:Y", "z"], ["X-Fold", "a\r\nInjected: b"]],
    }
    opinion = opinion_on(json.dumps(said).encode(), "crm")
    (evidence,) = opinion.evidence
    assert (evidence.name, evidence.weight, evidence.sentence) == ("hook-crm-new-customer", -100.0, "We know them.")
    assert opinion.header == (AddField(b"X-Ticket", b"17"), AddField(b"X-Fold", b"a\r\n\tInjected: b"))


@pytest.mark.parametrize(
    "said", [b"no", b"[]", b'{"action": "explode"}', b'{"evidence": [{}]}', b"\xff", b'{"code": "x"}', b'{"text": 5}']
)
def test_what_is_no_answer_is_a_failure(said: bytes) -> None:
    with pytest.raises(ScreenerFailed):
        opinion_on(said, "hook")


@pytest.mark.parametrize(("status", "content"), [(500, b""), (302, b""), (404, b"{}"), (200, b"x" * 100_000)])
async def test_answers_that_cannot_be_used(status: int, content: bytes) -> None:
    async with hooked(Service(lambda: (status, content)).serve) as hook:
        with pytest.raises(ScreenerFailed):
            await hook.begin(VISIT).message(specimen())


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults_are_the_services(fault: str) -> None:
    async with hooked(FAULTS[fault]) as hook:
        with pytest.raises(TROUBLE):
            async with asyncio.timeout(0.2):
                await hook.begin(VISIT).message(specimen())


async def test_a_delivery_is_told_again_when_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_hook, "ATTEMPTS_AFTER", (0.0, 0.0, 0.0))
    answers = iter([(500, b""), (500, b""), (200, b"ignored"), (200, b"")])
    service = Service(lambda: next(answers))
    async with hooked(service.serve, moments=(HookMoment.DELIVERED,)) as hook:
        for _ in range(2):
            hook.begin(VISIT).delivered(ENVELOPE, 100, ["1/7"])
        async with asyncio.timeout(5):
            while len(service.bodies) < 4:
                service.heard.clear()
                await service.heard.wait()
    assert len({fields["webhook-id"] for fields in service.fields}) == 1  # the same delivery: the service can tell


async def test_deliveries_are_not_kept_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hooked(FAULTS["hang"], moments=(HookMoment.DELIVERED,)) as hook:
        for _ in range(http_hook.MAX_QUEUED + 10):
            hook.begin(VISIT).delivered(ENVELOPE, 100, [])
        assert hook._queue.qsize() == http_hook.MAX_QUEUED


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "", "url": "http://x/"},
        {"name": "x", "url": ""},
        {"name": "x", "url": "ftp://x/"},
        {"name": "x", "url": "http://user:pass@x/"},
        {"name": "x", "url": "http://x/", "moments": ()},
        {"name": "x", "url": "http://x/", "max_body": Octets(5 << 20)},
        {"name": "x", "url": "http://x/", "secret": Secret("whsec_!")},
        {"name": "x", "url": "http://x/", "timeout": timedelta(0)},
    ],
)
def test_settings_that_cannot_be(settings: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        HttpHookSettings(**settings)
