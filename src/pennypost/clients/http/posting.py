"""POST to a service that the administrator named: over TCP or a Unix socket, with or without TLS.

Connections are kept and used again. Nothing of the environment (proxies, netrc) plays a part, no redirect is followed,
and of an answer only so much is read. How long it may take is for whoever asks to say.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import httpx2

from pennypost.clients.screening.shape import ScreenerFailed, one_line
from pennypost.model.text import printable

IDLE_SECONDS = 30.0


class Posting:
    """Makes requests of one service. `socket`: the path of a Unix socket to ask instead of the URL's host. `trust`:
    whose certificates are believed; None where TLS is never spoken."""

    def __init__(self, socket: str | None = None, connections: int = 20, trust: ssl.SSLContext | None = None) -> None:
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE_SECONDS
        )
        self._transport = httpx2.AsyncHTTPTransport(
            verify=trust if trust is not None else False, uds=socket, limits=limits, trust_env=False
        )
        self._client = httpx2.AsyncClient(
            transport=self._transport, timeout=None, trust_env=False, follow_redirects=False
        )

    async def post(
        self,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        content: Callable[[], bytes | AsyncIterator[bytes]],
        max_octets: int,
    ) -> tuple[int, bytes]:
        """Give status and content of the answer. Raises ScreenerFailed, also when that is longer than `max_octets`.

        A kept connection may have been closed by the other side just now: what breaks off is tried once more. So
        `content` may be asked for twice, and the same request may come twice.
        """
        fields = [(b"Accept-Encoding", b"identity"), *headers]
        request = self._client.build_request("POST", url, headers=fields, content=content())
        try:
            return await self._send(request, max_octets)
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
            pass
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as problem:
            raise _failure(problem) from None
        request = self._client.build_request("POST", url, headers=fields, content=content())
        try:
            return await self._send(request, max_octets)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as problem:
            raise _failure(problem) from None

    async def _send(self, request: httpx2.Request, max_octets: int) -> tuple[int, bytes]:
        response = await self._client.send(request, stream=True)
        try:
            answer = bytearray()
            async for piece in response.aiter_raw():  # nothing was asked to be compressed: a little could be much
                answer += piece
                if len(answer) > max_octets:
                    raise ScreenerFailed("its answer is too large")
        finally:
            await response.aclose()
        return response.status_code, bytes(answer)

    async def close(self) -> None:
        """Close what is kept open."""
        await self._client.aclose()


def _failure(problem: Exception) -> ScreenerFailed:
    return ScreenerFailed(one_line(str(problem)) or type(problem).__name__)


def request_fields(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Make header fields of a request of what strangers may have said: no character of it can end a field."""
    return [(name.encode("ascii"), printable(value).strip().encode()) for name, value in fields]
