"""SELECT (RFC 9051 §6.3.2) and EXAMINE (RFC 9051 §6.3.3), with CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5)."""

from dataclasses import dataclass

from pennypost.model.ids import ModSeq
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import STAR, SequenceSet


@dataclass(frozen=True, slots=True)
class Resync:
    """What a client remembers of a mailbox (RFC 7162 §3.2.5).

    `known_uids`: the UIDs it knows, None for all up to the last. `numbers`, `uids`: some message numbers and the UIDs
    they had, as many of the one as of the other.
    """

    uid_validity: int
    modseq: ModSeq
    known_uids: SequenceSet | None = None
    numbers: SequenceSet | None = None
    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """Open a mailbox. A mailbox that was open is closed first, also when this fails.

    `condstore`: the client wants to hear of mod-sequences from now on. `given`: what it calls the mailbox, if not
    in NFC.
    """

    mailbox: str
    condstore: bool = False
    resync: Resync | None = None
    given: str | None = None


@dataclass(frozen=True, slots=True)
class Examine:
    """Open a mailbox read-only: nothing may change, nor may `\\Recent` be lost."""

    mailbox: str
    condstore: bool = False
    resync: Resync | None = None
    given: str | None = None


def parse_select(reader: Reader) -> Select:
    return Select(*_parse(reader))


def parse_examine(reader: Reader) -> Examine:
    return Examine(*_parse(reader))


def _parse(reader: Reader) -> tuple[str, bool, Resync | None, str | None]:
    reader.space("a mailbox name")
    mailbox, given = reader.mailbox_as_given()
    condstore, resync = False, None
    if reader.more_in_parentheses():
        condstore, resync = _read_parameters(reader)
    reader.end()
    return mailbox, condstore, resync, given


def _read_parameters(reader: Reader) -> tuple[bool, Resync | None]:
    """Read `(CONDSTORE QRESYNC (…))` (RFC 4466 §2.1)."""
    reader.expect(b"(", "SELECT parameters")
    condstore, resync = False, None
    while True:
        match reader.word("a SELECT parameter"):
            case b"CONDSTORE" if not condstore:
                condstore = True
            case b"QRESYNC" if resync is None:
                reader.space("what is known of the mailbox")
                resync = _read_resync(reader)
            case _:
                raise BadSyntax("expected a SELECT parameter: CONDSTORE or QRESYNC, each once")
        if not reader.skip(b" "):
            break
    reader.expect(b")", "a SELECT parameter or a closing parenthesis")
    return condstore, resync


def _read_resync(reader: Reader) -> Resync:
    """Read `(uidvalidity mod-sequence [known-uids] [(numbers uids)])` (RFC 7162 §7)."""
    reader.expect(b"(", "what is known of the mailbox")
    uid_validity = reader.number("a UIDVALIDITY")
    reader.space("a mod-sequence")
    modseq = reader.modseq()
    known = numbers = uids = None
    if not uid_validity or not modseq:
        raise BadSyntax("expected a UIDVALIDITY and a mod-sequence, from 1 on")
    more = reader.skip(b" ")
    if more and not reader.opens():
        known = _read_known(reader)
        more = reader.skip(b" ")
    if more:
        reader.expect(b"(", "message numbers and their UIDs")
        numbers = _read_known(reader)
        reader.space("the UIDs of the message numbers")
        uids = _read_known(reader)
        reader.expect(b")", "a closing parenthesis")
    reader.expect(b")", "a closing parenthesis")
    return Resync(uid_validity, modseq, known, numbers, uids)


def _read_known(reader: Reader) -> SequenceSet:
    """Read a sequence set without `*` and `$` (RFC 7162 §7, known-uids)."""
    found = reader.sequence_set()
    if found.saved or any(high == STAR for _, high in found.ranges):
        raise BadSyntax("expected a sequence set without * and $")
    return found
