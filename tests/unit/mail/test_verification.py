"""Where the verdicts on a message let it go."""

import pytest

from pennypost.mail.verification import Filing, Handling, Verdicts, filing


@pytest.mark.parametrize(
    ("verdicts", "junk", "expected"),
    [
        (None, False, Filing.INBOX),
        (None, True, Filing.JUNK),
        (Verdicts(), False, Filing.INBOX),
        (Verdicts(handling=Handling.QUARANTINE), False, Filing.JUNK),
        (Verdicts(handling=Handling.DELIVER), True, Filing.JUNK),
    ],
)
def test_either_the_policy_or_the_score_files_as_junk(verdicts: Verdicts | None, junk: bool, expected: Filing) -> None:
    assert filing(verdicts, junk=junk) is expected
