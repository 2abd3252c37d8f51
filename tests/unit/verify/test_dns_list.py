"""Lists in the DNS as questions and answers (RFC 5782)."""

from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address

import pytest

from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsStatus, RecordType, T
from pennypost.verify.dns_list import Listing, ListSilent, ListUnusable, look_up, name_of_address, reason

NO = DnsAnswer(DnsStatus.NO_SUCH_NAME)


def codes(*addresses: str) -> DnsAnswer:
    return DnsAnswer(DnsStatus.FOUND, tuple(map(IPv4Address, addresses)))


def answered(consultation: Consultation[T], answers: Mapping[str, DnsAnswer]) -> T:
    try:
        question = next(consultation)
        while True:
            question = consultation.send(answers.get(question.name, NO))
    except StopIteration as done:
        result: T = done.value
        return result


def test_names_of_addresses() -> None:
    """RFC 5782 §2.1, §2.4."""
    assert name_of_address(ip_address("192.0.2.99")) == "99.2.0.192"
    assert (
        name_of_address(ip_address("2001:db8:1:2:3:4:567:89ab"))
        == "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
    )


def test_who_is_not_listed_costs_one_question() -> None:
    consultation = look_up("list.test", "99.2.0.192", "1.0.0.127")
    assert next(consultation) == DnsQuestion("99.2.0.192.list.test", RecordType.A)
    with pytest.raises(StopIteration) as done:
        consultation.send(NO)
    assert done.value.value is None


def test_who_is_listed() -> None:
    answers = {"99.2.0.192.list.test": codes("127.0.0.2", "127.0.0.10")}
    found = answered(look_up("list.test", "99.2.0.192", "1.0.0.127"), answers)
    assert found == Listing("99.2.0.192", (IPv4Address("127.0.0.2"), IPv4Address("127.0.0.10")))


def test_a_list_that_says_yes_to_everything_is_not_believed() -> None:
    """RFC 5782 §5."""
    answers = {"99.2.0.192.list.test": codes("127.0.0.2"), "1.0.0.127.list.test": codes("127.0.0.2")}
    with pytest.raises(ListUnusable, match="lists what no list may"):
        answered(look_up("list.test", "99.2.0.192", "1.0.0.127"), answers)


@pytest.mark.parametrize("code", ["127.255.255.252", "127.255.255.254", "127.255.255.255", "127.0.0.1", "127.0.0.255"])
def test_a_list_that_does_not_want_to_be_asked(code: str) -> None:
    with pytest.raises(ListUnusable, match=f"asked from here: {code}"):
        answered(look_up("list.test", "x.test", "invalid"), {"x.test.list.test": codes("127.0.0.2", code)})


def test_a_resolver_that_lies() -> None:
    with pytest.raises(ListUnusable, match=r"192\.0\.2\.80"):
        answered(look_up("list.test", "x.test", "invalid"), {"x.test.list.test": codes("192.0.2.80")})


def test_a_list_that_does_not_answer() -> None:
    with pytest.raises(ListSilent):
        answered(look_up("list.test", "x.test", "invalid"), {"x.test.list.test": DnsAnswer(DnsStatus.FAILED)})


def test_reason() -> None:
    told = DnsAnswer(DnsStatus.FOUND, (b"See https://list.test/?ip=99\xff" + b"x" * 1000,))
    said = answered(reason("list.test", "x"), {"x.list.test": told})
    assert said.startswith("See https://list.test/?ip=99�xxx")
    assert len(said) == 300
    assert answered(reason("list.test", "y"), {}) == ""
