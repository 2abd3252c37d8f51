"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 §4.1)."""

from dataclasses import dataclass

from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class GetQuota:
    """Ask for the usage and limits of one quota root."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """Ask which quota roots a mailbox has, and for the usage and limits of each."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """Set limits of a quota root. `limits`: resource names in capitals; STORAGE in units of 1024 octets."""

    root: str
    limits: tuple[tuple[str, int], ...]


def parse_getquota(reader: Reader) -> GetQuota:
    reader.space("a quota root")
    root = reader.text("a quota root")
    reader.end()
    return GetQuota(root)


def parse_getquotaroot(reader: Reader) -> GetQuotaRoot:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.end()
    return GetQuotaRoot(mailbox)


def parse_setquota(reader: Reader) -> SetQuota:
    reader.space("a quota root")
    root = reader.text("a quota root")
    reader.space("a list of quota limits")
    reader.expect(b"(", "a list of quota limits")
    limits: list[tuple[str, int]] = []
    if not reader.skip(b")"):
        while True:
            name = reader.atom("a quota resource").decode("ascii").upper()
            reader.space("a quota limit")
            limits.append((name, reader.number64("a quota limit")))
            if len(limits) > MAX_LIST_ITEMS:
                raise BadSyntax("too many quota limits")
            if not reader.skip(b" "):
                break
        reader.expect(b")", "a quota resource or a closing parenthesis")
    reader.end()
    return SetQuota(root, tuple(limits))
