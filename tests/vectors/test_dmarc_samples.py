"""Whose name sample messages bear (RFC 9989 §5.3.1), and what DMARC says of them without any authentication."""

import pytest
from tests.vectors import mime
from tests.vectors.spf import Zone

from pennypost.message.headers import split
from pennypost.model.verification import DmarcPolicy, DmarcResult
from pennypost.verify.dmarc import Forgery, find_author, verify_all

FOLDER = mime.root() / "dmarc-authheaders"
ZONE = {
    "_dmarc.example.com": [("TXT", "v=DMARC1; p=none; rua=mailto:a@example.com")],
    "_dmarc.example.net": [("TXT", "v=DMARC1; p=none; sp=reject")],
    "_dmarc.example.org": [("TXT", "v=DMARC1; p=reject")],
    "_dmarc.example.biz": [("TXT", "v=DMARC1; p=none; sp=quarantine; np=reject")],
    "_dmarc.gov": [("TXT", "v=DMARC1; p=none; np=reject; psd=y")],
    "sub.example.biz": [("A", "192.0.2.1")],
    "sub.example.net": [("A", "192.0.2.1")],
}
EXPECTED = {
    "test.message": (("example.com",), DmarcPolicy.NONE),
    "testcomma.message": (("example.com",), DmarcPolicy.NONE),
    "test.message_multi": (("example.org", "example.com"), DmarcPolicy.REJECT),
    "test.message_multi2": (("example.com", "example.org"), DmarcPolicy.REJECT),
    "test.message_sub": (("sub.example.net",), DmarcPolicy.REJECT),
    "test.message_np1": (("sub.example.biz",), DmarcPolicy.QUARANTINE),
    "test.message_np2": (("sub2.example.biz",), DmarcPolicy.REJECT),
    "test.gov.message": (("example.gov",), DmarcPolicy.REJECT),
    "test_nop.message": (("nop.example.org",), DmarcPolicy.REJECT),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_that_nobody_vouches_for_fails(name: str) -> None:
    header, _ = split((FOLDER / name).read_bytes())
    author = find_author(header)
    verdict = Zone(ZONE).consult(verify_all(author.domains, None, ()))
    assert (author.domains, verdict.policy) == EXPECTED[name]
    assert verdict.result is DmarcResult.FAIL


def test_a_sample_without_an_author() -> None:
    header, _ = split((FOLDER / "test.nofrom.message").read_bytes())
    assert find_author(header).forgeries == (Forgery.NO_DOMAIN,)
