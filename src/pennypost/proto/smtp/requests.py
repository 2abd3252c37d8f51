"""What a client sends: commands with their parameters (RFC 5321 §4.1.1), and the text of a message."""

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pennypost.model.envelope import BodyType, Envelope, Notify, Recipient
from pennypost.proto.smtp.announced import Announced
from pennypost.proto.wire import dot_stuff

_NOT_XCHAR = re.compile(rb"[^!-*,-<>-~]")
"""What xtext has to write as hexchar (RFC 3461 §4)."""

_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
"""What utf-8-addr-xtext has to write as EmbeddedUnicodeChar (RFC 6533 §3)."""


_NOT_UNITEXT = re.compile(r"[+=\\\x00-\x20\x7f]")
"""The same of utf-8-addr-unitext."""


class Verb(Enum):
    """How a session begins."""

    EHLO = "EHLO"
    HELO = "HELO"
    LHLO = "LHLO"


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, HELO or LHLO. `name`: ours, a domain or an address literal."""

    verb: Verb
    name: str

    def encode(self, _: Announced) -> bytes:
        return f"{self.verb.value} {self.name}\r\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS (RFC 3207)."""

    def encode(self, _: Announced) -> bytes:
        return b"STARTTLS\r\n"


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH (RFC 4954 §4). `initial`: not yet base64; None where the mechanism, or the length, wants none."""

    mechanism: str
    initial: bytes | None = None

    def encode(self, _: Announced) -> bytes:
        if self.initial is None:
            return f"AUTH {self.mechanism}\r\n".encode("ascii")
        return b"AUTH %b %b\r\n" % (self.mechanism.encode("ascii"), b64encode(self.initial) or b"=")


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The response to a challenge, not yet base64; None cancels the exchange."""

    data: bytes | None

    def encode(self, _: Announced) -> bytes:
        return b"*\r\n" if self.data is None else b64encode(self.data) + b"\r\n"


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL (RFC 5321 §4.1.1.2). `size`: octets of the message. `envelope.body`, `smtputf8` and `require_tls` say what
    is asked of the server: it must have announced that. What else the sender wishes goes along where it is
    announced."""

    envelope: Envelope
    size: int

    def encode(self, announced: Announced) -> bytes:
        envelope = self.envelope
        parts = [f"MAIL FROM:<{envelope.reverse_path or ''}>"]
        if announced.size:
            parts.append(f"SIZE={self.size}")  # RFC 1870 §4
        if envelope.body is not BodyType.SEVEN_BIT:
            parts.append(f"BODY={envelope.body.value}")  # RFC 6152 §2, RFC 3030 §3
        if envelope.smtputf8:
            parts.append("SMTPUTF8")  # RFC 6531 §3.4
        if envelope.require_tls:
            parts.append("REQUIRETLS")  # RFC 8689 §2
        if announced.dsn:
            if envelope.return_content is not None:
                parts.append(f"RET={envelope.return_content.value}")  # RFC 3461 §4.3
            if envelope.envelope_id is not None:
                parts.append(f"ENVID={xtext(envelope.envelope_id.encode())}")  # RFC 3461 §4.4
        if announced.deliver_by and envelope.deliver_by is not None:  # RFC 2852 §4
            wish = envelope.deliver_by
            seconds = wish.within // timedelta(seconds=1)
            parts.append(f"BY={seconds};{wish.mode.value}{'T' if wish.trace else ''}")
        if announced.priority and envelope.priority:
            parts.append(f"MT-PRIORITY={envelope.priority}")  # RFC 6710 §4.1
        return (" ".join(parts) + "\r\n").encode()


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT (RFC 5321 §4.1.1.3). `smtputf8`: the transaction is one."""

    recipient: Recipient
    smtputf8: bool = False

    def encode(self, announced: Announced) -> bytes:
        recipient = self.recipient
        line = f"RCPT TO:<{recipient.address}>"
        if announced.dsn:
            if recipient.notify is not Notify.UNSPECIFIED:
                line += f" NOTIFY={','.join(flag.name or '' for flag in recipient.notify)}"  # RFC 3461 §4.1
            if recipient.original_recipient is not None:
                line += f" ORCPT={_original(recipient.original_recipient, self.smtputf8)}"  # RFC 3461 §4.2
        return (line + "\r\n").encode()


@dataclass(frozen=True, slots=True)
class Data:
    """DATA (RFC 5321 §4.1.1.4). A 354 reply lets the Text come."""

    def encode(self, _: Announced) -> bytes:
        return b"DATA\r\n"


@dataclass(frozen=True, slots=True)
class Text:
    """The whole text of a message, CRLF lines, not dot-stuffed, and its end."""

    octets: bytes

    def encode(self, _: Announced) -> bytes:
        octets = self.octets
        end = b".\r\n" if not octets or octets.endswith(b"\r\n") else b"\r\n.\r\n"
        return dot_stuff(octets) + end


@dataclass(frozen=True, slots=True)
class Chunk:
    """BDAT (RFC 3030 §2) with its octets."""

    octets: bytes
    last: bool = True

    def encode(self, _: Announced) -> bytes:
        return b"BDAT %d%b\r\n%b" % (len(self.octets), b" LAST" if self.last else b"", self.octets)


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET (RFC 5321 §4.1.1.5)."""

    def encode(self, _: Announced) -> bytes:
        return b"RSET\r\n"


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP (RFC 5321 §4.1.1.9)."""

    def encode(self, _: Announced) -> bytes:
        return b"NOOP\r\n"


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT (RFC 5321 §4.1.1.10)."""

    def encode(self, _: Announced) -> bytes:
        return b"QUIT\r\n"


Request = Hello | StartTls | Auth | AuthResponse | Mail | Rcpt | Data | Text | Chunk | Reset | Noop | Quit


def xtext(octets: bytes) -> str:
    """Write xtext (RFC 3461 §4)."""
    return str(_NOT_XCHAR.sub(lambda match: b"+%02X" % match[0][0], octets), "ascii")


def _original(value: str, smtputf8: bool) -> str:
    """Write ORCPT's "addr-type;address" (RFC 3461 §4.2); addresses of type utf-8: RFC 6533 §3."""
    kind, _, address = value.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{xtext(address.encode())}"
    # utf-8-addr-unitext where UTF-8 may be sent, else utf-8-addr-xtext
    pattern = _NOT_UNITEXT if smtputf8 else _NOT_QCHAR
    return f"{kind};{pattern.sub(_embedded, address)}"


def _embedded(match: re.Match[str]) -> str:
    return f"\\x{{{ord(match[0]):02X}}}"
