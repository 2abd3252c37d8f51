"""What an exchange yields and is sent, and the bounds on what a peer says in it."""

from collections.abc import Generator
from dataclasses import dataclass

from pennypost.model.authentication import Authenticated, AuthenticationQuestion, ScramKeys
from pennypost.model.errors import AuthenticationFailed, MalformedAuthentication
from pennypost.model.saslprep import saslprep

Step = bytes | AuthenticationQuestion
"""A challenge for the peer (not yet base64), or a question for `mail.authenticate`."""

Answer = bytes | Authenticated | ScramKeys
"""The peer's response to a challenge; for the questions, what `model.authentication` says of each."""

Exchange = Generator[Step, Answer, Authenticated]
"""One attempt of one mechanism.

Start it with `next`, then `send` the response to each challenge and the answer to each question; it returns who the
peer is. It raises AuthenticationFailed or MalformedAuthentication. When a question is answered by a MailError, the
driver drops the exchange: nothing is held that would have to be closed.
"""

MAX_NAME = 320
"""Octets of an authentication or authorization identity: the longest address (RFC 5321 §4.5.3.1.1–2, and the @)."""

MAX_PASSWORD = 1024
"""Octets of a password: more would only serve to make us hash it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What ties an exchange to its connection. `nonce`: ours, printable ASCII without a comma, new for each exchange.

    `server_end_point`: the `tls-server-end-point` channel binding (RFC 5929 §4.1); empty when there is none.
    """

    nonce: str
    server_end_point: bytes = b""


def text(octets: bytes, limit: int) -> str:
    """Decode UTF-8, within `limit` octets, and prepare it (RFC 4013)."""
    if len(octets) > limit:
        raise AuthenticationFailed
    try:
        return saslprep(octets.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedAuthentication from error
    except ValueError as error:
        raise AuthenticationFailed from error


def response(answer: Answer) -> bytes:
    """Narrow an answer to the peer's response."""
    assert isinstance(answer, bytes)
    return answer


def authenticated(answer: Answer) -> Authenticated:
    """Narrow an answer to the verdict."""
    assert isinstance(answer, Authenticated)
    return answer
