r"""Flags as FETCH writes them, with `\Recent` where it is due. Equal flags share one text: most messages have few."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from pennypost.proto.imap.responses.fetch import flag_octets

if TYPE_CHECKING:
    from pennypost.servers.imap.recent import Recents
    from pennypost.servers.imap.selected import Slice

_PLAIN: tuple[bytes, ...] = tuple(flag_octets(bits) for bits in range(32))
_RECENT: tuple[bytes, ...] = tuple(flag_octets(bits, recent=True) for bits in range(32))


@lru_cache(maxsize=4096)
def _text(flags: int, packed: str | None, recent: bool) -> bytes:
    return flag_octets(flags, tuple(packed.split(" ")) if packed else (), recent)


def flag_texts(piece: "Slice", recents: "Recents") -> Sequence[bytes]:
    r"""Write the flags of some messages, without parentheses; those in `recents` have `\Recent`."""
    keywords, uids = piece.keywords, piece.uids
    recent = recents.between(uids[0], uids[-1])
    if recent and not recents.covers(uids[0], uids[-1]):
        return [_text(flags, keywords.get(uid), uid in recents) for uid, flags in zip(uids, piece.flags, strict=True)]
    plain = _RECENT if recent else _PLAIN
    if not keywords:
        return [plain[flags] for flags in piece.flags]
    words = list(map(keywords.get, uids))
    if words.count(words[0]) == len(words):
        with_words = {flags: _text(flags, words[0], bool(recent)) for flags in set(piece.flags)}
        return list(map(with_words.__getitem__, piece.flags))
    states = list(zip(piece.flags, words, strict=True))
    texts = {state: _text(*state, bool(recent)) for state in set(states)}
    return list(map(texts.__getitem__, states))
