from datetime import UTC, datetime, timedelta

import pytest

from pennypost.model.address import Address
from pennypost.model.envelope import (
    BodyType,
    DeliverBy,
    DeliverByMode,
    Envelope,
    Notify,
    Recipient,
    ReturnContent,
)
from pennypost.proto.smtp.parameters import decode_xtext, mail_envelope, rcpt_recipient
from pennypost.proto.smtp.reply import Refused

A = Address("a", "b")


@pytest.mark.parametrize(
    ("octets", "envelope"),
    [
        (b"", Envelope(A)),
        (b"SIZE=0", Envelope(A, declared_size=0)),
        (b"size=99999999999999999999", Envelope(A, declared_size=99999999999999999999)),
        (b"BODY=8bitmime", Envelope(A, body=BodyType.EIGHT_BIT_MIME)),
        (b"BODY=BINARYMIME", Envelope(A, body=BodyType.BINARY_MIME)),
        (b"SMTPUTF8 BODY=7BIT", Envelope(A, smtputf8=True)),
        (b"REQUIRETLS", Envelope(A, require_tls=True)),
        (b"RET=FULL", Envelope(A, return_content=ReturnContent.FULL)),
        (b"ENVID=QQ314159+2B  RET=hdrs", Envelope(A, return_content=ReturnContent.HEADERS, envelope_id="QQ314159+")),
        (b"AUTH=<>", Envelope(A)),
        (b"AUTH=e+3Dmc2@example.com", Envelope(A)),
    ],
)
def test_mail(octets: bytes, envelope: Envelope) -> None:
    """RFC 1870 §4, RFC 6152 §2, RFC 3030 §3, RFC 6531 §3.4, RFC 8689 §2, RFC 3461 §4.3 and §4.4, RFC 4954 §5."""
    assert mail_envelope(A, octets) == envelope


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("octets", "envelope"),
    [
        (b"HOLDFOR=3600", Envelope(A, hold=HOUR)),
        (b"HOLDUNTIL=2026-12-24T18:00:00Z", Envelope(A, hold=datetime(2026, 12, 24, 18, tzinfo=UTC))),
        (b"HOLDUNTIL=2026-12-24t18:00:00.5+01:00", Envelope(A, hold=datetime(2026, 12, 24, 17, 0, 0, 500000, UTC))),
        (b"BY=3600;R", Envelope(A, deliver_by=DeliverBy(HOUR, DeliverByMode.RETURN))),
        (b"BY=-3600;nt", Envelope(A, deliver_by=DeliverBy(-HOUR, DeliverByMode.NOTIFY, True))),
        (b"MT-PRIORITY=-9 SIZE=1", Envelope(A, declared_size=1, priority=-9)),
        (b"MT-PRIORITY=0", Envelope(A)),
    ],
)
def test_what_users_may_ask_for(octets: bytes, envelope: Envelope) -> None:
    """RFC 4865 §4, RFC 2852 §4, RFC 6710 §3: submissions only."""
    assert mail_envelope(A, octets, submission=True) == envelope
    with pytest.raises(Refused) as refused:
        mail_envelope(A, octets)
    assert refused.value.reply.code == 555


@pytest.mark.parametrize(
    "octets",
    [
        b"HOLDFOR=0",
        b"HOLDFOR=-1",
        b"HOLDFOR=1000000000",
        b"HOLDFOR=1 HOLDUNTIL=2026-12-24T18:00:00Z",
        b"HOLDUNTIL=2026-12-24",
        b"HOLDUNTIL=2026-13-24T18:00:00Z",
        b"HOLDUNTIL=2026-12-24T18:00:00",
        b"HOLDUNTIL=9999-12-31T23:59:59-23:59",
        b"HOLDUNTIL=0001-01-01T00:00:00+23:59",
        b"BY=0;R",
        b"BY=10",
        b"BY=10;X",
        b"BY=1000000000;R",
        b"MT-PRIORITY=10",
        b"MT-PRIORITY=-0",
        b"MT-PRIORITY=",
    ],
)
def test_what_users_may_not_ask_for(octets: bytes) -> None:
    with pytest.raises(Refused) as refused:
        mail_envelope(A, octets, submission=True)
    assert refused.value.reply.code == 501


@pytest.mark.parametrize(
    ("octets", "recipient"),
    [
        (b"NOTIFY=NEVER", Recipient(A, Notify.NEVER)),
        (b"notify=success,Delay", Recipient(A, Notify.SUCCESS | Notify.DELAY)),
        (b"ORCPT=rfc822;Bob+40example.com", Recipient(A, original_recipient="rfc822;Bob@example.com")),
        (b"ORCPT=utf-8;k\\x{E4}se@example.com", Recipient(A, original_recipient="utf-8;käse@example.com")),
        (b"ORCPT=rfc822;k+C3+A4se@example.com", Recipient(A, original_recipient="utf-8;käse@example.com")),
        ("ORCPT=utf-8;käse@example.com".encode(), Recipient(A, original_recipient="utf-8;käse@example.com")),
    ],
)
def test_rcpt(octets: bytes, recipient: Recipient) -> None:
    """RFC 3461 §4.1 and §4.2, RFC 6533 §3."""
    assert rcpt_recipient(A, octets) == recipient


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"SIZE", 501),
        (b"SIZE=", 501),
        (b"SIZE=-1", 501),
        (b"SIZE=1e3", 501),
        (b"SIZE=" + b"1" * 21, 501),
        (b"SIZE=1 SIZE=1", 501),
        (b"BODY=9BIT", 501),
        (b"BODY=\xff", 501),
        (b"SMTPUTF8=yes", 501),
        (b"SMTPUTF8=", 501),
        (b"REQUIRETLS=1", 501),
        (b"RET=ALL", 501),
        (b"ENVID=", 501),
        (b"ENVID=a+2", 501),
        (b"ENVID=a+0A", 501),
        (b"ENVID=" + b"x" * 101, 501),
        (b"AUTH=a+", 501),
        (b"=1", 501),
        (b"\xff=1", 501),
        (b"NOTIFY=NEVER", 555),
        (b"HOLDFOR=10", 555),
    ],
)
def test_what_mail_refuses(octets: bytes, code: int) -> None:
    """RFC 5321 §4.1.1.11."""
    with pytest.raises(Refused) as refused:
        mail_envelope(A, octets)
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (code, "5.5.4")


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"NOTIFY=", 501),
        (b"NOTIFY=NEVER,SUCCESS", 501),
        (b"NOTIFY=SUCCESS,", 501),
        (b"ORCPT=bob@example.com", 501),
        (b"ORCPT=rfc822;", 501),
        (b"ORCPT=;bob", 501),
        (b"ORCPT=rfc822;a=b", 501),
        (b"ORCPT=rfc822;+0Aa", 501),
        (b"ORCPT=rfc822;+FFa", 501),
        (b"ORCPT=utf-8;\\x{D800}", 501),
        (b"ORCPT=utf-8;\\x{FFFFFF}", 501),
        (b"ORCPT=utf-8;\xff", 501),
        (b"ORCPT=rfc822;" + b"x" * 500, 501),
        (b"SIZE=1", 555),
    ],
)
def test_what_rcpt_refuses(octets: bytes, code: int) -> None:
    with pytest.raises(Refused) as refused:
        rcpt_recipient(A, octets)
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (code, "5.5.4")


def test_xtext() -> None:
    """RFC 3461 §4."""
    assert decode_xtext(b"") == b""
    assert decode_xtext(b"a+2Bb+3D") == b"a+b="
    for bad in (b"+", b"+2", b"+2b", b"a=b", b"a b", b"\xff"):
        with pytest.raises(ValueError, match="no xtext"):
            decode_xtext(bad)
