import importlib
import pkgutil

import pytest

import pennypost.model
from pennypost.model.errors import MailError, NoSuchRecipient, PermanentFailure, TransientFailure
from pennypost.proto.smtp.limits import MAX_REPLY_LINE
from pennypost.proto.smtp.reply import CODES, Reply, challenge, reply_for


def causes(kind: type[MailError]) -> list[type[MailError]]:
    below = kind.__subclasses__()
    return below + [each for subclass in below for each in causes(subclass)]


for module in pkgutil.iter_modules(pennypost.model.__path__):
    importlib.import_module(f"pennypost.model.{module.name}")


@pytest.mark.parametrize("kind", [c for c in causes(MailError) if c not in (TransientFailure, PermanentFailure)])
def test_every_cause_has_its_reply(kind: type[MailError]) -> None:
    """RFC 2034 §4, RFC 3463 §2, RFC 5248 §2.1: every reply has an enhanced code, and the classes of both agree."""
    reply = reply_for(kind())
    assert reply.enhanced == kind.status
    assert str(reply.code)[0] == kind.status[0]
    assert (reply.code < 500) is issubclass(kind, TransientFailure)
    assert reply.encode() == f"{reply.code} {kind.status} {kind.text}\r\n".encode("ascii")


def test_the_table_names_no_cause_twice() -> None:
    """A cause that has its own line has another code than its class."""
    for kind, code in CODES.items():
        heads = [head for head in kind.__mro__[1:] if head in CODES]
        assert all(CODES[head] != code for head in heads)


def test_a_cause_of_our_own_takes_the_code_of_its_head() -> None:
    class Particular(NoSuchRecipient):
        pass

    assert reply_for(Particular("Not that one")) == Reply(550, "5.1.1", ("Not that one",))


def test_what_is_neither() -> None:
    with pytest.raises(TypeError):
        reply_for(MailError("neither"))


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(250, "2.0.0", ("OK",)), b"250 2.0.0 OK\r\n"),
        (Reply(354, None, ("Go",)), b"354 Go\r\n"),
        (Reply(250, None, ("a", "b", "c")), b"250-a\r\n250-b\r\n250 c\r\n"),
        (Reply(214, "2.0.0", ("a", "b")), b"214-2.0.0 a\r\n214 2.0.0 b\r\n"),
        (Reply(550, "5.1.1", ("a\r\n250 OK",)), b"550 5.1.1 a??250 OK\r\n"),
        (Reply(550, "5.1.1", ("käse",)), "550 5.1.1 käse\r\n".encode()),
        (challenge(b"QUJD"), b"334 QUJD\r\n"),
        (challenge(b""), b"334 \r\n"),
    ],
)
def test_octets(reply: Reply, octets: bytes) -> None:
    """RFC 5321 §4.2, §4.2.1."""
    assert reply.encode() == octets
    assert reply.encode() == octets


def test_a_long_line_is_cut_between_characters() -> None:
    """RFC 5321 §4.5.3.1.5."""
    for start in range(3):
        octets = Reply(550, "5.0.0", ("x" * start + "ß" * 600,)).encode()
        assert len(octets) <= MAX_REPLY_LINE
        assert octets.endswith("ß\r\n".encode())
