"""What `ImapServerSession.next_event` gives, and how each is answered.

Those that every message brings are structs, which are made in a third of the time.
"""

from dataclasses import dataclass, field

import msgspec

from pennypost.proto.imap.commands import CommandBody
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.commands.catenate import NOTHING, AppendRest, CatenateText


@dataclass(frozen=True, slots=True)
class Command:
    """A whole command, allowed in the present state. Answer it with one `send`.

    Before that, IDLE takes a `continue_`, AUTHENTICATE any number of `challenge`.
    """

    tag: bytes
    body: CommandBody


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A command that cannot be understood or may not come now. Answer it with `send(bad(reason))`.

    `reason`: one line of ASCII of ours. `tag` None: it had none that can be used, the answer is untagged. It may come
    in place of `AppendEnd`, `IdleDone` or `AuthenticateResponse`, and then ends that command.
    """

    tag: bytes | None
    reason: str


@dataclass(frozen=True, slots=True)
class LiteralRequested:
    """The client wants to send an argument of `size` octets, within the limits.

    Answer with `accept_literal`, or `send(no(…))`.
    """

    tag: bytes
    size: int


class AppendStart(msgspec.Struct, frozen=True):
    """A message wants to come. Answer with `accept_literal`, or `send(no(…))`: what comes all the same is forgotten.

    It comes also in place of `AppendEnd`, when the command goes on with one more message (RFC 3502).
    """

    tag: bytes
    append: Append


@dataclass(frozen=True, slots=True)
class AppendText:
    """Another text of the message wants to come, behind what URLs name (RFC 4469). Answer as AppendStart."""

    tag: bytes
    text: CatenateText


class AppendChunk(msgspec.Struct, frozen=True):
    """Octets of the message, one or more, in order; nothing is due for them. A message of size 0 has none."""

    data: bytes


class AppendEnd(msgspec.Struct, frozen=True):
    """The message is whole and the command well-formed. Answer with one `send`.

    If the command is not, a `BadCommand` comes instead, and the message must not be stored. `rest`: what follows the
    last literal without one of its own (RFC 4469).
    """

    tag: bytes
    rest: AppendRest = NOTHING


@dataclass(frozen=True, slots=True)
class IdleDone:
    """DONE was said. Answer with one `send`."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class AuthenticateResponse:
    """The client's answer to a challenge, decoded. Answer with `challenge` or `send`."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticateCancelled:
    """The client gave the exchange up with `*`. Answer with `send(bad(…))` (RFC 9051 §6.2.2)."""

    tag: bytes


Event = (
    Command
    | BadCommand
    | LiteralRequested
    | AppendStart
    | AppendText
    | AppendChunk
    | AppendEnd
    | IdleDone
    | AuthenticateResponse
    | AuthenticateCancelled
)
