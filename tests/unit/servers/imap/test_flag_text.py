r"""Flags with `\Recent` where it is due, however many of the messages are."""

import pytest

from pennypost.proto.imap.responses.fetch import flag_octets
from pennypost.servers.imap.flag_text import flag_texts
from pennypost.servers.imap.recent import Recents
from pennypost.servers.imap.selected import Slice
from pennypost.store.entry_columns import Words

UIDS = [3, 4, 6, 9]


@pytest.mark.parametrize("keywords", [None, [None] * 4, ["a b"] * 4, [None, "a b", None, "c"]])
@pytest.mark.parametrize(
    "ranges", [(), ((1, 3),), ((1, 4),), ((3, 10),), ((3, 9),), ((4, 5), (6, 8)), ((1, 5), (5, 99))]
)
def test_recent_where_it_is_due(keywords: Words | None, ranges: tuple[tuple[int, int], ...]) -> None:
    recents = Recents()
    for first, end in ranges:
        recents.add(first, end)
    piece = Slice(range(1, 5), UIDS, [0, 1, 31, 4], keywords, UIDS, UIDS, UIDS, UIDS)
    assert flag_texts(piece, recents) == [
        flag_octets(flags, tuple((words or "").split()), any(first <= uid < end for first, end in ranges))
        for uid, flags, words in zip(UIDS, piece.flags, keywords or [None] * 4, strict=True)
    ]
