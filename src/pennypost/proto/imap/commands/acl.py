"""SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 §3)."""

import re
from dataclasses import dataclass
from enum import Enum

from pennypost.model.rights import RIGHT_LETTERS, VIRTUAL_RIGHTS, Rights, parse_rights
from pennypost.model.saslprep import saslprep
from pennypost.proto.imap.reader import BadSyntax, Reader

# modrights = astring: rights after an optional "+" or "-"; an identifier with "-" before it has negative rights (§2)
_MOD_RIGHTS = re.compile(r"([+-]?)([a-z0-9]*)")

_LETTERS = "".join((*RIGHT_LETTERS.values(), *VIRTUAL_RIGHTS))


class AclAction(Enum):
    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Identifier:
    """Whom a list names. `negative`: what is denied them is meant, not what is granted. `written`: as it came."""

    name: str
    negative: bool
    written: str


@dataclass(frozen=True, slots=True)
class SetAcl:
    mailbox: str
    identifier: Identifier
    action: AclAction
    rights: Rights


@dataclass(frozen=True, slots=True)
class DeleteAcl:
    mailbox: str
    identifier: Identifier


@dataclass(frozen=True, slots=True)
class GetAcl:
    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights:
    mailbox: str
    identifier: Identifier


@dataclass(frozen=True, slots=True)
class MyRights:
    mailbox: str


def parse_setacl(reader: Reader) -> SetAcl:
    mailbox, identifier = _mailbox_and_identifier(reader)
    reader.space("rights")
    found = _MOD_RIGHTS.fullmatch(reader.text("rights"))
    if found is None:
        raise BadSyntax("expected rights, as lrs, +w or -te: lower-case letters and digits")
    try:
        rights = parse_rights(found.group(2))
    except ValueError:
        raise BadSyntax(f"expected rights out of {_LETTERS}") from None  # RFC 4314 §3.1: BAD
    reader.end()
    return SetAcl(mailbox, identifier, AclAction(found.group(1)), rights)


def parse_deleteacl(reader: Reader) -> DeleteAcl:
    mailbox, identifier = _mailbox_and_identifier(reader)
    reader.end()
    return DeleteAcl(mailbox, identifier)


def parse_getacl(reader: Reader) -> GetAcl:
    return GetAcl(_mailbox(reader))


def parse_listrights(reader: Reader) -> ListRights:
    mailbox, identifier = _mailbox_and_identifier(reader)
    reader.end()
    return ListRights(mailbox, identifier)


def parse_myrights(reader: Reader) -> MyRights:
    return MyRights(_mailbox(reader))


def _mailbox(reader: Reader) -> str:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.end()
    return mailbox


def _mailbox_and_identifier(reader: Reader) -> tuple[str, Identifier]:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.space("an identifier")
    name = reader.text("an identifier")
    try:
        prepared = saslprep(name.removeprefix("-"))
    except ValueError:
        prepared = ""
    if not prepared:  # RFC 4314 §3
        raise BadSyntax("expected an identifier: an account, anyone or authenticated, perhaps after -")
    return mailbox, Identifier(prepared, name.startswith("-"), name)
