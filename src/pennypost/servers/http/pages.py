"""What the HTTP door answers."""

import hmac
from collections.abc import Awaitable, Callable

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pennypost.servers.http.settings import HttpSettings

Measure = Callable[[], Awaitable[bytes]]
"""Gives the figures of all workers, as Prometheus reads them."""

Examine = Callable[[], Awaitable[tuple[str, ...]]]
"""Gives what keeps this worker from serving: one line each; none when it is ready."""


def make_pages(settings: HttpSettings, measure: Measure, examine: Examine) -> Starlette:
    """Make the application. /healthz: the process answers. /readyz: it can serve mail (else 503 and the reasons)."""

    async def metrics(request: Request) -> Response:
        if settings.metrics_token is not None and not _bears(request, settings.metrics_token.value):
            return PlainTextResponse("a token is needed\n", 401, {"www-authenticate": "Bearer"})
        return Response(await measure(), media_type=CONTENT_TYPE_LATEST)

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        problems = await examine()
        if problems:
            return PlainTextResponse("".join(f"{problem}\n" for problem in problems), 503)
        return PlainTextResponse("ready\n")

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", health), Route("/readyz", ready)])


def _bears(request: Request, token: str) -> bool:
    """Whether a request brings the token, compared in constant time."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
