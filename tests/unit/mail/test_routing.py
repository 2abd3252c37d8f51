from collections.abc import Mapping
from ipaddress import ip_address
from typing import TypeVar

import pytest

from pennypost.mail.routing import Exchangers, accepts_mail, find_addresses, find_exchangers, literal_address
from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsStatus, MxRecord, RecordType
from pennypost.model.errors import DirectoryFailure, MailError, NoSuchMailDomain, NullMx, RoutingLoop, Unroutable

T = TypeVar("T")
Answers = Mapping[tuple[str, RecordType], DnsAnswer]
MX, A, AAAA = RecordType.MX, RecordType.A, RecordType.AAAA
NO_DATA = DnsAnswer(DnsStatus.NO_DATA)
FAILED = DnsAnswer(DnsStatus.FAILED)


def consult(consultation: Consultation[T], answers: Answers) -> T:
    try:
        question = next(consultation)
        while True:
            assert isinstance(question, DnsQuestion)
            question = consultation.send(answers.get((question.name, question.type), NO_DATA))
    except StopIteration as done:
        result: T = done.value
        return result


def mx(*records: tuple[int, str], authentic: bool = False) -> Answers:
    found = tuple(MxRecord(preference, exchange) for preference, exchange in records)
    return {("example.org", MX): DnsAnswer(DnsStatus.FOUND, found, authentic)}


def exchangers(answers: Answers, *own_names: str) -> Exchangers:
    return consult(find_exchangers("example.org", own_names, lambda records: records.reverse()), answers)


def test_hosts_come_by_preference_equals_in_any_order() -> None:
    """RFC 5321 §5.1."""
    answers = mx((20, "c"), (10, "a"), (10, "b"), (30, "a"), authentic=True)
    assert exchangers(answers) == Exchangers(("b", "a", "c"), authentic=True)


def test_without_mx_the_domain_is_its_own_host() -> None:
    assert exchangers({}) == Exchangers(("example.org",), authentic=False, implicit=True)


@pytest.mark.parametrize(
    ("answers", "own", "error"),
    [
        ({("example.org", MX): FAILED}, "", DirectoryFailure),
        ({("example.org", MX): DnsAnswer(DnsStatus.NO_SUCH_NAME)}, "", NoSuchMailDomain),
        (mx((0, "")), "", NullMx),
        (mx((10, "me"), (10, "a"), (20, "b")), "me", RoutingLoop),
        ({}, "example.org", RoutingLoop),
    ],
)
def test_domains_that_lead_nowhere(answers: Answers, own: str, error: type[MailError]) -> None:
    with pytest.raises(error):
        exchangers(answers, own)


def test_behind_ourselves_nobody_is_tried() -> None:
    assert exchangers(mx((5, "first"), (10, "me"), (10, "a"), (20, "b")), "me").hosts == ("first",)


def test_an_empty_name_among_others_is_passed_over() -> None:
    """RFC 7505 §3: a null MX stands alone."""
    assert exchangers(mx((0, ""), (10, "a"))).hosts == ("a",)


def found(*addresses: str, authentic: bool = False) -> DnsAnswer:
    return DnsAnswer(DnsStatus.FOUND, tuple(map(ip_address, addresses)), authentic)


def test_families_alternate() -> None:
    """RFC 8305 §4."""
    answers = {("h", A): found("192.0.2.1", "192.0.2.2"), ("h", AAAA): found("2001:db8::1")}
    assert [str(address) for address in consult(find_addresses("h"), answers).addresses] == [
        "2001:db8::1",
        "192.0.2.1",
        "192.0.2.2",
    ]
    assert consult(find_addresses("192.0.2.9"), {}).addresses == (ip_address("192.0.2.9"),)


def test_addresses_are_authentic_when_both_families_are() -> None:
    absent = DnsAnswer(DnsStatus.NO_DATA, authentic=True)
    answers = {("h", A): found("192.0.2.1", authentic=True), ("h", AAAA): absent}
    assert consult(find_addresses("h"), answers).authentic
    assert not consult(find_addresses("h"), {**answers, ("h", AAAA): NO_DATA}).authentic


def test_hosts_without_an_address() -> None:
    with pytest.raises(Unroutable):
        consult(find_addresses("h"), {})
    with pytest.raises(DirectoryFailure):
        consult(find_addresses("h"), {("h", AAAA): FAILED})
    assert consult(find_addresses("h"), {("h", AAAA): FAILED, ("h", A): found("192.0.2.1")}).addresses


def test_domains_that_take_no_mail_can_be_refused_at_once() -> None:
    """RFC 7505 §4.1."""
    with pytest.raises(NullMx):
        consult(accepts_mail("example.org"), mx((0, "")))
    for answers in ({}, mx((10, "a")), {("example.org", MX): FAILED}):
        consult(accepts_mail("example.org"), answers)
    consult(accepts_mail("[192.0.2.1]"), {})


def test_literals() -> None:
    assert literal_address("[192.0.2.1]") == ip_address("192.0.2.1")
    assert literal_address("[IPv6:2001:db8::1]") == ip_address("2001:db8::1")
    assert literal_address("example.org") is None
