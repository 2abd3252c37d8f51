"""Keys for what is written into reverse-paths of ours, so that nobody else can make one that leads somewhere.

A new key comes every `KEY_LIFE`; old ones are good until what they made has run out. What a hash is over is compared
without regard to case, in which a reverse-path may come back.
"""

import hmac
import secrets
from base64 import b32encode
from datetime import timedelta

from pennypost.store import srs
from pennypost.store.engine import Transaction

VALID_DAYS = 21
"""How long a bounce finds back. The longest that mail waits in queues is five days, of some hosts seven."""
KEY_LIFE = timedelta(days=30)
KEPT = timedelta(days=VALID_DAYS + 1)
HASH_LETTERS = 6
"""30 bits: whoever guesses is refused some hundred million times, and wins that bounces go to one address."""

_KEY_OCTETS = 32


async def current(tx: Transaction) -> bytes | None:
    """Give the key that makes hashes now. Only reads. None: `make_current` has to write."""
    keys = await srs.keys(tx)
    return None if not keys or keys[0].made_at + KEY_LIFE <= tx.now else keys[0].key


async def make_current(tx: Transaction) -> bytes:
    """Give the key that makes hashes now; one is made where there is none, or only old ones: an operation."""
    key = await current(tx)
    if key is None:
        await srs.add_key(tx, secrets.token_bytes(_KEY_OCTETS), KEPT)
        key = (await srs.keys(tx))[0].key
    return key


def hash_of(key: bytes, *parts: str) -> str:
    """Give the letters that vouch for `parts`. The first one says what kind they are of."""
    digest = hmac.digest(key, "\0".join(parts).casefold().encode("utf-8", "surrogatepass"), "sha256")
    return b32encode(digest[:5]).decode("ascii")[:HASH_LETTERS].lower()


async def is_ours(tx: Transaction, letters: str, *parts: str) -> bool:
    """Whether one of our keys has made a hash. May run as a read."""
    given = letters.lower().encode("utf-8", "replace")
    keys = await srs.keys(tx)
    return any(hmac.compare_digest(given, hash_of(key.key, *parts).encode("ascii")) for key in keys)
