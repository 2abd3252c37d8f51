"""STORE and UID STORE (RFC 9051 §6.4.6), with UNCHANGEDSINCE (RFC 7162 §3.1.3)."""

from dataclasses import dataclass
from enum import Enum

from pennypost.model.ids import ModSeq
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import SequenceSet


class StoreAction(Enum):
    REPLACE = b"FLAGS"
    ADD = b"+FLAGS"
    REMOVE = b"-FLAGS"


@dataclass(frozen=True, slots=True)
class Store:
    """Change flags. `silent`: the client does not want to be told the result. `uid`: `messages` are UIDs.

    `unchanged_since`: leave alone, and report, what has a greater modseq.
    """

    messages: SequenceSet
    action: StoreAction
    flags: FlagList
    silent: bool
    uid: bool
    unchanged_since: ModSeq | None = None


_ACTIONS: dict[bytes, tuple[StoreAction, bool]] = {
    **{action.value: (action, False) for action in StoreAction},
    **{action.value + b".SILENT": (action, True) for action in StoreAction},
}


def parse_store(reader: Reader) -> Store:
    return _parse(reader, uid=False)


def parse_uid_store(reader: Reader) -> Store:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Store:
    reader.space("a sequence set")
    messages = reader.sequence_set()
    reader.space("FLAGS, +FLAGS or -FLAGS")
    unchanged_since = _read_modifier(reader) if reader.opens() else None
    found = _ACTIONS.get(reader.atom("FLAGS, +FLAGS or -FLAGS").upper())
    if found is None:
        raise BadSyntax("expected FLAGS, +FLAGS or -FLAGS")
    reader.space("a list of flags")
    flags = reader.flag_list() if reader.opens() else reader.flags()
    reader.end()
    return Store(messages, found[0], flags, found[1], uid, unchanged_since)


def _read_modifier(reader: Reader) -> ModSeq:
    """Read `(UNCHANGEDSINCE 5) `: the one modifier there is (RFC 4466 §2.5)."""
    reader.expect(b"(", "a STORE modifier")
    if reader.word("a STORE modifier") != b"UNCHANGEDSINCE":
        raise BadSyntax("expected a STORE modifier: UNCHANGEDSINCE")
    reader.space("a mod-sequence")
    modseq = reader.modseq()
    reader.expect(b")", "a closing parenthesis")
    reader.space("FLAGS, +FLAGS or -FLAGS")
    return modseq
