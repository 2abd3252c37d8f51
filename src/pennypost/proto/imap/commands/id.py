"""ID (RFC 2971)."""

from dataclasses import dataclass

from pennypost.proto.imap.limits import MAX_ID_FIELD, MAX_ID_PAIRS, MAX_ID_VALUE
from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class Id:
    """The client says what it is, and asks what we are. Values are for logs and statistics only (RFC 2971 §3)."""

    fields: tuple[tuple[str, str | None], ...]


def parse_id(reader: Reader) -> Id:
    reader.space("a list of ID fields or NIL")
    if reader.peek_word() == b"NIL":
        reader.word("NIL")
        reader.end()
        return Id(())
    reader.expect(b"(", "a list of ID fields or NIL")
    fields: list[tuple[str, str | None]] = []
    if not reader.skip(b")"):
        while True:
            fields.append(_read_field(reader))
            if len(fields) > MAX_ID_PAIRS:
                raise BadSyntax("too many ID fields")
            if not reader.skip(b" "):
                break
        reader.expect(b")", "an ID field or a closing parenthesis")
    reader.end()
    return Id(tuple(fields))


def _read_field(reader: Reader) -> tuple[str, str | None]:
    name = reader.string("an ID field name")
    reader.space("an ID field value")
    value = reader.nstring("an ID field value")
    if len(name) > MAX_ID_FIELD or (value is not None and len(value) > MAX_ID_VALUE):
        raise BadSyntax("ID field is too long")
    try:
        return name.decode("utf-8"), None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadSyntax("ID field is not UTF-8") from None
