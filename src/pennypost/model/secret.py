"""Secrets, so that none is shown by accident."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """Something only we may know. `value` is left out of `repr`, of logs and of what commands print."""

    value: str = field(repr=False)
