"""AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959)."""

from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass, field

from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Begin a SASL exchange. `mechanism`: in capitals. `initial_response`: decoded; b"" for `=`, None if not given.

    The server answers with `challenge` as often as the mechanism asks, then with a tagged response.
    """

    mechanism: str
    initial_response: bytes | None = field(default=None, repr=False)


def parse_authenticate(reader: Reader) -> Authenticate:
    reader.space("a SASL mechanism")
    mechanism = reader.atom("a SASL mechanism").decode("ascii").upper()
    initial_response = None
    if not reader.at_end():
        reader.space("an initial response")
        octets = reader.atom("an initial response")
        initial_response = b"" if octets == b"=" else decode_base64(octets)
    reader.end()
    return Authenticate(mechanism, initial_response)


def decode_base64(octets: bytes) -> bytes:
    """Decode base64 to its letter: padding where it is due, nothing else in between (RFC 4648 §4). Raises BadSyntax."""
    try:
        return a2b_base64(octets, strict_mode=True)
    except Base64Error:
        raise BadSyntax("expected base64, with its padding") from None
