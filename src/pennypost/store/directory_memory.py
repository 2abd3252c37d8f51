"""Answers of the directory, kept while it stays as it is.

Where an address leads is asked for every recipient and changes once a day. A statement costs a read of pages which
every commit throws out of the cache; a look here costs next to nothing. Whatever changes the directory says so in its
transaction (`Transaction.directory_changed`), and the engine raises a number after the commit that all processes see.
"""

import time
from typing import Generic, TypeVar

from pennypost.store.engine import Engine

K = TypeVar("K")
V = TypeVar("V")

MEMORY_SECONDS = 10.0
"""What was kept is asked again after so long: a process may be killed between its commit and the raising."""

MAX_ANSWERS = 10_000


class DirectoryMemory(Generic[K, V]):
    """Answers to one kind of question. Take the `generation` before the question is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._answers: dict[K, V] = {}
        self._generation = -1
        self._until = 0.0

    @property
    def generation(self) -> int:
        """What the directory is at now."""
        return self._engine.directory_generation

    def known(self, question: K) -> V | None:
        """Give the answer, if there is one that is true still."""
        if self._generation != self._engine.directory_generation or time.monotonic() >= self._until:
            self._answers.clear()
            return None
        return self._answers.get(question)

    def keep(self, question: K, answer: V, generation: int) -> None:
        """Keep an answer of a generation."""
        answers = self._answers
        if generation != self._generation or not answers or len(answers) >= MAX_ANSWERS:
            answers.clear()
            self._generation = generation
            self._until = time.monotonic() + MEMORY_SECONDS
        answers[question] = answer
