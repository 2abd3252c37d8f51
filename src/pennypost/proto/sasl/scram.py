"""SCRAM (RFC 5802; with SHA-256: RFC 7677), server side.

    C: gs2-header  n=user,r=client-nonce
    S: r=client-nonce server-nonce,s=salt,i=iterations
    C: c=gs2-header and channel binding,r=both nonces,p=proof
    S: v=signature
    C: (empty)

The gs2 header says what the client thinks of channel binding (RFC 5802 §6): `p=type` it binds; `y` it could, and
believes that we cannot: if we offered a -PLUS mechanism, somebody took it out of our list; `n` it cannot.
The only type is `tls-server-end-point` (RFC 5929 §4): Python's ssl has no exporter for the one of RFC 9266.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from dataclasses import dataclass

from pennypost.model.authentication import ScramHash, ScramKeys, ScramProof, ScramQuestion
from pennypost.model.errors import AuthenticationFailed, MalformedAuthentication
from pennypost.proto.sasl.encoding import decode
from pennypost.proto.sasl.steps import MAX_NAME, Binding, Exchange, authenticated, response, text

MAX_MESSAGE = 4096
"""Octets of a client's message: two names, a nonce and what extensions add."""

MAX_NONCE = 512
"""Octets of the client's nonce."""

_CLIENT_FIRST = re.compile(
    rb"(?P<header>(?:(?P<flag>[yn])|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<authorization>[^,]+))?,)"
    rb"(?P<bare>n=(?P<name>[^,]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*)",
    re.DOTALL,
)
"""RFC 5802 §7, client-first-message. `m=` before `n=` does not fit: we know no mandatory extension."""

_CLIENT_FINAL = re.compile(
    rb"(?P<without_proof>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*?)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)",
    re.DOTALL,
)
"""RFC 5802 §7, client-final-message."""

_BINDING_TYPE = b"tls-server-end-point"


@dataclass(frozen=True, slots=True)
class _ClientFirst:
    header: bytes
    bare: bytes
    name: str
    authorization: str
    nonce: bytes


def scram(hash_: ScramHash, plus: bool, initial: bytes | None, binding: Binding) -> Exchange:
    """Authenticate by proof of the password's keys (RFC 5802 §3). `plus`: the mechanism's name ends in -PLUS."""
    message = initial if initial is not None else response((yield b""))
    first = _client_first(message, plus, binding)

    keys = yield ScramQuestion(first.name, first.authorization, hash_)
    assert isinstance(keys, ScramKeys)
    nonce = first.nonce + binding.nonce.encode("ascii")
    server_first = b"r=%b,s=%b,i=%d" % (nonce, b64encode(keys.salt), keys.iterations)

    message = response((yield server_first))
    final = _CLIENT_FINAL.fullmatch(message) if len(message) <= MAX_MESSAGE else None
    if final is None:
        raise MalformedAuthentication
    bound = first.header + (binding.server_end_point if plus else b"")
    proof = decode(final["proof"])
    fits = final["nonce"] == nonce and decode(final["binding"]) == bound and proof is not None
    auth_message = b"%b,%b,%b" % (first.bare, server_first, final["without_proof"])
    valid = _proof_is_valid(hash_, keys, auth_message, proof or b"") and fits

    verdict = authenticated((yield ScramProof(first.name, first.authorization, valid)))
    if not valid:
        raise AuthenticationFailed
    signature = hmac.digest(keys.server_key, auth_message, hash_.value)
    if response((yield b"v=" + b64encode(signature))):
        raise MalformedAuthentication
    return verdict


def _client_first(message: bytes, plus: bool, binding: Binding) -> _ClientFirst:
    """Parse the first message, and check what it says of channel binding."""
    first = _CLIENT_FIRST.fullmatch(message) if len(message) <= MAX_MESSAGE else None
    if first is None or len(first["nonce"]) > MAX_NONCE:
        raise MalformedAuthentication
    if plus:
        if first["binding"] != _BINDING_TYPE or not binding.server_end_point:
            raise AuthenticationFailed("Unsupported channel binding")
    elif first["binding"] is not None:
        raise AuthenticationFailed("Channel binding needs a -PLUS mechanism")
    elif first["flag"] == b"y" and binding.server_end_point:
        # RFC 5802 §6: the client did not see the -PLUS mechanism that we offered.
        raise AuthenticationFailed("Channel binding was hidden on the way")
    return _ClientFirst(
        first["header"], first["bare"], _name(first["name"]), _name(first["authorization"] or b""), first["nonce"]
    )


def _name(saslname: bytes) -> str:
    """Undo the escapes of a name: =2C is a comma, =3D an equals sign, any other = an error (RFC 5802 §5.1)."""
    if saslname.count(b"=") != saslname.count(b"=2C") + saslname.count(b"=3D"):
        raise MalformedAuthentication
    name = text(saslname.replace(b"=2C", b",").replace(b"=3D", b"="), MAX_NAME)
    if saslname and not name:
        raise AuthenticationFailed
    return name


def _proof_is_valid(hash_: ScramHash, keys: ScramKeys, auth_message: bytes, proof: bytes) -> bool:
    """Check a proof (RFC 5802 §3), in the same time whatever is wrong with it."""
    signature = hmac.digest(keys.stored_key, auth_message, hash_.value)
    if len(proof) != len(signature):
        proof = bytes(len(signature))
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.new(hash_.value, client_key).digest(), keys.stored_key)
