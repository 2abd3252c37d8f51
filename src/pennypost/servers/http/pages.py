"""What the HTTP door answers."""

import hmac
from collections.abc import Awaitable, Callable

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pennypost.mail import client_settings
from pennypost.mail.client_settings import ClientSettings
from pennypost.servers.http.settings import HttpSettings

Measure = Callable[[], Awaitable[bytes]]
"""Gives the figures of all workers, as Prometheus reads them."""

Examine = Callable[[], Awaitable[tuple[str, ...]]]
"""Gives what keeps this worker from serving: one line each; none when it is ready."""


StsPolicyOf = Callable[[str], Awaitable[bytes | None]]
"""Gives the MTA-STS policy of a domain we serve, None where we have none for it."""


ClientSettingsOf = Callable[[str], Awaitable[ClientSettings | None]]
"""Gives what mail programs have to know of a domain we serve, None for others."""


async def _no_policy(_domain: str) -> bytes | None:
    return None


async def _no_settings(_domain: str) -> ClientSettings | None:
    return None


def make_pages(
    settings: HttpSettings,
    measure: Measure,
    examine: Examine,
    sts_policy_of: StsPolicyOf = _no_policy,
    client_settings_of: ClientSettingsOf = _no_settings,
) -> Starlette:
    """Make the application. /healthz: the process answers. /readyz: it can serve mail (else 503 and the reasons).

    /.well-known/mta-sts.txt: the policy of the domain after "mta-sts." in the Host field (RFC 8461 §3.3).
    /mail/config-v1.1.xml, /.well-known/autoconfig/mail/config-v1.1.xml, /autodiscover/autodiscover.xml: how mail
    programs are set up (`mail.client_settings`).
    """

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

    async def mta_sts(request: Request) -> Response:
        host = _host(request)
        domain = host.removeprefix("mta-sts.")
        policy = await sts_policy_of(domain) if domain != host else None
        if policy is None:
            return PlainTextResponse("no policy\n", 404)
        return Response(policy, media_type="text/plain")

    async def autoconfig(request: Request) -> Response:
        host = _host(request)
        asked = request.query_params.get("emailaddress", "").lower().rpartition("@")[2]
        for domain in dict.fromkeys((host.removeprefix("autoconfig."), asked)):
            if domain and (found := await client_settings_of(domain)) is not None:
                return Response(client_settings.autoconfig(domain, found), media_type="application/xml")
        return PlainTextResponse("not a domain of ours\n", 404)

    async def autodiscover(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > client_settings.MAX_REQUEST_OCTETS:
                return PlainTextResponse("too much was sent\n", 413)
        address = client_settings.asked_address(body)
        if address is None:
            return PlainTextResponse("no address is named\n", 400)
        found = await client_settings_of(address.lower().rpartition("@")[2])
        if found is None:
            return PlainTextResponse("not a domain of ours\n", 404)
        return Response(client_settings.autodiscover(address, found), media_type="application/xml")

    return Starlette(
        routes=[
            Route("/mail/config-v1.1.xml", autoconfig),
            Route("/.well-known/autoconfig/mail/config-v1.1.xml", autoconfig),
            *(Route(f"/{name}/{name}.xml", autodiscover, methods=["POST"]) for name in _SPELLINGS),
            Route("/.well-known/mta-sts.txt", mta_sts),
            Route("/metrics", metrics),
            Route("/healthz", health),
            Route("/readyz", ready),
        ]
    )


_SPELLINGS = ("autodiscover", "Autodiscover", "AutoDiscover")
"""How programs write the path, which matters here."""


def _host(request: Request) -> str:
    return request.headers.get("host", "").lower().partition(":")[0].rstrip(".")


def _bears(request: Request, token: str) -> bool:
    """Whether a request brings the token, compared in constant time."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
