"""STARTTLS (RFC 9051 §6.2.1)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin TLS after the OK. The machine then forgets what was buffered and waits for `tls_started`."""


def parse_starttls(reader: Reader) -> StartTls:
    reader.end()
    return StartTls()
