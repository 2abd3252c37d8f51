"""Ask the DNS (RFC 1035), through resolvers that recurse and, at best, validate.

Theory of operation. A question that is in the cache is answered at once; one that is being asked joins those who wait;
else one task asks the servers in turn until one gives an answer that can be used or the time is up. Failures are
answers, too (`DnsStatus.FAILED`), and are kept for a few seconds (RFC 9520 §3.2), so that a dead resolver is not asked
by every message anew. A server that failed goes to the end of the row.

Each attempt over UDP has a socket and so a source port of its own, connected, with a random identifier: what does not
match is ignored, not taken for a failure, so that forgers can neither answer nor silence (RFC 5452). A truncated answer
is asked for again over TCP (RFC 7766 §5). The DO and AD bits are set where the server's AD bit will be believed.
"""

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.resolver

from pennypost.model.dns import (
    CaaRecord,
    Consultation,
    DnsAnswer,
    DnsQuestion,
    DnsRecord,
    DnsStatus,
    T,
    TlsaRecord,
)
from pennypost.net.dns_records import answer_from, name_from
from pennypost.net.settings import ResolverSettings

RESOLV_CONF = Path("/etc/resolv.conf")
RESOLV_CONF_SECONDS = 30.0
"""How often it is looked at for a change."""

FAILURE_SECONDS = 5
"""How long a failure is kept (RFC 9520 §3.2: 1 s to 5 min)."""

MAX_TTL_SECONDS = 24 * 3600
"""No answer is kept for longer, whatever its TTL (RFC 8767 §4)."""

MAX_NEGATIVE_TTL_SECONDS = 3600
"""What does not exist is asked for again after that (RFC 2308 §5: 1 to 3 h)."""

MAX_IN_FLIGHT = 256
"""Questions that are asked at once; others wait. Each has a socket."""

MAX_CACHED_OCTETS = 16 * 1024 * 1024
"""What all answers that are kept may have, roughly."""

ATTEMPTS = 3
"""How often a server is asked; each attempt has its share of the time."""

UDP_PAYLOAD_OCTETS = 1232
"""What passes without fragments (RFC 9715 §3.2)."""

Server = tuple[str, int]
"""Address and port."""

_BACKEND = dns.asyncbackend.get_backend("asyncio")
"""Imports much, so that it is done before workers are forked and privileges given up."""

_UNUSABLE = DnsAnswer(DnsStatus.FAILED, ttl_seconds=FAILURE_SECONDS)
_CANNOT_EXIST = DnsAnswer(DnsStatus.NO_SUCH_NAME, ttl_seconds=MAX_TTL_SECONDS)


class _Unusable(Exception):
    """The server answered that it has no answer."""


class Resolver:
    """Answers questions; one for each event loop. `servers`: whom to ask; empty: those in /etc/resolv.conf.

    Any number of coroutines may ask at once. `clock` gives seconds.
    """

    def __init__(
        self,
        settings: ResolverSettings,
        servers: tuple[Server, ...] = (),
        *,
        resolv_conf: Path = RESOLV_CONF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._servers = list(servers)
        self._resolv_conf = None if servers else resolv_conf
        self._resolv_conf_state: tuple[int, int] | None = None
        self._resolv_conf_due = 0.0
        self._clock = clock
        self._cache = _Cache(settings.cache_entries, clock)
        self._in_flight: dict[DnsQuestion, asyncio.Task[DnsAnswer]] = {}
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def ask(self, question: DnsQuestion, room: asyncio.Semaphore | None = None) -> DnsAnswer:
        """Answer a question; never raises. A name that no host can have, a label of 64 octets say, does not exist.

        `room`: has a place for as long as servers are asked, also when nobody waits for the answer any more.
        """
        if (known := self._cache.get(question)) is not None:
            return known
        task = self._in_flight.get(question)
        if task is None:
            name = name_from(question.name)
            if name is None:
                return _CANNOT_EXIST
            if room is not None:
                await room.acquire()
                if question in self._in_flight or self._cache.get(question) is not None:  # others asked it meanwhile
                    room.release()
                    return await self.ask(question, room)
            task = asyncio.create_task(self._find(question, name))
            self._in_flight[question] = task
            task.add_done_callback(lambda _: self._in_flight.pop(question, None))
            if room is not None:
                task.add_done_callback(lambda _: room.release())
        return await asyncio.shield(task)  # one who gives up does not take the answer from the others

    def known(self, question: DnsQuestion) -> DnsAnswer | None:
        """Give an answer that is in the cache; nothing is asked."""
        return self._cache.get(question)

    async def consult(self, consultation: Consultation[T]) -> T:
        """Answer what a calculation asks until it has its result, and give that. Raises what the calculation raises."""
        try:
            question = next(consultation)
            while True:
                question = consultation.send(await self.ask(question))
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            consultation.close()

    async def close(self) -> None:
        """Give up what is being asked. Who waits for it is cancelled."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, question: DnsQuestion, name: dns.name.Name) -> DnsAnswer:
        async with self._slots:
            answer = await self._ask_servers(question, name)
        longest = MAX_TTL_SECONDS if answer.status is DnsStatus.FOUND else MAX_NEGATIVE_TTL_SECONDS
        answer = replace(answer, ttl_seconds=max(0, min(answer.ttl_seconds, longest)))
        self._cache.put(question, answer)
        return answer

    async def _ask_servers(self, question: DnsQuestion, name: dns.name.Name) -> DnsAnswer:
        self._reread_resolv_conf()
        servers = list(self._servers)
        seconds = self._settings.timeout.total_seconds()
        end = self._clock() + seconds
        share = seconds / ATTEMPTS
        for _ in range(ATTEMPTS):
            for server in list(servers):
                left = end - self._clock()
                if left <= 0:
                    return _UNUSABLE
                try:
                    response = await self._ask_server(server, question, name, min(share, left))
                    return answer_from(response, question, authentic=self._believes(server))
                except (dns.exception.DNSException, _Unusable, TimeoutError):
                    pass
                except (OSError, EOFError):  # nobody is there
                    servers.remove(server)
                self._demote(server)
        return _UNUSABLE

    async def _ask_server(
        self, server: Server, question: DnsQuestion, name: dns.name.Name, seconds: float
    ) -> dns.message.Message:
        """Ask one server once, over UDP and when need be TCP. Raises DNSException, _Unusable, OSError, EOFError."""
        believed = self._believes(server)
        query = dns.message.make_query(
            name,
            question.type.value,
            use_edns=0,
            want_dnssec=believed,
            payload=UDP_PAYLOAD_OCTETS,
            flags=dns.flags.RD | (dns.flags.AD if believed else 0),
        )
        async with asyncio.timeout(seconds):
            response = await self._exchange(server, query)
            if response.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP) and response.edns < 0:
                query.use_edns(False)  # RFC 6891 §7: a server that is older than EDNS
                response = await self._exchange(server, query)
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise _Unusable
        return response

    async def _exchange(self, server: Server, query: dns.message.Message) -> dns.message.Message:
        address, port = server
        family = dns.inet.af_for_address(address)
        sock = await _BACKEND.make_socket(  # type: ignore[no-untyped-call]
            family, socket.SOCK_DGRAM, 0, None, (address, port)
        )
        try:
            return await dns.asyncquery.udp(
                query,
                address,
                port=port,
                sock=sock,
                ignore_unexpected=True,
                ignore_errors=True,
                raise_on_truncation=True,
            )
        except dns.message.Truncated:
            return await dns.asyncquery.tcp(query, address, port=port, backend=_BACKEND)
        finally:
            await sock.close()

    def _believes(self, server: Server) -> bool:
        match self._settings.trust_ad:
            case "always":
                return True
            case "loopback":
                return ip_address(server[0]).is_loopback
            case "never":
                return False

    def _demote(self, server: Server) -> None:
        if self._servers[0] == server and len(self._servers) > 1:
            self._servers.append(self._servers.pop(0))

    def _reread_resolv_conf(self) -> None:
        """Take the servers from resolv.conf when it is new; without any, RFC 1035 style, ask this machine."""
        now = self._clock()
        if self._resolv_conf is None or now < self._resolv_conf_due:
            return
        self._resolv_conf_due = now + RESOLV_CONF_SECONDS
        state = None
        with suppress(OSError):
            found = self._resolv_conf.stat()
            state = (found.st_mtime_ns, found.st_ino)
        if self._servers and state == self._resolv_conf_state:
            return
        self._resolv_conf_state = state
        self._servers = _servers_in(self._resolv_conf) or self._servers or [("127.0.0.1", 53)]


def _servers_in(resolv_conf: Path) -> list[Server]:
    reader = dns.resolver.Resolver(configure=False)
    with suppress(dns.exception.DNSException, ValueError, OSError):
        reader.read_resolv_conf(str(resolv_conf))
        return [(str(address), 53) for address in reader.nameservers]
    return []


class _Cache:
    """Answers for as long as they hold; the least recently used one goes when there are too many."""

    def __init__(self, entries: int, clock: Callable[[], float]) -> None:
        self._entries = entries
        self._clock = clock
        self._answers: OrderedDict[DnsQuestion, tuple[DnsAnswer, float, int]] = OrderedDict()
        self._octets = 0

    def get(self, question: DnsQuestion) -> DnsAnswer | None:
        kept = self._answers.get(question)
        if kept is None:
            return None
        answer, until, octets = kept
        left = until - self._clock()
        if left <= 0:
            del self._answers[question]
            self._octets -= octets
            return None
        self._answers.move_to_end(question)
        return replace(answer, ttl_seconds=int(left))

    def put(self, question: DnsQuestion, answer: DnsAnswer) -> None:
        if not answer.ttl_seconds or not self._entries:
            return
        if question in self._answers:
            self._octets -= self._answers.pop(question)[2]
        octets = _octets_of(question, answer)
        self._answers[question] = (answer, self._clock() + answer.ttl_seconds, octets)
        self._octets += octets
        while len(self._answers) > self._entries or self._octets > MAX_CACHED_OCTETS:
            self._octets -= self._answers.popitem(last=False)[1][2]


def _data_octets(record: DnsRecord) -> int:
    match record:
        case bytes() | str():
            return len(record)
        case TlsaRecord():
            return len(record.data)
        case CaaRecord():
            return len(record.value)
        case _:
            return 0


def _octets_of(question: DnsQuestion, answer: DnsAnswer) -> int:
    """Say roughly how much memory an answer takes."""
    texts = sum(map(_data_octets, answer.records))
    return 500 + len(question.name) + 200 * len(answer.records) + texts
