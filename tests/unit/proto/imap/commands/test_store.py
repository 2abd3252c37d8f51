import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.model.flags import Flags
from pennypost.proto.imap.commands.store import Store, StoreAction
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.sequence import SequenceSet

TWO = SequenceSet(((2, 4),))
SEEN = FlagList(Flags.SEEN, ())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # RFC 9051 §6.4.6
        (b"FLAGS (\\Seen)", Store(TWO, StoreAction.REPLACE, SEEN, False, False)),
        (b"+flags \\seen", Store(TWO, StoreAction.ADD, SEEN, False, False)),
        (b"-FLAGS.SILENT (\\Seen)", Store(TWO, StoreAction.REMOVE, SEEN, True, False)),
        (b"FLAGS.SILENT ()", Store(TWO, StoreAction.REPLACE, FlagList(Flags.NONE, ()), True, False)),
        (
            b"+FLAGS (\\Deleted work \\Flagged $Junk WORK)",
            Store(TWO, StoreAction.ADD, FlagList(Flags.DELETED | Flags.FLAGGED, ("$Junk", "work")), False, False),
        ),
        (
            b"FLAGS a \\Draft \\Answered",
            Store(TWO, StoreAction.REPLACE, FlagList(Flags.DRAFT | Flags.ANSWERED, ("a",)), False, False),
        ),
    ],
)
def test_well_formed(arguments: bytes, expected: Store) -> None:
    assert parse(b"STORE 2:4 " + arguments) == expected
    with_uid = parse(b"UID STORE 2:4 " + arguments)
    assert with_uid == Store(expected.messages, expected.action, expected.flags, expected.silent, True)


@pytest.mark.parametrize("verb", [b"STORE", b"UID STORE"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b"", "expected a space and a sequence set"),
        (b" 1", "expected a space and FLAGS, +FLAGS or -FLAGS"),
        (b" 1 FOO (\\Seen)", "expected FLAGS, +FLAGS or -FLAGS"),
        (b" 1 *FLAGS (\\Seen)", "expected FLAGS, +FLAGS or -FLAGS"),
        (b" 1 FLAGS", "expected a space and a list of flags"),
        (b" 1 FLAGS ", "expected a flag"),
        (b" 1 FLAGS (", "expected a flag"),
        (b" 1 FLAGS (\\Seen", "expected a flag or a closing parenthesis"),
        (b" 1 FLAGS (\\Seen )", "expected a flag"),
        (b" 1 FLAGS (\\Seen) x", "expected the end of the command"),
        (b" 1 FLAGS (\\Foo)", "expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft, or a keyword"),
        (b" 1 FLAGS (\\recent)", "\\Recent cannot be set"),
        (b" 1 FLAGS (\\*)", "expected a flag"),
        (b' 1 FLAGS ("a")', "expected a flag"),
        (b" 1 FLAGS (a]b)", "expected a flag or a closing parenthesis"),
        (b" 1 FLAGS (" + b" ".join([b"a"] * 257) + b")", "too many flags"),
    ],
)
def test_malformed(verb: bytes, arguments: bytes, expected: str) -> None:
    assert reason(verb + arguments).startswith(expected)
