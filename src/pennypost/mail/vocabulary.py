"""How likely words are those of junk, by what an account has learnt, or all have.

What words say is kept in memory from message to message, for as long as nothing more is learnt: how much was learnt is
one row, and is read each time.
"""

from itertools import chain

from pennypost.junk.classifier import SILENT, Count, certain, combined, pair_clue, suffices, word_clue
from pennypost.junk.tokens import Tokens
from pennypost.model.ids import AccountId
from pennypost.store import junk
from pennypost.store.engine import Transaction

MAX_KNOWN = 50_000
"""Words and pairs that one worker keeps in memory, of all accounts together: some 100 octets each."""


class Vocabulary:
    """What one worker knows of words."""

    def __init__(self, most: int = MAX_KNOWN) -> None:
        self._most = most
        self._known: dict[AccountId, tuple[Count, dict[int, float]]] = {}
        self._size = 0

    async def likelihood(self, tx: Transaction, account: AccountId, tokens: Tokens) -> float | None:
        """Give the chance that tokens are those of junk. None: nobody has taught enough. May run as a read."""
        for owner in (account, junk.EVERYBODY):
            learnt = Count(*await junk.learnt(tx, owner))
            if suffices(learnt):
                clues = self._of(owner, learnt)
                await self._look_up(tx, owner, learnt, clues, tokens)
                told = (clues[token] for token in chain(tokens.words, tokens.pairs) if token in clues)
                return certain(learnt, combined(told))
        return None

    def _of(self, owner: AccountId, learnt: Count) -> dict[int, float]:
        """Give what is known of an owner's words: nothing, when more was learnt meanwhile or too much is known."""
        found = self._known.get(owner)
        if found is not None and found[0] == learnt and self._size < self._most:
            return found[1]
        if self._size >= self._most:
            self._known.clear()
            self._size = 0
        elif found is not None:
            self._size -= len(found[1])
        fresh: dict[int, float] = {}
        self._known[owner] = (learnt, fresh)
        return fresh

    async def _look_up(
        self, tx: Transaction, owner: AccountId, learnt: Count, clues: dict[int, float], tokens: Tokens
    ) -> None:
        """Ask for the tokens that are not known yet."""
        before = len(clues)
        for kind, clue_of in ((tokens.words, word_clue), (tokens.pairs, pair_clue)):
            new = [token for token in kind if token not in clues]
            if not new:
                continue
            if kind is tokens.words:  # nearly all pairs are new each time, and few of them speak
                clues.update(dict.fromkeys(new, SILENT))
            for token, wanted, unwanted in await junk.counts(tx, owner, new):
                clue = clue_of(learnt, wanted, unwanted)
                if clue != SILENT:
                    clues[token] = clue
        self._size += len(clues) - before
