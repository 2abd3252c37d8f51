"""Fuzzes the SASL mechanisms. Invariant: whatever a client says, an exchange ends in a verdict or in one of the two
errors it may raise, after a bounded number of steps, and never asks about an identity that was not prepared.

    python -m tests.fuzz.sasl [SECONDS] [SEED]
"""

import random

from tests.fuzz._driver import command, fuzz

from pennypost.model.authentication import (
    Authenticated,
    PasswordQuestion,
    ScramKeys,
    ScramProof,
    ScramQuestion,
)
from pennypost.model.errors import AuthenticationFailed, MalformedAuthentication
from pennypost.model.ids import AccountId
from pennypost.model.saslprep import saslprep
from pennypost.proto.sasl import Binding, begin, mechanisms

KEYS = ScramKeys(b"salt", 4096, bytes(20), bytes(20))
ALICE = Authenticated(AccountId(1), "alice@example.org")
BINDING = Binding("nonce", b"end point")
MESSAGES = [
    b"\0alice\0secret",
    b"alice",
    b"secret",
    b"n,,n=alice,r=abc",
    b"y,,n=alice,r=abc",
    b"p=tls-server-end-point,a=bob,n=al=2Cice,r=abc,x=y",
    b"c=biws,r=abcnonce,p=AAAA",
    b"c=biws,r=abcnonce,p=" + b"A" * 27 + b"=",
    b"",
]
PARTS = [b"\0", b",", b"=", b"=2C", b"\xff", "ä".encode(), "\u05d0".encode(), b"a" * 400, b"n=", b"r=", b"p="]
MOST_STEPS = 6


def mutate(octets: bytes, chance: random.Random) -> bytes:
    """Insert, delete, and change."""
    data = bytearray(octets)
    for _ in range(chance.randint(0, 4)):
        at = chance.randint(0, len(data))
        match chance.randint(0, 2):
            case 0:
                data[at:at] = chance.choice(PARTS)
            case 1:
                del data[at : at + chance.randint(1, 5)]
            case _:
                data[at : at + 1] = bytes((chance.randint(0, 255),))
    return bytes(data)


def check(chance: random.Random) -> str:
    """Run one exchange. Gives how it ended."""
    name = chance.choice(mechanisms(tls=True, channel_binding=True))
    say = lambda: mutate(chance.choice(MESSAGES), chance)  # noqa: E731
    exchange = begin(name, say() if chance.random() < 0.5 else None, BINDING)
    try:
        step = next(exchange)
        for _ in range(MOST_STEPS):
            match step:
                case bytes():
                    step = exchange.send(say())
                case ScramQuestion(identity, authorization):
                    assert saslprep(identity) == identity
                    assert saslprep(authorization) == authorization
                    step = exchange.send(KEYS)
                case PasswordQuestion(identity, _, password):
                    assert identity
                    assert saslprep(password) == password
                    step = exchange.send(ALICE)
                case ScramProof(_, _, valid):
                    assert not valid, "a proof without the password"
                    step = exchange.send(ALICE)
    except StopIteration as stop:
        if stop.value is not ALICE:
            raise AssertionError("a verdict of its own") from stop
        return "verdict"
    except (AuthenticationFailed, MalformedAuthentication) as error:
        return type(error).__name__
    raise AssertionError("the exchange does not end")


def main(seconds: float = 10.0, seed: int | None = None) -> int:
    """Fuzz for a time; give how many conversations were tried."""
    return fuzz("sasl", check, seconds, seed)


if __name__ == "__main__":
    command("sasl", main)
