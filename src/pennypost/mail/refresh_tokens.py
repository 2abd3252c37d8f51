"""Refresh tokens that follow the configured ones (RFC 6749 §6), for all workers, and after a restart.

An authorization server may give another refresh token with each access token, and take the one before for worthless, or
for stolen. So one worker refreshes at a time, with the token that was given last. It lies in the store, sealed with a
key that is made of the configured one: who reads the store alone has nothing, and when the administrator configures
another token, what followed the old one cannot be opened, and is forgotten.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from hashlib import sha256

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pennypost.clients.smtp.oauth import HTTP_SECONDS
from pennypost.model.errors import MailError
from pennypost.model.secret import Secret
from pennypost.store import leases, refresh_tokens
from pennypost.store.store import Store

_CONTEXT = b"pennypost refresh token\0"
_NONCE_OCTETS = 12
_LEASE_TIME = timedelta(seconds=HTTP_SECONDS + 5)
_LOOK_SECONDS = 0.1

_log = structlog.stdlib.get_logger("pennypost.relay")


class KeptToken:
    """The `oauth.TokenKeeper` of one login. `configured`: its first token."""

    def __init__(self, store: Store, login: str, configured: Secret) -> None:
        self._store = store
        self._login = login
        self._cipher = AESGCM(sha256(_CONTEXT + configured.value.encode()).digest())
        self._lease = f"refresh-token {login}"

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no other worker refreshes. One that was killed keeps the others waiting for half a minute."""
        holder = f"{self._store.worker}-{secrets.token_hex(8)}"
        try:
            while not await self._is_ours(holder):  # noqa: ASYNC110 - it is another process that has it
                await asyncio.sleep(_LOOK_SECONDS)
            yield
        finally:
            with suppress(MailError):  # it runs out by itself
                await self._store.write(lambda tx: leases.release(tx, self._lease, holder))

    async def _is_ours(self, holder: str) -> bool:
        return await self._store.write(lambda tx: leases.acquire(tx, self._lease, holder, _LEASE_TIME))

    async def find(self) -> Secret | None:
        """Give the token that was kept last. None: the configured one is good."""
        sealed = await self._store.glance(lambda tx: refresh_tokens.find(tx, self._login))
        if sealed is None:
            return None
        try:
            opened = self._cipher.decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], self._login.encode())
        except InvalidTag:  # another token is configured now
            return None
        return Secret(opened.decode())

    async def keep(self, token: Secret) -> bool:
        """Keep a token. False: the store cannot."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        sealed = nonce + self._cipher.encrypt(nonce, token.value.encode(), self._login.encode())
        try:
            await self._store.write(lambda tx: refresh_tokens.keep(tx, self._login, sealed))
        except MailError as problem:
            _log.error("a refresh token is not kept", login=self._login, reason=str(problem))
            return False
        return True
