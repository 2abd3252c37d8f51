"""Sign mail of our domains with DKIM (RFC 6376, RFC 8463).

A submission is signed once, before it is stored, so the copies of local recipients and those that are sent carry the
same signatures. A domain has two keys, RSA and Ed25519, and a message gets a signature of each: whoever does not know
the younger algorithm finds the other. Private keys lie in the store; with a `key_secret` they are sealed there by
AES-256-GCM under a key derived from it, and whoever steals the store cannot sign.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from pennypost.message import headers
from pennypost.message.addresses import addresses, parse_addresses
from pennypost.model.errors import BadAddress, SigningKeyLocked
from pennypost.model.secret import Secret
from pennypost.store import signing_keys
from pennypost.store.engine import Transaction
from pennypost.store.keys import canonical_domain
from pennypost.store.signing_keys import StoredKey
from pennypost.store.store import Store
from pennypost.verify.dkim import SigningAlgorithm, SigningKey, public_record, sign

_NONCE_OCTETS = 12
_CONTEXT = b"pennypost signing keys\0"
_SELECTOR_LETTERS = {SigningAlgorithm.RSA_SHA256: "r", SigningAlgorithm.ED25519_SHA256: "e"}
_MAX_LABELS = 8
"""Labels of a From domain that are taken away to find a domain of ours with keys."""


@dataclass(frozen=True, slots=True)
class SigningSettings:
    """How mail of our domains is signed (DKIM)."""

    sign: bool = True
    """Sign what our users submit, if their domain has keys (`pennypost dkim generate`)."""

    key_secret: Secret | None = None
    """Seals private keys in the store: any long random text, in a file or the environment. None: they lie there as they
    are. A key that was sealed needs the same secret for ever."""

    publish_time: timedelta = timedelta(days=2)
    """How long a new key of a domain that has one already is published before it signs."""

    retire_time: timedelta = timedelta(days=14)
    """How long a key stays published after another has taken its place: mail may be under way for days."""

    rsa_bits: int = 2048
    """Of new RSA keys. Larger ones do not fit into one string of a DNS record, and cost four times as much to sign."""

    def __post_init__(self) -> None:
        if self.rsa_bits not in (1024, 2048, 3072, 4096):
            raise ValueError("rsa_bits: expected 1024, 2048, 3072 or 4096")


class KeyBox:
    """Seals private keys for the store, and opens them."""

    def __init__(self, secret: Secret | None) -> None:
        self._cipher = None if secret is None else AESGCM(sha256(_CONTEXT + secret.value.encode()).digest())

    def seal(self, octets: bytes, domain: str, selector: str) -> tuple[bytes, bool]:
        """Give what to store, and whether it is sealed."""
        if self._cipher is None:
            return octets, False
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        return nonce + self._cipher.encrypt(nonce, octets, _bound_to(domain, selector)), True

    def open(self, key: StoredKey) -> bytes:
        """Give the private key. Raises SigningKeyLocked: sealed, and the secret is not there or another one."""
        if not key.sealed:
            return key.private_key
        if self._cipher is None:
            raise SigningKeyLocked(f"The signing key {key.selector} of {key.domain} is sealed: set dkim.key_secret")
        nonce, sealed = key.private_key[:_NONCE_OCTETS], key.private_key[_NONCE_OCTETS:]
        try:
            return self._cipher.decrypt(nonce, sealed, _bound_to(key.domain, key.selector))
        except InvalidTag:
            raise SigningKeyLocked(
                f"The signing key {key.selector} of {key.domain} was sealed with another dkim.key_secret"
            ) from None


def _bound_to(domain: str, selector: str) -> bytes:
    return f"{selector}._domainkey.{domain}".encode()


# -- Making keys


def make_key(algorithm: SigningAlgorithm, rsa_bits: int) -> RSAPrivateKey | Ed25519PrivateKey:
    """Make a private key. RSA takes a tenth of a second."""
    if algorithm is SigningAlgorithm.RSA_SHA256:
        return generate_private_key(65537, rsa_bits)
    return Ed25519PrivateKey.generate()


async def generate(
    tx: Transaction,
    settings: SigningSettings,
    domain: str,
    keys: dict[SigningAlgorithm, RSAPrivateKey | Ed25519PrivateKey],
    *,
    at_once: bool = False,
) -> list[StoredKey]:
    """Give a domain new keys, made before by `make_key`. Each signs at once if the domain has none of its algorithm,
    or with `at_once`; else after `publish_time`, if it is published by then. Raises NoSuchDomain, BadAddress."""
    name = canonical_domain(domain)
    have = await signing_keys.of_domain(tx, name)
    box = KeyBox(settings.key_secret)
    taken = await signing_keys.selectors(tx, name)
    made: list[StoredKey] = []
    for algorithm, key in keys.items():
        selector = _selector(algorithm, tx.now, taken)
        taken.add(selector)
        first = not any(other.algorithm == algorithm.value for other in have)
        octets = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        stored, sealed = box.seal(octets, name, selector)
        active_from = tx.now if first or at_once else tx.now + settings.publish_time
        record = public_record(key.public_key())
        published_at = tx.now if at_once else None
        new = StoredKey(name, selector, algorithm.value, stored, sealed, record, tx.now, active_from, published_at)
        await signing_keys.add(tx, new)
        made.append(new)
    return made


def _selector(algorithm: SigningAlgorithm, now: datetime, taken: set[str]) -> str:
    """Name a key by its day and algorithm: "20261127r", and a letter more if there are several of a day."""
    base = f"{now:%Y%m%d}{_SELECTOR_LETTERS[algorithm]}"
    return next(name for name in (base, *(f"{base}{number}" for number in range(2, 10_000))) if name not in taken)


# -- Signing


class Signer:
    """Signs messages of one worker. Private keys that were opened are kept in memory."""

    def __init__(self, store: Store, settings: SigningSettings) -> None:
        self._store = store
        self._settings = settings
        self._box = KeyBox(settings.key_secret)
        self._opened: dict[tuple[str, str], SigningKey] = {}

    async def keys(self, domain: str) -> list[SigningKey]:
        """Give the keys that sign for a domain now: its own, or those of a domain of ours above it, which DMARC takes
        for aligned (RFC 9989). None: it does not sign. Raises SigningKeyLocked."""
        if not self._settings.sign:
            return []
        try:
            name = canonical_domain(domain)
        except BadAddress:
            return []
        found = await self._store.glance(lambda tx: _active(tx, name))
        return [self._open(key) for key in found]

    async def keys_within(self, tx: Transaction, header_block: bytes) -> list[SigningKey]:
        """Give what `keys_for` does, within a transaction. Raises SigningKeyLocked."""
        domain = _author_domain(header_block)
        if not self._settings.sign or domain is None:
            return []
        return [self._open(key) for key in await _active(tx, domain)]

    def _open(self, key: StoredKey) -> SigningKey:
        known = self._opened.get((key.domain, key.selector))
        if known is None:
            private = load_der_private_key(self._box.open(key), None)
            assert isinstance(private, RSAPrivateKey | Ed25519PrivateKey)
            known = self._opened[key.domain, key.selector] = SigningKey(key.domain, key.selector, private)
        return known

    async def keys_for(self, header_block: bytes) -> list[SigningKey]:
        """Give the keys for the author of a message: for the domain of its From."""
        domain = _author_domain(header_block)
        return await self.keys(domain) if domain is not None else []


def _author_domain(header_block: bytes) -> str | None:
    """Give the domain of From, as domains are stored; None: there is none."""
    author = headers.value(header_block, b"from")
    listed = list(addresses(parse_addresses(author))) if author is not None else []
    try:
        return canonical_domain(listed[0].domain) if listed else None
    except BadAddress:
        return None


async def _active(tx: Transaction, domain: str) -> list[StoredKey]:
    """Find the keys that sign for a domain, or for one above it."""
    labels = domain.split(".")
    for start in range(max(1, min(len(labels) - 1, _MAX_LABELS))):
        keys = await signing_keys.of_domain(tx, ".".join(labels[start:]))
        if keys:
            return signing_keys.active(keys, tx.now)
    return []


def signature_fields(header_block: bytes, body: bytes | memoryview, keys: list[SigningKey], now: datetime) -> bytes:
    """Give the DKIM-Signature fields to put before a header. What is signed must not change afterwards.

    Takes half a millisecond, and the time to hash the body: of a large one, do it on a thread.
    """
    return sign(header_block, body, keys, int(now.timestamp()))
