"""LOGIN (RFC 9051 §6.2.3)."""

from dataclasses import dataclass, field

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Login:
    """Log in with a password in clear."""

    name: str
    password: str = field(repr=False)


def parse_login(reader: Reader) -> Login:
    reader.space("a user name")
    name = reader.text("a user name")
    reader.space("a password")
    password = reader.text("a password")
    reader.end()
    return Login(name, password)
