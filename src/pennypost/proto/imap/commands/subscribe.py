"""SUBSCRIBE (RFC 9051 §6.3.7) and UNSUBSCRIBE (RFC 9051 §6.3.8)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Subscribe:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    mailbox: str


def parse_subscribe(reader: Reader) -> Subscribe:
    return Subscribe(_mailbox(reader))


def parse_unsubscribe(reader: Reader) -> Unsubscribe:
    return Unsubscribe(_mailbox(reader))


def _mailbox(reader: Reader) -> str:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.end()
    return mailbox
