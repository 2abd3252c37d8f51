"""What is agreed on at the beginning (SMFIC_OPTNEG)."""

from dataclasses import dataclass, field
from enum import IntFlag

VERSION, OLDEST_VERSION = 6, 2


class Actions(IntFlag):
    """What a filter may do with a message (SMFIF_*)."""

    ADD_HEADERS = 0x001
    CHANGE_BODY = 0x002
    ADD_RECIPIENTS = 0x004
    DELETE_RECIPIENTS = 0x008
    CHANGE_HEADERS = 0x010
    QUARANTINE = 0x020
    CHANGE_SENDER = 0x040
    ADD_RECIPIENTS_WITH_PARAMETERS = 0x080
    SET_MACROS = 0x100


class Steps(IntFlag):
    """What a filter does not want to hear, or will not answer, and other habits (SMFIP_*)."""

    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_MAIL = 0x4
    NO_RCPT = 0x8
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADERS = 0x40
    SILENT_HEADERS = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400
    """It may say that it has seen enough of the body."""
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_OF_HEADERS = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000
    """Values of header fields are passed with the space behind the colon."""


ALL_ACTIONS = Actions(0x1FF)
ALL_STEPS = Steps(0x1FF7FF)
"""SMFIP_RCPT_REJ (0x800) is not offered: recipients that we refuse are not told of."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was agreed on. `macros`: by stage, the names of those that the filter wants, for stages where it said so."""

    version: int
    actions: Actions
    steps: Steps
    macros: dict[int, frozenset[bytes]] = field(default_factory=dict)
