"""Decide who a peer is: the answers to what SASL mechanisms ask, for SMTP, IMAP and POP3 alike.

Theory of operation
-------------------
A door drives a `proto.sasl` mechanism and brings each question here. Three things guard the passwords:

*No oracle.* An unknown account and a wrong password give one answer after the same work: nobody's hash is checked for
the unknown, and SCRAM keys that fit no password are derived from a secret for them (RFC 5802 §9).

*Failures cost.* `guard` counts them, delays the next attempt and bans, before any hash is computed.

*Right passwords are cheap.* Mail clients log in many times an hour. A password that was right for a stored hash is
remembered for minutes as an HMAC over both, under a key of this process: a changed password or a revoked credential is
another hash, so nothing has to be invalidated.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from datetime import timedelta

from pennypost.mail.guard import LoginGuard
from pennypost.mail.passwords import PasswordChecker, is_slow, matches_app, prepared
from pennypost.mail.settings import AuthSettings
from pennypost.model.authentication import (
    Authenticated,
    AuthenticationQuestion,
    PasswordQuestion,
    ScramKeys,
    ScramProof,
    ScramQuestion,
)
from pennypost.model.errors import AccountDisabled, AuthenticationFailed
from pennypost.model.ids import CredentialId
from pennypost.model.peer import Peer
from pennypost.store import credentials
from pennypost.store.store import Store

MAX_PASSWORD_CHARACTERS = 1024
"""Longer passwords are nobody's."""


class VerifiedCache:
    """Passwords that were right a moment ago, as HMACs over the hash they were right for."""

    def __init__(self, lifetime: timedelta, size: int) -> None:
        self._lifetime = lifetime.total_seconds()
        self._size = size
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def _mark(self, password_hash: str, password: str) -> bytes:
        text = f"{password_hash}\0{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, "sha256")

    def knows(self, password_hash: str, password: str) -> bool:
        """Whether this password was lately found right for this hash."""
        until = self._until.get(self._mark(password_hash, password))
        return until is not None and until > time.monotonic()

    def learn(self, password_hash: str, password: str) -> None:
        """Remember that it was right; the oldest is forgotten when there are too many."""
        mark = self._mark(password_hash, password)
        self._until[mark] = time.monotonic() + self._lifetime
        self._until.move_to_end(mark)
        if len(self._until) > self._size:
            self._until.popitem(last=False)


class Authenticator:
    """Answers authentication questions. One for each worker; what it must not forget is in the store."""

    def __init__(self, store: Store, settings: AuthSettings, secret: bytes) -> None:
        """`secret`: 32 octets, lasting, the same for all workers: an unknown name gets one SCRAM salt for ever."""
        self._store = store
        self._settings = settings
        self._secret = secret
        self._checker = PasswordChecker(settings)
        self._guard = LoginGuard(store, settings)
        self._verified = VerifiedCache(settings.verified_cache_time, settings.verified_cache_size)

    def close(self) -> None:
        """Let go of the threads that check passwords."""
        self._checker.close()

    async def answer(self, peer: Peer, question: AuthenticationQuestion) -> ScramKeys | Authenticated:
        """Answer one question of a mechanism.

        Raises AuthenticationFailed, AccountDisabled (only to those who knew the password), TooManyFailures,
        AuthenticationUnavailable.
        """
        match question:
            case PasswordQuestion():
                return await self._password(peer, question)
            case ScramQuestion():
                return await self._scram_keys(peer, question)
            case ScramProof():
                return await self._scram_proof(peer, question)

    async def _password(self, peer: Peer, question: PasswordQuestion) -> Authenticated:
        name = question.authentication_identity.casefold()
        await self._guard.admit(peer, name)
        login = await self._store.read(lambda tx: credentials.login_record(tx, name))
        found = await self._matching_credential(login, _prepared_or_nothing(question.password))
        if found is None or login is None or not _may_act_as(question.authorization_identity, login.name):
            await self._guard.failed(peer, name)
            raise AuthenticationFailed
        if not login.enabled:
            raise AccountDisabled
        await self._guard.succeeded(peer, name, found)
        return Authenticated(login.account, login.name, login.referral)

    async def _matching_credential(self, login: credentials.LoginRecord | None, password: str) -> CredentialId | None:
        """Find which of an account's credentials the password is."""
        if login is None or not password:
            await self._checker.matches(None, password)
            return None
        for credential in login.credentials:
            if self._verified.knows(credential.password_hash, password):
                return credential.id
        slow = [c for c in login.credentials if is_slow(c.password_hash)]
        for credential in login.credentials:
            if not is_slow(credential.password_hash) and matches_app(credential.password_hash, password):
                return credential.id
        if not slow:
            await self._checker.matches(None, password)
        for credential in slow:
            if await self._checker.matches(credential.password_hash, password):
                self._verified.learn(credential.password_hash, password)
                return credential.id
        return None

    async def _scram_keys(self, peer: Peer, question: ScramQuestion) -> ScramKeys:
        name = question.authentication_identity.casefold()
        await self._guard.admit(peer, name)
        keys = await self._store.read(lambda tx: credentials.scram_keys(tx, name, question.hash))
        return keys if keys is not None else self._nobodys_keys(name, question)

    def _nobodys_keys(self, name: str, question: ScramQuestion) -> ScramKeys:
        """Derive keys that look like any account's and fit no password."""
        seed = f"{question.hash.value}\0{name}".encode("utf-8", "surrogatepass")
        salt = hmac.digest(self._secret, b"salt\0" + seed, "sha256")[:16]
        size = hashlib.new(question.hash.value).digest_size
        noise = secrets.token_bytes(2 * size)
        return ScramKeys(salt, self._settings.scram_iterations, noise[:size], noise[size:])

    async def _scram_proof(self, peer: Peer, question: ScramProof) -> Authenticated:
        name = question.authentication_identity.casefold()
        login = await self._store.read(lambda tx: credentials.login_record(tx, name))
        if not question.valid or login is None or not _may_act_as(question.authorization_identity, login.name):
            await self._guard.failed(peer, name)
            raise AuthenticationFailed
        if not login.enabled:
            raise AccountDisabled
        await self._guard.succeeded(peer, name, None)
        return Authenticated(login.account, login.name, login.referral)


def _prepared_or_nothing(password: str) -> str:
    """Give the form that was hashed; empty, which matches nothing, for what can be nobody's password."""
    if len(password) > MAX_PASSWORD_CHARACTERS:
        return ""
    try:
        return prepared(password)
    except ValueError:
        return ""


def _may_act_as(authorization_identity: str, name: str) -> bool:
    """Nobody acts for another account; naming oneself is allowed (RFC 4616 §2)."""
    return not authorization_identity or authorization_identity.casefold() == name
