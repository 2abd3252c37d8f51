"""Access tokens for OAUTHBEARER and XOAUTH2, refreshed over HTTPS (RFC 6749 §6)."""

import asyncio
import json
import ssl
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import httpx2

from pennypost.model.errors import AuthenticationUnavailable
from pennypost.model.secret import Secret

HTTP_SECONDS = 30.0
MAX_ANSWER_OCTETS = 64 * 1024
EARLY_SECONDS = 60.0
"""A token is refreshed so long before it runs out."""

DEFAULT_LIFE_SECONDS = 300.0
"""Of a token whose life is not told."""


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Where and with what a refresh token is turned into access tokens. `scope`: "" asks for what was granted."""

    token_url: str
    """The authorization server's token endpoint, https."""

    client_id: str
    refresh_token: Secret
    client_secret: Secret | None = None
    scope: str = ""

    def __post_init__(self) -> None:
        if not self.token_url.startswith("https://"):
            raise ValueError("token_url: expected https")


class TokenKeeper(Protocol):
    """Keeps the refresh token that was given last. All but `keep` raise MailError."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Let one refresh at a time: each may make the refresh token before it worthless."""

    async def find(self) -> Secret | None:
        """Give the token that was kept last; None: there is none."""

    async def keep(self, token: Secret) -> bool:
        """Keep a token. False: it cannot be kept."""


class TokenSource:
    """Gives access tokens of one account, and gets a new one when the old one runs out. `trust`: whom HTTPS trusts.
    `keeper`: None keeps refresh tokens in memory only."""

    def __init__(self, client: OAuthClient, trust: ssl.SSLContext, keeper: TokenKeeper | None = None) -> None:
        self._client = client
        self._trust = trust
        self._keeper = keeper
        self._is_kept = True
        self._refresh_token = client.refresh_token
        self._token: Secret | None = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """Do not use the token again: a server refused it."""
        self._token = None

    async def token(self) -> Secret:
        """Give a token that holds. Raises AuthenticationUnavailable, and what the keeper raises."""
        async with self._lock:
            if self._token is None or time.monotonic() >= self._until:
                await self._refresh()
            assert self._token is not None
            return self._token

    async def _refresh(self) -> None:
        keeper = self._keeper
        if keeper is None:
            await self._ask()
            return
        async with keeper.turn():
            if self._is_kept and (kept := await keeper.find()) is not None:
                self._refresh_token = kept
            before = self._refresh_token
            await self._ask()
            if self._refresh_token.value != before.value or not self._is_kept:
                self._is_kept = await keeper.keep(self._refresh_token)

    async def _ask(self) -> None:
        client = self._client
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._refresh_token.value,
            "client_id": client.client_id,
        }
        if client.client_secret is not None:
            form["client_secret"] = client.client_secret.value
        if client.scope:
            form["scope"] = client.scope
        try:
            async with asyncio.timeout(HTTP_SECONDS):
                status, content = await self._post(form)
            if status != 200:
                raise AuthenticationUnavailable(f"No access token: HTTP {status}")
            answer = json.loads(content)
            token = answer["access_token"]
            life = float(answer.get("expires_in", DEFAULT_LIFE_SECONDS))
        except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise AuthenticationUnavailable(f"No access token: {type(problem).__name__}") from None
        if not isinstance(token, str):
            raise AuthenticationUnavailable("No access token in the answer")
        self._token = Secret(token)
        self._until = time.monotonic() + max(0.0, life - EARLY_SECONDS)
        if isinstance(rotated := answer.get("refresh_token"), str):
            self._refresh_token = Secret(rotated)  # RFC 6749 §6: the old one may be of no more use

    async def _post(self, form: dict[str, str]) -> tuple[int, bytes]:
        """POST a form. Gives status and content. Raises AuthenticationUnavailable for more than `MAX_ANSWER_OCTETS`."""
        fields = {"Accept-Encoding": "identity", "Accept": "application/json"}
        async with (
            httpx2.AsyncClient(verify=self._trust, timeout=HTTP_SECONDS, trust_env=False) as http,
            http.stream("POST", self._client.token_url, data=form, headers=fields) as response,
        ):
            content = b""
            async for piece in response.aiter_raw():
                content += piece
                if len(content) > MAX_ANSWER_OCTETS:
                    raise AuthenticationUnavailable("No access token: the answer is too large")
            return response.status_code, content
