r"""Flags as FETCH writes them, with `\Recent` where it is due. Equal flags share one text: most messages have few."""

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

from pennypost.proto.imap.responses.fetch import flag_octets

if TYPE_CHECKING:
    from pennypost.servers.imap.recent import Recents
    from pennypost.servers.imap.selected import Slice


@lru_cache(maxsize=4096)
def _text(flags: int, packed: str | None, recent: bool) -> bytes:
    return flag_octets(flags, tuple(packed.split(" ")) if packed else (), recent)


def flag_states(piece: "Slice", recents: "Recents") -> tuple[Sequence[Hashable], Mapping[Hashable, bytes]]:
    r"""Give a state of each message, and, for each state that occurs, how its flags are written, without parentheses;
    messages in `recents` have `\Recent`."""
    flags, words, uids = piece.flags, piece.keywords, piece.uids
    recent = recents.between(uids[0], uids[-1])
    if recent and not recents.covers(uids[0], uids[-1]):
        states = list(zip(flags, words or repeat(None), map(recents.__contains__, uids), strict=False))
        return states, {state: _text(*state) for state in set(states)}
    packed = words[0] if words else None
    if words is None or words.count(packed) == len(words):
        return flags, {bits: _text(bits, packed, recent) for bits in set(flags)}
    pairs = list(zip(flags, words, strict=True))
    return pairs, {pair: _text(*pair, recent) for pair in set(pairs)}


def flag_texts(piece: "Slice", recents: "Recents") -> Sequence[bytes]:
    r"""Write the flags of some messages, without parentheses; those in `recents` have `\Recent`."""
    states, texts = flag_states(piece, recents)
    return list(map(texts.__getitem__, states))
