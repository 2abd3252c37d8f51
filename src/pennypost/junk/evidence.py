"""Reasons for and against a message, and what they add up to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason. `name`: for settings and logs, lower case with dashes. `weight`: above 0 it speaks for junk.
    `sentence`: what it means, for whoever got the message."""

    name: str
    weight: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Score:
    """All that was found, the heaviest first."""

    evidence: tuple[Evidence, ...] = ()

    @property
    def total(self) -> float:
        """The sum of the weights, to one decimal."""
        return round(sum(one.weight for one in self.evidence), 1)

    @classmethod
    def of(cls, *found: Evidence | None) -> "Score":
        """Put together what was found."""
        return cls(
            tuple(sorted((one for one in found if one is not None), key=lambda one: (-abs(one.weight), one.name)))
        )
