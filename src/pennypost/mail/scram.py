"""What is kept of a password so that SCRAM can check it without knowing it (RFC 5802 §3)."""

import hashlib
import hmac

from pennypost.model.authentication import ScramHash, ScramKeys
from pennypost.model.saslprep import saslprep

ITERATIONS = 4096
"""The least that RFC 7677 §4 allows. The client pays it at each login: a phone would feel 100,000."""

SALT_OCTETS = 16


def scram_keys(password: str, salt: bytes, iterations: int, hash_: ScramHash) -> ScramKeys:
    """Derive the keys of a password (RFC 5802 §3). Raises ValueError when SASLprep prohibits it (RFC 4013 §2.3).

    It runs for milliseconds and lets go of the interpreter's lock: call it in a thread.
    """
    name = hash_.value
    salted = hashlib.pbkdf2_hmac(name, saslprep(password).encode("utf-8"), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", name)
    return ScramKeys(
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.new(name, client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", name),
    )
