"""RFC 9051 §7.1 and RFC 5530: every expected outcome has its response code."""

from collections.abc import Iterator

import pytest

from pennypost.model import errors
from pennypost.model.errors import MailError, PermanentFailure, TransientFailure
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Condition
from pennypost.servers.imap.errors import CODES, refusal, response_code


def subclasses(kind: type[MailError]) -> Iterator[type[MailError]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from subclasses(inner)


CAUSES = sorted(
    {kind for kind in subclasses(MailError) if kind not in (TransientFailure, PermanentFailure)},
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", [kind for kind in CAUSES if kind.__module__ == errors.__name__])
def test_every_cause_has_a_row_of_its_own(kind: type[MailError]) -> None:
    assert kind in CODES
    tagged = refusal(kind())
    assert tagged.condition is Condition.NO
    assert tagged.code == CODES[kind]
    assert tagged.text == kind.text


def test_a_cause_unknown_to_the_table_has_its_parents_code() -> None:
    class Fuller(errors.OverQuota):
        pass

    assert response_code(Fuller()) == codes.OVERQUOTA


def test_the_text_of_one_occurrence_is_told() -> None:
    assert refusal(errors.BadMailboxName("Mailbox name is too long")).text == "Mailbox name is too long"
