"""Reports that real hosts wrote are read: Postfix, sendmail, Exim, Amazon SES and others."""

import pytest
from tests.vectors import mime

from pennypost.mail.heard import read_report
from pennypost.message.headers import split

RUBY = "mime-rubymail/emails/multipart_report_emails"
EXPECTED = {
    f"{RUBY}/multi_address_bounce1.eml": [("failed", "5.1.1")] * 5,
    f"{RUBY}/multi_address_bounce2.eml": [("failed", "5.1.1")] * 5,
    f"{RUBY}/multipart_report_multiple_status.eml": [("failed", "5.3.0")],
    f"{RUBY}/report_422.eml": [("delayed", "4.2.2")],
    f"{RUBY}/report_530.eml": [("failed", "5.3.0")],
    "mime-cpython/msg_43.txt": [("failed", "5.7.1")] * 25,
    "mime-mimekit/messages/delivery-status.txt": [("failed", "")],
    "mime-mimekit/messages/delivery-status2.txt": [("failed", "5.0.0")],
    "mime-nodemailer/delivery-status.eml": [("failed", "5.1.1")],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_read(name: str) -> None:
    header, body = split((mime.root() / name).read_bytes())
    report = read_report(header, body, "mail.penny.test")
    assert report is not None
    assert [(told.action, told.status) for told in report.told] == EXPECTED[name]
    assert all("@" in told.final and "<" not in told.final for told in report.told)


@pytest.mark.parametrize(
    "name",
    [
        "mime-mimekit/messages/bounce.txt",  # a filter on the way took the fields of the recipients for a header
        "mime-mimekit/messages/delivery-status-multiple-blank-lines.txt",  # no Action (RFC 3464 §2.3.3)
        "mime-cpython/msg_05.txt",
    ],
)
def test_what_says_nothing_is_none(name: str) -> None:
    assert read_report(*split((mime.root() / name).read_bytes()), "mail.penny.test") is None
