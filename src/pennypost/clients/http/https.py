"""One HTTPS request, within bounds of time and size, without redirects, to an address that our own resolver gave.

The certificate has to be valid for the host's name, whatever address it has. Nothing of the environment (proxies,
netrc) plays a part.
"""

import asyncio
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

import httpx2

from pennypost.model.dns import DnsQuestion, RecordType
from pennypost.net.outbound import lies_in
from pennypost.net.resolver import Resolver

MAX_ADDRESSES = 3
"""Addresses of a host that are tried."""


class HttpsFailed(Exception):
    """The request came to nothing. The text says why, in one line. `tls`: the certificate was the reason."""

    def __init__(self, reason: str, *, tls: bool = False) -> None:
        self.tls = tls
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class HttpsAnswer:
    """`content`: at most as many octets as were asked for."""

    status: int
    content_type: str
    content: bytes


class Https:
    """Makes requests. `trust`: gives whose certificates are believed. `refused`: networks nobody is looked for in.

    `port`: where HTTPS is spoken, unless a URL says so.
    """

    def __init__(
        self,
        resolver: Resolver,
        trust: Callable[[], ssl.SSLContext],
        refused: Collection[IPv4Network | IPv6Network] = (),
        port: int = 443,
    ) -> None:
        self._resolver = resolver
        self._trust = trust
        self._refused = refused
        self._port = port

    async def get(self, url: str, *, max_octets: int, patience: timedelta) -> HttpsAnswer:
        """GET a URL. Raises HttpsFailed."""
        return await self._request("GET", url, None, {}, max_octets, patience)

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, max_octets: int, patience: timedelta
    ) -> HttpsAnswer:
        """POST octets to a URL. Raises HttpsFailed."""
        return await self._request("POST", url, content, headers, max_octets, patience)

    async def _request(
        self,
        method: str,
        url: str,
        content: bytes | None,
        headers: Mapping[str, str],
        max_octets: int,
        patience: timedelta,
    ) -> HttpsAnswer:
        parts = urlsplit(url)
        host = parts.hostname
        if parts.scheme != "https" or not host:
            raise HttpsFailed("not an https URL")
        port = parts.port or self._port
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        failure = HttpsFailed(f"{host} has no address")
        try:
            async with asyncio.timeout(patience.total_seconds()):
                for address in await self._addresses(host):
                    shown = f"[{address}]" if address.version == 6 else str(address)
                    request = httpx2.Request(
                        method,
                        f"https://{shown}:{port}{target}",
                        headers={
                            **headers,
                            "Host": parts.netloc.rpartition("@")[2],
                            "User-Agent": "Pennypost",
                            "Accept-Encoding": "identity",
                        },
                        content=content,
                        extensions={"sni_hostname": host},
                    )
                    try:
                        return await self._send(request, max_octets)
                    except httpx2.ConnectError as problem:
                        failure = HttpsFailed(_one_line(problem), tls=_is_about_a_certificate(problem))
        except TimeoutError:
            raise HttpsFailed("no answer in time") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, UnicodeError) as problem:
            raise HttpsFailed(_one_line(problem), tls=_is_about_a_certificate(problem)) from None
        raise failure

    async def _send(self, request: httpx2.Request, max_octets: int) -> HttpsAnswer:
        async with httpx2.AsyncClient(
            verify=self._trust(), timeout=None, trust_env=False, follow_redirects=False
        ) as client:
            response = await client.send(request, stream=True)
            try:
                content = b""
                async for piece in response.aiter_raw():  # nothing was asked to be compressed: a little could be much
                    content += piece
                    if len(content) > max_octets:
                        raise HttpsFailed("the answer is too large")
            finally:
                await response.aclose()
        return HttpsAnswer(response.status_code, response.headers.get("content-type", ""), content)

    async def _addresses(self, host: str) -> list[IPv4Address | IPv6Address]:
        found: list[IPv4Address | IPv6Address] = []
        for kind in (RecordType.A, RecordType.AAAA):
            answer = await self._resolver.ask(DnsQuestion(host.rstrip("."), kind))
            found += [record for record in answer.records if isinstance(record, IPv4Address | IPv6Address)]
        return [address for address in found if not lies_in(address, self._refused)][:MAX_ADDRESSES]


def _is_about_a_certificate(problem: BaseException | None) -> bool:
    while problem is not None:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def _one_line(problem: Exception) -> str:
    return " ".join((str(problem) or type(problem).__name__).split())[:200]
