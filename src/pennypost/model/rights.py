"""Rights on mailboxes (RFC 4314 §2.1), as letters and as bits."""

from enum import IntFlag


class Rights(IntFlag):
    """What somebody may do with a mailbox. The numbers are stored: never change them."""

    NONE = 0
    LOOKUP = 1
    READ = 2
    SEEN = 4
    WRITE = 8
    INSERT = 16
    POST = 32
    CREATE = 64
    DELETE_MAILBOX = 128
    DELETE_MESSAGES = 256
    EXPUNGE = 512
    ADMINISTER = 1024


ALL_RIGHTS = Rights(2047)

RIGHT_LETTERS: dict[Rights, str] = {
    Rights.LOOKUP: "l",
    Rights.READ: "r",
    Rights.SEEN: "s",
    Rights.WRITE: "w",
    Rights.INSERT: "i",
    Rights.POST: "p",
    Rights.CREATE: "k",
    Rights.DELETE_MAILBOX: "x",
    Rights.DELETE_MESSAGES: "t",
    Rights.EXPUNGE: "e",
    Rights.ADMINISTER: "a",
}
"""In the order in which they are listed."""

VIRTUAL_RIGHTS: dict[str, Rights] = {
    "c": Rights.CREATE | Rights.DELETE_MAILBOX,
    "d": Rights.DELETE_MESSAGES | Rights.EXPUNGE,
}
"""What the letters of RFC 2086 stand for (RFC 4314 §2.1.1: ours is the first of its two ways)."""

_BY_LETTER = {letter: right for right, letter in RIGHT_LETTERS.items()} | VIRTUAL_RIGHTS


def parse_rights(letters: str) -> Rights:
    """Read letters, the virtual ones too (RFC 4314 §2.1.1). Raises ValueError for a letter that is none."""
    rights = Rights.NONE
    for letter in letters:
        if letter not in _BY_LETTER:
            raise ValueError(f"no right: {letter!r}")
        rights |= _BY_LETTER[letter]
    return rights


def format_rights(rights: Rights) -> str:
    """Write letters, with the virtual ones of which any part is there (RFC 4314 §2.1.1)."""
    letters = [letter for right, letter in RIGHT_LETTERS.items() if rights & right]
    letters += [letter for letter, members in VIRTUAL_RIGHTS.items() if rights & members]
    return "".join(letters)
