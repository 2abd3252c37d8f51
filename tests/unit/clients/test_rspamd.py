"""What Rspamd is told, what its answers mean, and that nothing it does hurts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.clients.peers import FAULTS, HEADER, VISIT, Handler, listening, specimen
from tests.unit.mail.test_transaction import address

from pennypost.clients.rspamd import OnReject, Rspamd, RspamdSettings, opinion_on
from pennypost.clients.screening.guard import TROUBLE
from pennypost.clients.screening.shape import AddField, ChangeField, Opinion, Ruling, ScreenerFailed
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.peer import TlsInfo
from pennypost.model.units import Octets

SETTINGS = RspamdSettings(timeout=timedelta(seconds=5))


@asynccontextmanager
async def asked(handler: Handler, settings: RspamdSettings = SETTINGS) -> AsyncIterator[Rspamd]:
    async with listening(handler) as endpoint:
        rspamd = Rspamd(replace(settings, address=endpoint))
        try:
            yield rspamd
        finally:
            await rspamd.close()


def answer(**said: Any) -> bytes:
    return json.dumps({"action": "no action", "score": 0.5, "required_score": 15.0, "symbols": {}} | said).encode()


def opinion(settings: RspamdSettings = SETTINGS, header: bytes = HEADER, **said: Any) -> Opinion:
    return opinion_on(answer(**said), settings, header)


async def test_what_it_is_told() -> None:
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):  # the connection is used again
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            bodies.append(await reader.readexactly(length))
            said = answer()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
            await writer.drain()

    envelope = Envelope(address("bücher@example.org"), (Recipient(address("a@x.test")), Recipient(address("b@x.test"))))
    shown = replace(specimen(b"x" * 300_000), envelope=envelope, verdicts={"iprev": "pass mx.example"})
    visit = replace(VISIT, hello="evil\r\nUser: root", tls=TlsInfo("TLSv1.3", "AES", 256, b"", None))
    async with asked(serve) as rspamd:
        for _ in range(2):
            assert (await rspamd.begin(visit).message(shown)).note == "no action, 0.5 of 15.0"
    assert bodies == [HEADER + b"x" * 300_000] * 2
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "POST /checkv2 HTTP/1.1"
    for line in (
        "IP: 192.0.2.7", "Helo: evil??User: root", "Hostname: mx.example", "From: bücher@example.org", "Rcpt: a@x.test",
        "Rcpt: b@x.test", "Queue-Id: 0123456789abcdef", "MTA-Name: mail.penny.test", "TLS-Version: TLSv1.3",
        "TLS-Cipher: AES",
    ):  # fmt: skip
        assert line in lines
    assert not any(line.startswith("User:") for line in lines)


@pytest.mark.parametrize(
    ("said", "ruling", "reply"),
    [
        ({"action": "no action"}, Ruling.ACCEPT, None),
        ({"action": "something new"}, Ruling.ACCEPT, None),
        ({"action": "greylist"}, Ruling.ACCEPT, None),
        ({"action": "add header"}, Ruling.JUNK, None),
        ({"action": "rewrite subject", "subject": "*** SPAM *** x"}, Ruling.JUNK, None),
        ({"action": "soft reject"}, Ruling.DEFER, "451 4.7.1 Try again later"),
        ({"action": "soft reject", "messages": {"smtp_message": "At\r\ntea"}}, Ruling.DEFER, "451 4.7.1 At tea"),
        ({"action": "soft reject", "messages": []}, Ruling.DEFER, "451 4.7.1 Try again later"),
        ({"action": "reject"}, Ruling.REFUSE, "550 5.7.1 Refused: the message looks like junk mail"),
        ({"action": "reject", "milter": {"reject": "quarantine"}}, Ruling.HOLD, None),
        ({"action": "discard"}, Ruling.HOLD, None),
    ],
)
def test_actions(said: dict[str, Any], ruling: Ruling, reply: str | None) -> None:
    found = opinion(**said)
    assert found.ruling is ruling
    if reply is not None:
        assert found.reply is not None
        assert f"{found.reply.code} {found.reply.status} {found.reply.text}" == reply


def test_an_action_that_is_not_followed() -> None:
    assert opinion(replace(SETTINGS, reject=OnReject.JUNK), action="reject").ruling is Ruling.JUNK
    assert opinion(replace(SETTINGS, reject=OnReject.ACCEPT), action="reject").ruling is Ruling.ACCEPT


def test_symbols_weigh_together_what_the_score_says() -> None:
    symbols = {f"MANY_{n}": {"score": 0.2} for n in range(30)}
    symbols |= {"BAYES_SPAM": {"score": 5.1, "description": "Bayes says so"}, "R_DKIM_ALLOW": {"score": -0.2}}
    found = opinion(score=10.9, symbols=symbols)
    assert len(found.evidence) == 13
    assert round(sum(one.weight for one in found.evidence), 2) == 10.9
    assert (found.evidence[0].name, found.evidence[0].sentence) == ("rspamd-bayes-spam", "Bayes says so")
    half = opinion(replace(SETTINGS, scale=0.5), score=10.9, symbols=symbols)
    assert round(sum(one.weight for one in half.evidence), 2) == 5.45
    assert opinion(replace(SETTINGS, scale=0.0), score=10.9, symbols=symbols).evidence == ()


def test_header_fields() -> None:
    header = b"X-Old: 1\r\nX-Old: 2\r\nX-Old: 3\r\n" + HEADER
    milter = {
        "remove_headers": {"X-Spam": 0, "X-Old": -1, "X-Other": 2, "bad name": 0, "X-Odd": "y"},
        "add_headers": {
            "X-Spam": {"value": "Yes,\n\tvery", "order": 1},
            "X-Two": [{"value": "a"}, {"value": "b\r\n\r\nbody", "order": -1}],
            "X-Plain": "c",
            "X-Bad": {"value": 7},
            "X:Y": "d",
            "X-Empty": "",
        },
    }
    assert opinion(header=header, milter=milter).header == (
        ChangeField(b"X-Spam", 0, None),
        ChangeField(b"X-Old", 3, None),
        ChangeField(b"X-Other", 2, None),
        AddField(b"X-Spam", b"Yes,\r\n\tvery", 1),
        AddField(b"X-Two", b"a", 0),
        AddField(b"X-Two", b"b\r\n\tbody", None),
        AddField(b"X-Plain", b"c", 0),
    )
    assert opinion(replace(SETTINGS, headers=False), milter=milter).header == ()


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"action": 5}', b"\xff", b'{"action": "reject", "score": "x"}'])
def test_what_is_no_answer_is_a_failure(said: bytes) -> None:
    with pytest.raises(ScreenerFailed):
        opinion_on(said, SETTINGS, HEADER)


async def test_what_is_too_large_is_not_sent() -> None:
    async with asked(FAULTS["hang"], replace(SETTINGS, max_size=Octets(10))) as rspamd:
        assert (await rspamd.begin(VISIT).message(specimen())).note == "not checked: too large"


@pytest.mark.parametrize("head", [b"500 Oops\r\nContent-Length: 3\r\n\r\nbad", b"200 OK\r\n\r\n" + b"x" * 3_000_000])
async def test_answers_that_cannot_be_used(head: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + head)
        await writer.drain()

    async with asked(serve) as rspamd:
        with pytest.raises(ScreenerFailed):
            await rspamd.begin(VISIT).message(specimen())


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults_are_rspamds(fault: str) -> None:
    async with asked(FAULTS[fault]) as rspamd:
        with pytest.raises(TROUBLE):
            async with asyncio.timeout(0.2):
                await rspamd.begin(VISIT).message(specimen(b"x" * 300_000))
