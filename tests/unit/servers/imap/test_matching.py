"""What keys that the snapshot answers cost in a large mailbox, however many there are."""

import asyncio
import tracemalloc
from array import array
from typing import Any, cast

import pytest

from pennypost.model.flags import Flags
from pennypost.proto.imap.search_keys import And, BodyKey, FlagKey, Not, Or, SizeKey, UidKey
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap import recent
from pennypost.servers.imap.matching import Known, with_flag
from pennypost.servers.imap.message_text import Read, compile_test
from pennypost.servers.imap.selected import Slice

COUNT = 100_000


class _Open:
    """As much of an open mailbox as the tests of numbers look at."""

    def __init__(self) -> None:
        self.count = COUNT
        self.view = cast(Any, self)
        self.uids = range(1, COUNT + 1)
        self.saved = ()


def known() -> Known:
    uids = range(1, COUNT + 1)
    nothing = [0] * COUNT
    piece = Slice(uids, uids, nothing, None, uids, list(uids), nothing, nothing)
    return Known(cast(Any, _Open()), piece, recent.NONE, 0)


class _Mailbox:
    """A snapshot, and the view of a session that is in step with it."""

    def __init__(self, flags: bytes) -> None:
        self.flags = bytearray(flags)
        self.uids = array("I", range(11, 11 + 3 * len(flags), 3))
        self.view = self.snapshot = self
        self.marked: Any = None


_SEEN = bytes([Flags.SEEN])


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize(
    "flags",
    [b"", _SEEN, b"\0", _SEEN * 900 + b"\0" * 7, (_SEEN + b"\0") * 300, b"\0\2" + _SEEN * 500 + b"\0" + b"\3" * 500],
)
def test_messages_with_a_flag_are_found_together_or_apart(flags: bytes, present: bool) -> None:
    mailbox = _Mailbox(flags)
    places = [at for at, bits in enumerate(flags) if bool(bits & Flags.SEEN) is present]
    key = FlagKey(Flags.SEEN, present=present)
    for _ in range(2):
        assert with_flag(cast(Any, mailbox), key, uid=False) == [at + 1 for at in places]
    assert with_flag(cast(Any, mailbox), key, uid=True) == [mailbox.uids[at] for at in places]


def test_what_was_found_is_found_again_only_while_nothing_changed() -> None:
    mailbox = _Mailbox(b"\0" + _SEEN * 4)

    def found(flag: Flags = Flags.SEEN, *, present: bool = False, uid: bool = True) -> list[int]:
        return list(with_flag(cast(Any, mailbox), FlagKey(flag, present=present), uid) or ())

    assert found() == [11]
    assert with_flag(cast(Any, mailbox), FlagKey(Flags.SEEN, present=False), True) is mailbox.marked.numbers
    assert found(uid=False) == [1]
    assert found(present=True) == [14, 17, 20, 23]
    assert found(Flags.FLAGGED) == [11, 14, 17, 20, 23]
    assert found() == [11]
    mailbox.flags[2] = 0
    assert found() == [11, 17]
    mailbox.uids = mailbox.view.uids = array("I", [1, 2, 3, 4, 5])
    assert found() == [1, 3]


async def test_others_have_their_turn_while_many_keys_are_tested() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    found = await known().filter(Or(tuple([FlagKey(Flags.SEEN, present=True)] * 60)), range(COUNT))
    task.cancel()
    assert list(found) == []
    assert turns >= 10


def test_many_keys_among_those_of_a_text_take_no_memory_for_each() -> None:
    keys = tuple(SizeKey(larger=False, octets=COUNT + n) for n in range(1, 1000))
    never = SizeKey(larger=True, octets=COUNT)
    tracemalloc.start()
    test = compile_test(Not(And((never, *keys, BodyKey("x")))), known())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * 1024 * 1024
    assert test(Read(5, 0, b"", b"", b"")) is True


def test_numbers_are_tested_one_by_one() -> None:
    test = known().test(UidKey(SequenceSet(((3, 5), (100, 100), (7, 6)))))
    assert [at + 1 for at in range(200) if test(at)] == [3, 4, 5, 100]
