"""CREATE (RFC 9051 §6.3.4), with special uses (RFC 6154 §3)."""

from dataclasses import dataclass

from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class Create:
    """Make a mailbox. A delimiter at the end of the name says that names below it will follow; leave it off.

    `uses`: attributes as they came, `\\Sent`; see `special_use.role_of`. One that we do not know or cannot give is
    answered NO [USEATTR]. `given`: what the client calls it, if not in NFC.
    """

    mailbox: str
    uses: tuple[bytes, ...] = ()
    given: str | None = None


def parse_create(reader: Reader) -> Create:
    reader.space("a mailbox name")
    mailbox, given = reader.mailbox_as_given()
    uses: tuple[bytes, ...] = ()
    if not reader.at_end():
        reader.space("CREATE parameters")
        uses = _read_parameters(reader)
    reader.end()
    return Create(mailbox, uses, given)


def _read_parameters(reader: Reader) -> tuple[bytes, ...]:
    """Read `(USE (\\Drafts …))`: the one parameter there is (RFC 6154 §3, RFC 4466 §2.2)."""
    reader.expect(b"(", "CREATE parameters")
    if reader.word("a CREATE parameter") != b"USE":
        raise BadSyntax("expected a CREATE parameter: USE")
    reader.space("a list of special uses")
    reader.expect(b"(", "a list of special uses")
    uses: list[bytes] = []
    if not reader.skip(b")"):
        while True:
            reader.expect(b"\\", "a special use")
            uses.append(b"\\" + reader.atom("a special use"))
            if len(uses) > MAX_LIST_ITEMS:
                raise BadSyntax("too many special uses")
            if not reader.skip(b" "):
                break
        reader.expect(b")", "a special use or a closing parenthesis")
    reader.expect(b")", "a closing parenthesis")
    return tuple(uses)
