"""Keys to sign with, and what the DNS says of them."""

from functools import cache
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsStatus, RecordType
from pennypost.model.verification import DkimVerdict
from pennypost.verify.dkim import Policy, SigningKey, public_record, verify

T = TypeVar("T")

DOMAIN = "example.org"
NOW = 1_700_000_000


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


RSA = SigningKey(DOMAIN, "r1", rsa_key())
ED25519 = SigningKey(DOMAIN, "e1", ed25519_key())


def published(*keys: SigningKey, extra: str = "") -> dict[str, list[bytes]]:
    return {
        f"{key.selector}._domainkey.{key.domain}": [(public_record(key.key.public_key()) + extra).encode()]
        for key in keys
    }


def consult(consultation: Consultation[T], records: dict[str, list[bytes]], asked: list[str] | None = None) -> T:
    """Answer what is asked from `records`; a name whose list is empty fails for a while."""
    try:
        question = next(consultation)
        while True:
            assert isinstance(question, DnsQuestion)
            assert question.type is RecordType.TXT
            if asked is not None:
                asked.append(question.name)
            texts = records.get(question.name)
            if texts is None:
                answer = DnsAnswer(DnsStatus.NO_SUCH_NAME)
            elif not texts:
                answer = DnsAnswer(DnsStatus.FAILED)
            else:
                answer = DnsAnswer(DnsStatus.FOUND, tuple(texts))
            question = consultation.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def verdicts(
    message: bytes, records: dict[str, list[bytes]], now: int = NOW, policy: Policy | None = None
) -> tuple[DkimVerdict, ...]:
    end = message.index(b"\r\n\r\n") + 4
    return consult(verify(message[:end], message[end:], now, policy or Policy()), records)
