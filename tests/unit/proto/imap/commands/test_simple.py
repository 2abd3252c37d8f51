"""Commands without arguments."""

import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.capability import Capability
from pennypost.proto.imap.commands.check import Check
from pennypost.proto.imap.commands.close import Close, Unselect
from pennypost.proto.imap.commands.expunge import Expunge
from pennypost.proto.imap.commands.idle import Idle
from pennypost.proto.imap.commands.logout import Logout
from pennypost.proto.imap.commands.namespace import Namespace
from pennypost.proto.imap.commands.noop import Noop
from pennypost.proto.imap.commands.starttls import StartTls

SIMPLE = {
    b"CAPABILITY": Capability(),  # RFC 9051 §6.1.1
    b"NOOP": Noop(),  # RFC 9051 §6.1.2
    b"LOGOUT": Logout(),  # RFC 9051 §6.1.3
    b"STARTTLS": StartTls(),  # RFC 9051 §6.2.1
    b"NAMESPACE": Namespace(),  # RFC 2342
    b"IDLE": Idle(),  # RFC 2177
    b"CHECK": Check(),  # RFC 3501 §6.4.1
    b"CLOSE": Close(),  # RFC 9051 §6.4.1
    b"UNSELECT": Unselect(),  # RFC 3691
    b"EXPUNGE": Expunge(),  # RFC 9051 §6.4.3
}


@pytest.mark.parametrize("verb", SIMPLE)
def test_takes_nothing(verb: bytes) -> None:
    assert parse(verb) == SIMPLE[verb]
    assert reason(verb + b" ") == "expected the end of the command"
    assert reason(verb + b" x") == "expected the end of the command"
