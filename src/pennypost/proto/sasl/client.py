"""SASL mechanisms (RFC 4422), client side: generators that yield responses and are sent the challenges.

The first thing yielded is the initial response, None where the mechanism waits for a challenge. When the server
declares success, send None: a generator that then returns is content with the server. One that does not, or that raises
AuthenticationFailed or MalformedAuthentication at any time, means that the server, or somebody between, is not who it
should be: the connection must not be used.
"""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Generator, Sequence

from pennypost.model.authentication import ScramHash
from pennypost.model.credentials import Login, PasswordLogin, TokenLogin
from pennypost.model.errors import AuthenticationFailed, MalformedAuthentication
from pennypost.model.saslprep import saslprep
from pennypost.proto.sasl.encoding import decode
from pennypost.proto.sasl.steps import Binding

ClientExchange = Generator[bytes | None, bytes | None, None]
"""One attempt of one mechanism. Start it with `next`, then `send` each challenge, decoded, and None at success."""

MIN_ITERATIONS = 4096
"""Fewer make a password easy to find out for whoever plays the server (RFC 7677 §4)."""

MAX_ITERATIONS = 200_000
"""More would only serve to make us work: 100 ms of it."""

MAX_SERVER_MESSAGE = 4096
"""Octets of a challenge."""

# server-first-message = nonce "," salt "," iteration-count ["," extensions] (RFC 5802 §7)
_SERVER_FIRST = re.compile(rb"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})(?:,[A-Za-z]=[^,]+)*")

_SCRAM = {"SCRAM-SHA-256": ScramHash.SHA_256, "SCRAM-SHA-1": ScramHash.SHA_1}


def choose(offered: Sequence[str], login: Login, *, tls: bool, binding: Binding) -> str | None:
    """Pick the strongest mechanism that the server offers and that fits the login, or None.

    What shows a password or a token is used under TLS only (RFC 4616 §6, RFC 7628 §4).
    """
    if isinstance(login, TokenLogin):
        wanted = ["OAUTHBEARER", "XOAUTH2"] if tls else []
    else:
        wanted = [f"{name}-PLUS" for name in _SCRAM] if binding.server_end_point else []
        wanted += [*_SCRAM, *(["PLAIN", "LOGIN"] if tls else [])]
    return next((name for name in wanted if name in offered), None)


def begin_as_client(
    mechanism: str, login: Login, binding: Binding, offered: Sequence[str], host: str = "", port: int = 0
) -> ClientExchange:
    """Begin an exchange of a mechanism that `choose` gave. `offered`: all that the server offers."""
    if isinstance(login, TokenLogin):
        return _oauthbearer(login, host, port) if mechanism == "OAUTHBEARER" else _xoauth2(login)
    match mechanism:
        case "PLAIN":
            return _plain(login)
        case "LOGIN":
            return _login(login)
    name = mechanism.removesuffix("-PLUS")
    plus = name != mechanism
    # RFC 5802 §6: "y" says that we could bind, and saw no -PLUS: a server that offered one knows that it was hidden.
    flag = b"p=tls-server-end-point" if plus else b"y" if binding.server_end_point else b"n"
    return _scram(_SCRAM[name], login, binding, flag)


def _plain(login: PasswordLogin) -> ClientExchange:
    """RFC 4616 §2."""
    yield b"\0%b\0%b" % (login.user.encode(), login.password.value.encode())


def _login(login: PasswordLogin) -> ClientExchange:
    """Two prompts, whatever their words are."""
    yield None
    yield login.user.encode()
    yield login.password.value.encode()


def _oauthbearer(login: TokenLogin, host: str, port: int) -> ClientExchange:
    """RFC 7628 §3.1. A challenge tells of an error: §3.2.3 has us answer with one octet, and the server then fails."""
    where = b"host=%b\x01port=%d\x01" % (host.encode(), port) if host else b""
    problem = yield (b"n,a=%b,\x01%bauth=Bearer %b\x01\x01" % (_name(login.user), where, login.token.value.encode()))
    if problem is not None:
        _check_error(problem)
        yield b"\x01"


def _xoauth2(login: TokenLogin) -> ClientExchange:
    """Google's mechanism, of which OAUTHBEARER was made."""
    problem = yield b"user=%b\x01auth=Bearer %b\x01\x01" % (login.user.encode(), login.token.value.encode())
    if problem is not None:
        yield b""


def _check_error(problem: bytes) -> None:
    try:
        json.loads(problem[:MAX_SERVER_MESSAGE])
    except ValueError:
        raise MalformedAuthentication from None


def _name(text: str) -> bytes:
    """Write a saslname: "," and "=" are escaped (RFC 5802 §5.1)."""
    return text.replace("=", "=3D").replace(",", "=2C").encode()


def _scram(hash_: ScramHash, login: PasswordLogin, binding: Binding, flag: bytes) -> ClientExchange:
    """RFC 5802 §3; with SHA-256: RFC 7677. Proves the password without showing it, and has the server prove itself."""
    header = flag + b",,"
    nonce = binding.nonce.encode("ascii")
    try:
        user, password = saslprep(login.user), saslprep(login.password.value)
    except ValueError:
        raise AuthenticationFailed("The user name or password cannot be used") from None
    first_bare = b"n=%b,r=%b" % (_name(user), nonce)
    server_first = yield header + first_bare
    if server_first is None:
        raise AuthenticationFailed("The server skipped the proof")
    match = _SERVER_FIRST.fullmatch(server_first[: MAX_SERVER_MESSAGE + 1])
    salt = decode(match[2]) if match else None
    if match is None or salt is None:
        raise MalformedAuthentication
    iterations = int(match[3])
    if not match[1].startswith(nonce) or len(match[1]) == len(nonce):
        raise AuthenticationFailed("The server's nonce does not fit")
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise AuthenticationFailed(f"The server asks for {iterations} iterations")
    name = hash_.value
    salted = hashlib.pbkdf2_hmac(name, password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", name)
    bound = header + (binding.server_end_point if flag.startswith(b"p=") else b"")
    final = b"c=%b,r=%b" % (b64encode(bound), match[1])
    auth_message = b"%b,%b,%b" % (first_bare, server_first, final)
    signature = hmac.digest(hashlib.new(name, client_key).digest(), auth_message, name)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server_final = yield final + b",p=" + b64encode(proof)
    expected = hmac.digest(hmac.digest(salted, b"Server Key", name), auth_message, name)
    if server_final is None or not hmac.compare_digest(server_final.partition(b",")[0], b"v=" + b64encode(expected)):
        raise AuthenticationFailed("The server could not prove that it knows the password")
    yield b""
