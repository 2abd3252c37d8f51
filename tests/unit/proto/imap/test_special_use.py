"""RFC 6154 §2, RFC 8457 §3."""

from pennypost.model.mailbox import MailboxRole
from pennypost.proto.imap.special_use import ROLE_ATTRIBUTES, role_of


def test_every_role_but_inbox_has_an_attribute() -> None:
    assert set(MailboxRole) - set(ROLE_ATTRIBUTES) == {MailboxRole.INBOX}


def test_both_ways() -> None:
    for role, attribute in ROLE_ATTRIBUTES.items():
        assert role_of(attribute.lower()) is role
    assert role_of(b"\\Foo") is None
    assert role_of(b"Sent") is None
