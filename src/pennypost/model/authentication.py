"""What a SASL exchange asks, and what it is answered.

A mechanism (`proto.sasl`) yields one of the questions; `mail.authenticate` answers it; neither knows the other.
"""

from dataclasses import dataclass
from enum import Enum

from pennypost.model.ids import AccountId


class ScramHash(Enum):
    """The hash of a SCRAM mechanism (RFC 5802, RFC 7677). The value is what hashlib calls it."""

    SHA_1 = "sha1"
    SHA_256 = "sha256"


@dataclass(frozen=True, slots=True)
class PasswordQuestion:
    """Is `password` right for `authentication_identity`? Answered with an `Authenticated`, or AuthenticationFailed.

    `authorization_identity`: whom to act as; empty is the same as `authentication_identity` (RFC 4616 §2).
    Both are prepared with SASLprep (RFC 4013).
    """

    authentication_identity: str
    authorization_identity: str
    password: str


@dataclass(frozen=True, slots=True)
class ScramQuestion:
    """Which SCRAM keys belong to `authentication_identity`? Answered with `ScramKeys`: for an unknown account too, then
    with keys that fit no password, so that both take the same path (RFC 5802 §9)."""

    authentication_identity: str
    authorization_identity: str
    hash: ScramHash


@dataclass(frozen=True, slots=True)
class ScramProof:
    """The outcome of checking the client's proof against `ScramKeys`. Answered with an `Authenticated`, or
    AuthenticationFailed (always when `valid` is False; also for a disabled account)."""

    authentication_identity: str
    authorization_identity: str
    valid: bool


AuthenticationQuestion = PasswordQuestion | ScramQuestion | ScramProof


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps instead of a password (RFC 5802 §3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who the peer has proved to be. `name`, `referral`: the account's."""

    account: AccountId
    name: str
    referral: str | None = None
