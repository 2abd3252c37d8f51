"""Secrets, so that none is shown by accident."""


class Secret:
    """Something only we may know. `value` is left out of `repr` and `str`.

    No dataclass: serializers write those out field by field, and a secret in a log line would be no secret.
    """

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.value == other.value

    def __hash__(self) -> int:
        return hash((Secret, self.value))

    def __repr__(self) -> str:
        return "Secret(…)"
