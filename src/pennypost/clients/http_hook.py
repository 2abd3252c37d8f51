"""A web service as a screener: it is POSTed JSON at the moments it wants to hear of, and says in JSON what it thinks.

Requests are signed as the Standard Webhooks specification has it, so that its libraries can check them: `webhook-id`,
`webhook-timestamp`, and in `webhook-signature` an HMAC-SHA-256 over both and the body. What was delivered is told
behind the commit, from a queue in memory with a few attempts: nobody waits for it, and what is in it when the server
stops is lost.
"""

import asyncio
import binascii
import hashlib
import hmac
import re
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog

from pennypost.clients.http.posting import Posting
from pennypost.clients.screening.guard import TROUBLE, reason_of
from pennypost.clients.screening.settings import Fallback, ScreenerSettings
from pennypost.clients.screening.shape import (
    GRAVITY,
    NOTHING,
    AddField,
    Moment,
    Opinion,
    Reply,
    Ruling,
    ScreenerFailed,
    Screening,
    Specimen,
    Visit,
    field_line,
    is_field_name,
    one_line,
)
from pennypost.junk.evidence import Evidence
from pennypost.message.headers import FIELD, unfold
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.secret import Secret
from pennypost.model.units import KIB, MIB, Octets

MAX_ANSWER = 64 * KIB
MAX_QUEUED = 1000
"""Deliveries that wait to be told, of each hook and worker."""
ATTEMPTS_AFTER = (0.0, 2.0, 10.0)
"""Seconds before each attempt to tell of a delivery."""

_MAX_WEIGHT = 100.0
_MAX_EVIDENCE = 20
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_STATUS = re.compile(r"([45])\.\d{1,3}\.\d{1,3}")
_KEY_PREFIX = "whsec_"

_log = structlog.stdlib.get_logger("pennypost.screening")


class HookMoment(Enum):
    """When a hook is called."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    MESSAGE = "message"
    DELIVERED = "delivered"


_MOMENTS = {
    HookMoment.CONNECT: Moment.SENDER,
    HookMoment.MAIL: Moment.SENDER,
    HookMoment.RCPT: Moment.RECIPIENT,
    HookMoment.MESSAGE: Moment.MESSAGE,
    HookMoment.DELIVERED: Moment.DELIVERED,
}


@dataclass(frozen=True, slots=True)
class HttpHookSettings(ScreenerSettings):
    """A web service that is called about mail."""

    name: str = ""
    """What logs, traces and evidence call it: lower-case letters, digits and dashes. Has to be given."""

    url: str = ""
    """Where it is: "https://…", or "http://…" on a network that is yours. Has to be given. Certificates are checked."""

    moments: tuple[HookMoment, ...] = (HookMoment.MESSAGE,)
    """When it is called: "connect" (who is there, before the sender of a message is looked at), "mail" (and who the
    sender is), "rcpt", "message" (all of it is there, nothing is accepted), "delivered" (it is stored; the answer does
    not matter)."""

    secret: Secret | None = None
    """What requests are signed with, as the Standard Webhooks specification has it: "whsec_" and Base64, or any text.
    "none": they are not signed."""

    body: bool = False
    """Whether the whole message is sent at "message", in Base64."""

    max_body: Octets = Octets(MIB)
    """Of larger messages only the header is sent. At most 4 MiB."""

    timeout: timedelta = timedelta(seconds=10)
    on_failure: Fallback = Fallback.DEFER

    def __post_init__(self) -> None:
        ScreenerSettings.__post_init__(self)
        if not _NAME.fullmatch(self.name):
            raise ValueError("name: expected lower-case letters, digits and dashes")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("url: expected https://host/path or http://host/path")
        if not self.moments:
            raise ValueError("moments: expected at least one")
        if self.max_body > 4 * MIB:
            raise ValueError("max_body: expected at most 4 MiB")
        if self.secret is not None:
            key_of(self.secret)


class _Reason(msgspec.Struct):
    name: str
    weight: float
    sentence: str


class _Answer(msgspec.Struct):
    action: str = "accept"
    code: int = 0
    status: str = ""
    text: str = ""
    evidence: list[_Reason] = []
    add_headers: list[tuple[str, str]] = []


_decode = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode


def key_of(secret: Secret) -> bytes:
    """Give the key of a secret. Raises ValueError for Base64 that is none."""
    if not secret.value.startswith(_KEY_PREFIX):
        return secret.value.encode()
    try:
        return b64decode(secret.value.removeprefix(_KEY_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("secret: expected Base64 behind whsec_") from None


def signed(key: bytes | None, id_: str, now: datetime, content: bytes) -> list[tuple[bytes, bytes]]:
    """Give the header fields of a request."""
    identifier, stamp = id_.encode("ascii"), b"%d" % int(now.timestamp())
    fields = [
        (b"Content-Type", b"application/json"),
        (b"User-Agent", b"Pennypost"),
        (b"webhook-id", identifier),
        (b"webhook-timestamp", stamp),
    ]
    if key is not None:
        mac = hmac.new(key, b"%b.%b.%b" % (identifier, stamp, content), hashlib.sha256).digest()
        fields.append((b"webhook-signature", b"v1," + b64encode(mac)))
    return fields


class HttpHook:
    """The screener; make it on the loop. `clock`: for the time of requests."""

    kind = "http-hook"
    in_turn = False

    def __init__(self, settings: HttpHookSettings, trust: ssl.SSLContext, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.name = settings.name
        self.moments = frozenset(_MOMENTS[moment] for moment in settings.moments)
        self._key = key_of(settings.secret) if settings.secret is not None else None
        self._clock = clock
        self._posting = Posting(connections=settings.at_once, trust=trust)
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(MAX_QUEUED)
        self._teller: asyncio.Task[None] | None = None

    def begin(self, visit: Visit) -> Screening:
        return _Call(self, visit)

    async def close(self) -> None:
        """Stop telling; what waits to be told is lost."""
        if self._teller is not None:
            self._teller.cancel()
            await asyncio.wait((self._teller,))
        if left := self._queue.qsize():
            _log.warning("deliveries not told", screener=self.name, count=left)
        await self._posting.close()

    async def call(self, id_: str, facts: dict[str, Any]) -> bytes:
        """POST something, and give the answer, b"" for none. Raises ScreenerFailed."""
        content = _encode(facts)
        fields = signed(self._key, id_, self._clock(), content)
        status, answer = await self._posting.post(self.settings.url, fields, lambda: content, MAX_ANSWER)
        if not 200 <= status < 300:
            raise ScreenerFailed(f"it answers {status}")
        return answer

    def tell(self, id_: str, facts: dict[str, Any]) -> None:
        """Tell of something later, without waiting."""
        try:
            self._queue.put_nowait((id_, facts))
        except asyncio.QueueFull:
            _log.warning("delivery not told", screener=self.name, id=facts["id"], reason="too many wait")
            return
        if self._teller is None:
            self._teller = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while True:
            id_, facts = await self._queue.get()
            reason = ""
            for pause in ATTEMPTS_AFTER:
                await asyncio.sleep(pause)
                try:
                    async with asyncio.timeout(self.settings.timeout.total_seconds()):
                        await self.call(id_, facts)
                    break
                except TROUBLE as problem:
                    reason = reason_of(problem)
            else:
                _log.warning("delivery not told", screener=self.name, id=facts["id"], reason=reason)


class _Call(Screening):
    def __init__(self, hook: HttpHook, visit: Visit) -> None:
        self._hook = hook
        self._visit = visit
        self._count = 0

    async def sender(self, envelope: Envelope) -> Opinion:
        wanted = self._hook.settings.moments
        opinion = NOTHING
        if HookMoment.CONNECT in wanted:
            opinion = await self._ask("connect", self._facts("connect", None))
        if HookMoment.MAIL in wanted and opinion.reply is None:
            told = await self._ask("mail", self._facts("mail", envelope))
            graver = max(opinion, told, key=lambda one: GRAVITY[one.ruling])
            opinion = replace(graver, evidence=opinion.evidence + told.evidence)
        return opinion

    async def recipient(self, envelope: Envelope, recipient: Recipient) -> Opinion:
        return await self._ask("rcpt", {**self._facts("rcpt", envelope), "recipient": str(recipient.address)})

    async def message(self, specimen: Specimen) -> Opinion:
        settings = self._hook.settings
        whole = None
        if settings.body and specimen.size <= settings.max_body:
            whole = b64encode(specimen.header + bytes(specimen.body)).decode("ascii")
        facts = {
            **self._facts("message", specimen.envelope),
            "verdicts": dict(specimen.verdicts),
            "size": specimen.size,
            "headers": list(_fields(specimen.header)),
            "message": whole,
        }
        return await self._ask("message", facts)

    def delivered(self, envelope: Envelope, size: int, stored: Sequence[str]) -> None:
        facts = {**self._facts("delivered", envelope), "size": size, "stored": list(stored)}
        self._hook.tell(f"{self._visit.id}-delivered", facts)

    async def _ask(self, moment: str, facts: dict[str, Any]) -> Opinion:
        self._count += 1
        return opinion_on(await self._hook.call(f"{self._visit.id}-{moment}-{self._count}", facts), self._hook.name)

    def _facts(self, moment: str, envelope: Envelope | None) -> dict[str, Any]:
        visit = self._visit
        tls = {"version": visit.tls.version, "cipher": visit.tls.cipher} if visit.tls is not None else None
        facts: dict[str, Any] = {
            "type": moment,
            "id": visit.id,
            "server": visit.hostname,
            "connection": {
                "ip": str(visit.peer.ip) if visit.peer.ip is not None else None,
                "port": visit.peer.port,
                "hello": visit.hello,
                "tls": tls,
                "user": visit.user or None,
            },
        }
        if envelope is not None:
            facts["sender"] = str(envelope.reverse_path or "")
            facts["recipients"] = [str(recipient.address) for recipient in envelope.recipients]
        return facts


def _fields(header: bytes) -> Iterator[tuple[str, str]]:
    for name, value in FIELD.findall(header):
        yield name.decode("ascii"), unfold(value).decode("utf-8", "replace")


# -- What an answer means


def opinion_on(content: bytes, name: str) -> Opinion:
    """Say what an answer means; an empty one accepts. Raises ScreenerFailed."""
    if not content.strip():
        return NOTHING
    try:
        answer = _decode(content)
        ruling = Ruling(answer.action)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as problem:
        raise ScreenerFailed(f"its answer cannot be read: {one_line(str(problem))}") from None
    evidence = [
        Evidence(
            f"hook-{name}-{one_line(reason.name)[:40].lower().replace(' ', '-')}",
            round(max(-_MAX_WEIGHT, min(_MAX_WEIGHT, reason.weight)), 2),
            one_line(reason.sentence),
        )
        for reason in answer.evidence[:_MAX_EVIDENCE]
    ]
    if ruling in (Ruling.JUNK, Ruling.HOLD) and not evidence:
        sentence = one_line(answer.text) or f"The service {name} says that it is junk."
        evidence.append(Evidence(f"hook-{name}", 5.0, sentence))
    note = one_line(f"{answer.action} {answer.text}".strip())
    header = tuple(_added(answer.add_headers))
    return Opinion(ruling, note, _reply(answer, ruling), tuple(evidence), header)


def _reply(answer: _Answer, ruling: Ruling) -> Reply | None:
    """Give the reply that is asked for, where it fits the ruling."""
    if ruling not in (Ruling.DEFER, Ruling.REFUSE):
        return None
    temporary = ruling is Ruling.DEFER
    fits = 400 <= answer.code < 500 and answer.code != 421 if temporary else 500 <= answer.code < 600
    code = answer.code if fits else 451 if temporary else 550
    matched = _STATUS.fullmatch(answer.status)
    status = answer.status if matched and matched[1] == str(code)[0] else "4.7.1" if temporary else "5.7.1"
    return Reply(code, status, one_line(answer.text) or ("Try again later" if temporary else "Refused"))


def _added(fields: list[tuple[str, str]]) -> Iterator[AddField]:
    for name, value in fields[:_MAX_EVIDENCE]:
        octets, line = name.encode("utf-8", "replace"), field_line(value)
        if is_field_name(octets) and line is not None:
            yield AddField(octets, line)
