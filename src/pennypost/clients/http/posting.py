"""POST to a service that the administrator named: over TCP or a Unix socket, with or without TLS.

Connections are kept and used again. Nothing of the environment (proxies, netrc) plays a part, no redirect is followed,
and of an answer only so much is read. How long it may take is for whoever asks to say.
"""

from collections.abc import AsyncIterator, Iterable, Sequence

import httpx2

from pennypost.clients.screening.shape import ScreenerFailed, one_line

IDLE_SECONDS = 30.0


class Posting:
    """Makes requests of one service. `socket`: the path of a Unix socket to ask instead of the URL's host."""

    def __init__(self, socket: str | None = None, connections: int = 20) -> None:
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE_SECONDS
        )
        self._transport = httpx2.AsyncHTTPTransport(uds=socket, limits=limits, trust_env=False)
        self._client = httpx2.AsyncClient(
            transport=self._transport, timeout=None, trust_env=False, follow_redirects=False
        )

    async def post(
        self, url: str, headers: Sequence[tuple[bytes, bytes]], content: bytes | AsyncIterator[bytes], max_octets: int
    ) -> tuple[int, bytes]:
        """Give status and content of the answer. Raises ScreenerFailed, also when that is longer than `max_octets`."""
        try:
            request = self._client.build_request("POST", url, headers=list(headers), content=content)
            response = await self._client.send(request, stream=True)
            try:
                answer = bytearray()
                async for piece in response.aiter_bytes():
                    answer += piece
                    if len(answer) > max_octets:
                        raise ScreenerFailed("its answer is too large")
            finally:
                await response.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as problem:
            raise ScreenerFailed(one_line(str(problem)) or type(problem).__name__) from None
        return response.status_code, bytes(answer)

    async def close(self) -> None:
        """Close what is kept open."""
        await self._client.aclose()


def request_fields(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Make header fields of a request of what strangers may have said: no character of it can end a field."""
    return [
        (name.encode("ascii"), "".join(c if c.isprintable() else "?" for c in value).strip().encode())
        for name, value in fields
    ]
