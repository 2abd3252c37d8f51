"""IDLE (RFC 9051 §6.3.13, RFC 2177)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Idle:
    """Be told of news until DONE. Answered with `continue_`, later, after `IdleDone`, with OK."""


def parse_idle(reader: Reader) -> Idle:
    reader.end()
    return Idle()
