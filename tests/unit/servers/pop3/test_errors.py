"""Every MailError has a response code, and the text that is sent is the error's own."""

import pytest

from pennypost.model import errors
from pennypost.model.errors import MailError, PermanentFailure, TransientFailure
from pennypost.proto.pop3 import Code, Err
from pennypost.proto.pop3.responses import build
from pennypost.servers.pop3.errors import CODES, refusal


def causes(kind: type[MailError]) -> list[type[MailError]]:
    found = []
    for subclass in kind.__subclasses__():
        if subclass.__module__ == errors.__name__ and subclass not in (TransientFailure, PermanentFailure):
            found.append(subclass)
        found += causes(subclass)
    return found


@pytest.mark.parametrize("kind", causes(MailError), ids=lambda kind: kind.__name__)
def test_every_cause_has_its_row(kind):
    assert kind in CODES
    problem = kind()
    assert refusal(problem) == Err(problem.reason, CODES[kind])
    assert build(refusal(problem)).startswith(b"-ERR [")


@pytest.mark.parametrize("kind", causes(TransientFailure), ids=lambda kind: kind.__name__)
def test_what_passes_is_never_called_permanent_or_a_wrong_password(kind):
    """RFC 3206 §4: a client must be able to try again without asking its user."""
    assert CODES[kind] in (Code.SYS_TEMP, Code.IN_USE)


def test_a_cause_without_a_row_has_its_parents():
    class Unheard(TransientFailure):
        status, text = "4.9.9", "Unheard of"

    class Worse(PermanentFailure):
        status, text = "5.9.9", "Worse"

    class Subclass(errors.MailboxInUse):
        pass

    assert refusal(Unheard()) == Err("Unheard of", Code.SYS_TEMP)
    assert refusal(Worse()) == Err("Worse", Code.SYS_PERM)
    assert refusal(Subclass()).code is Code.IN_USE
