"""Trace fields: RFC 5321 §4.4, RFC 3848, RFC 8314 §4.3, RFC 9228."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from pennypost.mail.reception import Language, SmtpClient
from pennypost.mail.trace import (
    DateStamp,
    delivered_to,
    handed_over_by,
    new_id,
    received,
    return_path,
    transmission_type,
)
from pennypost.message.headers import unfold
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.ids import AccountId
from pennypost.model.peer import Peer, TlsInfo

TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, b"", None)
USER = Authenticated(AccountId(1), "anna@penny.test")
CLIENT = SmtpClient(Peer(ip_address("192.0.2.7"), 4711), "mx.example", Language.ESMTP)
DATE = b"Mon, 23 Nov 2026 23:05:00 +0000"


@pytest.mark.parametrize(
    ("client", "utf8", "expected"),
    [
        (replace(CLIENT, language=Language.SMTP), False, "SMTP"),
        (CLIENT, False, "ESMTP"),
        (replace(CLIENT, tls=TLS), False, "ESMTPS"),
        (replace(CLIENT, authenticated=USER), False, "ESMTPA"),
        (replace(CLIENT, tls=TLS, authenticated=USER), False, "ESMTPSA"),
        (replace(CLIENT, tls=TLS, authenticated=USER), True, "UTF8SMTPSA"),
        (replace(CLIENT, language=Language.LMTP), False, "LMTP"),
        (replace(CLIENT, language=Language.LMTP, tls=TLS), True, "UTF8LMTPS"),
    ],
)
def test_transmission_types(client: SmtpClient, utf8: bool, expected: str) -> None:
    assert transmission_type(client, utf8) == expected


def test_received_names_peer_tls_and_the_only_recipient() -> None:
    field = received(replace(CLIENT, tls=TLS), "mail.penny.test", "ID1", False, Address("anna", "penny.test"), DATE)
    assert field == (
        b"Received: from mx.example ([192.0.2.7])\r\n"
        b"\tby mail.penny.test (Pennypost) with ESMTPS id ID1\r\n"
        b"\tfor <anna@penny.test>\r\n"
        b"\ttls TLS_AES_256_GCM_SHA384 (TLSv1.3);\r\n"
        b"\tMon, 23 Nov 2026 23:05:00 +0000\r\n"
    )


def test_received_tells_a_priority() -> None:
    """RFC 6710."""
    field = received(replace(CLIENT, tls=TLS), "mail.penny.test", "ID1", False, None, DATE, -3)
    assert field.endswith(b"(TLSv1.3)\r\n\tPRIORITY -3;\r\n\tMon, 23 Nov 2026 23:05:00 +0000\r\n")


def test_received_of_a_submission_does_not_disclose_where_the_user_is() -> None:
    client = replace(CLIENT, authenticated=USER, hello="laptop.home.example")
    field = received(client, "mail.penny.test", "ID1", False, None, DATE)
    assert b"192.0.2.7" not in field
    assert b"laptop" not in field
    assert b"with ESMTPA" in field


def test_received_writes_ipv6_and_unix_peers() -> None:
    six = replace(CLIENT, peer=Peer(ip_address("2001:db8::1"), 1))
    assert b"([IPv6:2001:db8::1])" in received(six, "h", "I", False, None, DATE)
    unix = replace(CLIENT, peer=Peer(None, 0))
    assert b"(unix socket)" in received(unix, "h", "I", False, None, DATE)


def test_a_hostile_hello_cannot_break_out_of_the_field() -> None:
    field = received(replace(CLIENT, hello="a\r\nBcc: x (;)\\"), "h", "I", False, None, DATE)
    assert field.count(b"\r\n") == 3
    assert b"\r\nBcc" not in field
    assert b"from a??Bcc: x ????" in field


def test_utf8_recipient_is_named_only_in_a_utf8_message() -> None:
    who = Address("jürgen", "penny.test")
    assert "jürgen".encode() not in received(CLIENT, "h", "I", False, who, DATE)
    assert "<jürgen@penny.test>".encode() in received(CLIENT, "h", "I", True, who, DATE)


def test_return_path_and_delivered_to() -> None:
    assert return_path(None) == b"Return-Path: <>\r\n"
    assert return_path(Address("a b", "x.example")) == b'Return-Path: <"a b"@x.example>\r\n'
    assert delivered_to(Address("anna+tag", "penny.test")) == b"Delivered-To: anna+tag@penny.test\r\n"


def test_date_stamp_is_made_anew_each_second() -> None:
    stamp = DateStamp()
    start = datetime(2026, 11, 3, 4, 5, 6, 999_000, UTC)
    assert stamp.at(start) == b"Tue, 3 Nov 2026 04:05:06 +0000"
    assert stamp.at(start + timedelta(milliseconds=2)) == b"Tue, 3 Nov 2026 04:05:07 +0000"


def test_ids_differ() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("hello", ["mx.example.org", "[192.0.2.66]", "a (b) ([192.0.2.66]) by x (Pennypost) c", "ü ñ"])
@pytest.mark.parametrize("ip", ["192.0.2.7", "2001:db8::7"])
def test_who_handed_over_is_read_again(hello: str, ip: str) -> None:
    client = SmtpClient(Peer(ip_address(ip), 1), hello, Language.ESMTP)
    field = received(client, "mail.penny.test", "0" * 16, False, None, b"now")
    assert handed_over_by(unfold(field.partition(b":")[2]).decode("ascii", "replace")) == ip_address(ip)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "from localhost (authenticated client) by mail.penny.test (Pennypost) with ESMTPSA id 1; now",
        "from here (unix socket) by mail.penny.test (Pennypost) with LMTP id 1; now",
        "from mx.example.org (mx.example.org [192.0.2.7]) by other.example (Postfix) with ESMTP id 1; now",
        "from mx.example.org ([192.0.2.7]) by other.example (Postfix) with ESMTP id 1; now",
        "from mx.example.org ([1.2.3.4.5]) by mail.penny.test (Pennypost) with ESMTP id 1; now",
    ],
)
def test_who_handed_over_is_not_read_from_other_fields(field: str) -> None:
    assert handed_over_by(field) is None
