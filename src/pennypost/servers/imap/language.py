"""LANGUAGE (RFC 5255 §3.2): all our texts are in English."""

from pennypost.proto.imap.commands.language import Language
from pennypost.proto.imap.responses import server
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap.session import Session

_ENGLISH, _DEFAULT = b"EN", b"I-DEFAULT"
_KNOWN = {"en": _ENGLISH, "*": _ENGLISH, "i-default": _DEFAULT, "default": _DEFAULT}


async def language(session: Session, command: Language) -> Tagged:
    """Tell which languages there are, or choose the first that is known; NO leaves the one that was."""
    if not command.ranges:
        session.write(server.language((_ENGLISH, _DEFAULT)))
        return ok("LANGUAGE completed")
    chosen = next((known for asked in command.ranges if (known := _looked_up(asked.casefold())) is not None), None)
    if chosen is None:
        return no("Language is not supported")
    session.write(server.language((chosen,)))
    return ok("LANGUAGE completed")


def _looked_up(asked: str) -> bytes | None:
    """Find a language by a range, shortened from behind until it is one that we have (RFC 4647 §3.4)."""
    while asked:
        if asked in _KNOWN:
            return _KNOWN[asked]
        asked = asked.rpartition("-")[0]
        if asked[-2:-1] == "-":
            asked = asked[:-2]
    return None
