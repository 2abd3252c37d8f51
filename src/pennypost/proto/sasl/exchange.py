"""Which mechanisms there are, which may be offered, and how an exchange begins."""

from collections.abc import Callable

from pennypost.model.authentication import ScramHash
from pennypost.proto.sasl.plain import login, plain
from pennypost.proto.sasl.scram import scram
from pennypost.proto.sasl.steps import Binding, Exchange, Step

__all__ = ["Binding", "Exchange", "Step", "begin", "mechanisms"]

_BEGIN: dict[str, Callable[[bytes | None, Binding], Exchange]] = {
    "SCRAM-SHA-256-PLUS": lambda initial, binding: scram(ScramHash.SHA_256, True, initial, binding),
    "SCRAM-SHA-1-PLUS": lambda initial, binding: scram(ScramHash.SHA_1, True, initial, binding),
    "SCRAM-SHA-256": lambda initial, binding: scram(ScramHash.SHA_256, False, initial, binding),
    "SCRAM-SHA-1": lambda initial, binding: scram(ScramHash.SHA_1, False, initial, binding),
    "PLAIN": lambda initial, _: plain(initial),
    "LOGIN": lambda initial, _: login(initial),
}
"""In the order in which they are offered: the strongest first."""

_CLEARTEXT = frozenset({"PLAIN", "LOGIN"})


def mechanisms(*, tls: bool, channel_binding: bool, allow_cleartext: bool = False) -> tuple[str, ...]:
    """List the mechanisms to offer (RFC 4422 §3.1), the strongest first.

    Those that show the password are offered under TLS only (RFC 4616 §6), or where `allow_cleartext` is set; those
    that end in -PLUS where the TLS layer has a channel binding (RFC 5802 §6).
    """
    return tuple(
        name
        for name in _BEGIN
        if (not name.endswith("-PLUS") or (tls and channel_binding))
        and (name not in _CLEARTEXT or tls or allow_cleartext)
    )


def begin(mechanism: str, initial: bytes | None, binding: Binding) -> Exchange:
    """Begin an exchange. `mechanism`: in capitals, one that was offered (else KeyError).

    `initial`: the decoded initial response; None when there was none, which is not the same as an empty one.
    """
    return _BEGIN[mechanism](initial, binding)
