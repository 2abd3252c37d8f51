"""Hash and check passwords.

A password that a person chose is kept as Argon2id (RFC 9106). An app password is 100 bits of chance that we chose,
which no one can guess however fast the hash: it is kept as salted SHA-256, so that an account may have many of them
and a login still costs one Argon2id at the most. Both forms carry their parameters, so that settings can change.
"""

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pennypost.mail.scram import scram_keys
from pennypost.mail.settings import AuthSettings
from pennypost.model.authentication import ScramHash, ScramKeys
from pennypost.model.errors import AuthenticationUnavailable
from pennypost.model.saslprep import saslprep
from pennypost.model.units import KIB

_APP_PREFIX = "$pennypost-sha256$"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 letters and digits that nobody mistakes for each other: five bits each."""

SALT_OCTETS = 16


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What the store keeps of a password. The SCRAM keys are None for app passwords: SCRAM names the account only, so
    there can be one set of keys for each (RFC 5802 §5.1)."""

    password_hash: str
    scram_sha1: ScramKeys | None
    scram_sha256: ScramKeys | None


def generate_password() -> str:
    """Make a password of 100 random bits that can be read over the telephone: "abcde-fghij-kmnpq-rstuv"."""
    letters = [secrets.choice(_ALPHABET) for _ in range(20)]
    return "-".join("".join(letters[i : i + 5]) for i in range(0, 20, 5))


def _hasher(settings: AuthSettings) -> PasswordHasher:
    return PasswordHasher(
        time_cost=settings.hash_passes, memory_cost=max(8, settings.hash_memory // KIB), parallelism=1
    )


def account_credential(password: str, settings: AuthSettings) -> NewCredential:
    """Hash a password that a person chose. Takes some 40 ms of processor time: not for the event loop.

    Raises ValueError when SASLprep prohibits it (RFC 4013 §2.3).
    """
    salt1, salt256 = secrets.token_bytes(SALT_OCTETS), secrets.token_bytes(SALT_OCTETS)
    rounds = settings.scram_iterations
    return NewCredential(
        password_hash=_hasher(settings).hash(prepared(password)),
        scram_sha1=scram_keys(password, salt1, rounds, ScramHash.SHA_1),
        scram_sha256=scram_keys(password, salt256, rounds, ScramHash.SHA_256),
    )


def app_credential(password: str) -> NewCredential:
    """Hash an app password made by `generate_password`; never use it for one that a person chose."""
    salt = secrets.token_bytes(SALT_OCTETS)
    digest = hashlib.sha256(salt + _app_form(password)).digest()
    return NewCredential(_APP_PREFIX + b64encode(salt + digest).decode("ascii"), None, None)


def prepared(password: str) -> str:
    """Give the form in which passwords are hashed and compared (RFC 4013): SASLprep, whatever way one came in by."""
    return saslprep(password)


def _app_form(password: str) -> bytes:
    """People type app passwords with and without the hyphens, and copy spaces along."""
    return password.replace("-", "").replace(" ", "").lower().encode("utf-8")


def is_slow(password_hash: str) -> bool:
    """Whether checking against this hash takes long enough to need a thread."""
    return not password_hash.startswith(_APP_PREFIX)


def matches_app(password_hash: str, password: str) -> bool:
    """Compare with the hash of an app password, in a few microseconds."""
    packed = b64decode(password_hash[len(_APP_PREFIX) :])
    salt, digest = packed[:SALT_OCTETS], packed[SALT_OCTETS:]
    return hmac.compare_digest(hashlib.sha256(salt + _app_form(password)).digest(), digest)


class PasswordChecker:
    """Checks passwords against Argon2id hashes in a few threads, with a bounded queue before them."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.hash_threads, thread_name_prefix="password")
        self._hasher = _hasher(settings)
        self._waiting = 0
        self._nobody: str | None = None

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Compare a password with an Argon2id hash; None, the hash of nobody, takes the same time and is False.

        Raises AuthenticationUnavailable when too many checks wait already.
        """
        if self._waiting >= self._settings.hash_queue + self._settings.hash_threads:
            raise AuthenticationUnavailable
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._matches_now, password_hash, password
            )
        finally:
            self._waiting -= 1

    def _matches_now(self, password_hash: str | None, password: str) -> bool:
        if self._nobody is None:  # made by whoever comes first: a first unknown name must not take longer
            self._nobody = self._hasher.hash(secrets.token_hex(16))
        if password_hash is None:
            self._verify(self._nobody, password)
            return False
        return self._verify(password_hash, password)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def close(self) -> None:
        """Let the running checks end; those that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
