"""What each command does: a handler gives the response, or None when it has answered itself."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pennypost.proto.pop3 import (
    Authenticate,
    BadCommand,
    Capabilities,
    Code,
    Delete,
    Err,
    FirstLines,
    Language,
    List,
    Listing,
    ListMechanisms,
    Login,
    Message,
    NoOperation,
    Ok,
    Quit,
    Reset,
    Response,
    Retrieve,
    StartTls,
    Statistics,
    Top,
    UniqueIds,
    User,
    Utf8,
    first_lines,
)
from pennypost.servers.pop3 import languages, login
from pennypost.servers.pop3.errors import Refused
from pennypost.store.blobs import BlobReader

if TYPE_CHECKING:
    from pennypost.servers.pop3.session import Session

_PIECE_OCTETS = 64 * 1024
"""Octets of a large body that TOP reads at a time."""


async def _bad_command(session: "Session", event: BadCommand) -> Response:
    return event.response


async def _user(session: "Session", event: User) -> Response:
    return Ok("Send PASS")


async def _start_tls(session: "Session", event: StartTls) -> Response:
    return Ok("Begin TLS negotiation")


async def _capabilities(session: "Session", event: Capabilities) -> Response:
    return Listing("Capability list follows", session.machine.capabilities())


async def _list_mechanisms(session: "Session", event: ListMechanisms) -> Response:
    return Listing("Mechanisms follow", session.machine.offer.mechanisms)


async def _utf8(session: "Session", event: Utf8) -> Response:
    return Ok("UTF8 enabled")


async def _language(session: "Session", event: Language) -> Response:
    """RFC 6856 §3: the answer's first word is the language it is in."""
    if event.tag is None:
        listed = [f"{tag} {description}" for tag, description in languages.LANGUAGES.items()]
        return Listing("Language listing follows", listed)
    found = languages.look_up(event.tag)
    if found is None:
        return Err(f"{languages.DEFAULT} Language not offered")
    return Ok(f"{found} Language changed")


async def _statistics(session: "Session", event: Statistics) -> Response:
    return Ok(f"{session.drop.count} {session.drop.octets}")


async def _list(session: "Session", event: List) -> Response:
    drop = session.drop
    if event.number is not None:
        drop.require(event.number)
        return Ok(f"{event.number} {drop.size(event.number)}")
    listed = [f"{number} {drop.size(number)}" for number in drop.numbers]
    return Listing(f"{drop.count} messages ({drop.octets} octets)", listed)


async def _unique_ids(session: "Session", event: UniqueIds) -> Response:
    drop = session.drop
    if event.number is not None:
        drop.require(event.number)
        return Ok(f"{event.number} {drop.unique_id(event.number)}")
    return Listing("Unique-id listing follows", [f"{number} {drop.unique_id(number)}" for number in drop.numbers])


async def _retrieve(session: "Session", event: Retrieve) -> Response | None:
    header, body = await _open(session, event.number)
    session.retrieved += 1
    whole = body.whole
    if whole is not None:
        return Message(f"{len(header) + len(whole)} octets", header, whole, body.undotted)
    await session.send_text(f"{len(header) + body.size} octets", _message(header, body))
    return None


async def _top(session: "Session", event: Top) -> Response | None:
    header, body = await _open(session, event.number)
    text = "Top of message follows"
    if body.whole is not None:
        return Message(text, header, first_lines(body.whole, event.lines), body.undotted)
    await session.send_text(text, _top_of(header, body, event.lines))
    return None


async def _message(header: bytes, body: BlobReader) -> AsyncGenerator[bytes, None]:
    try:
        yield header
        async for piece in body.chunks():
            yield piece
    finally:
        body.close()


async def _top_of(header: bytes, body: BlobReader, lines: int) -> AsyncGenerator[bytes, None]:
    cut = FirstLines(lines)
    try:
        yield header
        start = 0
        while not cut.done and (piece := await body.read_at(start, _PIECE_OCTETS)):
            yield cut.piece(piece)
            start += len(piece)
    finally:
        body.close()


async def _open(session: "Session", number: int) -> tuple[bytes, BlobReader]:
    """Open a message: header block and body. Raises Refused.

    RFC 6856 §2.1: one whose header needs UTF-8 must not be sent as it is to a client that did not ask for UTF8. A
    header of octets that are not UTF-8 is no internationalized message, only an old bad one: it is sent.
    """
    header, body = await session.drop.open_message(number)
    if not session.machine.utf8 and not header.isascii() and _is_utf8(header):
        body.close()
        raise Refused("The message needs UTF8 mode", Code.UTF8)
    return header, body


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


async def _delete(session: "Session", event: Delete) -> Response:
    session.drop.mark(event.number)
    return Ok(f"Message {event.number} marked as deleted")


async def _reset(session: "Session", event: Reset) -> Response:
    session.drop.reset()
    return Ok(f"{session.drop.count} messages ({session.drop.octets} octets)")


async def _no_operation(session: "Session", event: NoOperation) -> Response:
    return Ok()


async def _quit(session: "Session", event: Quit) -> Response:
    """RFC 1939 §6: the UPDATE state; what fails to be removed is told, and the connection ends in any case."""
    if event.update:
        session.removed = await session.drop.update()
    return Ok("Bye")


HANDLERS: dict[type[Any], Callable[["Session", Any], Awaitable[Response | None]]] = {
    BadCommand: _bad_command,
    User: _user,
    Login: login.password,
    Authenticate: login.authenticate,
    ListMechanisms: _list_mechanisms,
    StartTls: _start_tls,
    Capabilities: _capabilities,
    Utf8: _utf8,
    Language: _language,
    Statistics: _statistics,
    List: _list,
    UniqueIds: _unique_ids,
    Retrieve: _retrieve,
    Top: _top,
    Delete: _delete,
    Reset: _reset,
    NoOperation: _no_operation,
    Quit: _quit,
}
