"""GENURLAUTH, URLFETCH and RESETKEY (RFC 4467 §7)."""

import hmac
import secrets

from pennypost.model.errors import MailboxNotPermitted, MailError, NoSuchMailbox, NotPermitted
from pennypost.model.ids import AccountId, MailboxId
from pennypost.net.connection import ConnectionEnded
from pennypost.proto.imap.commands.urlauth import GenUrlAuth, ResetKey, UrlFetch
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, bad, no, ok
from pennypost.proto.imap.responses.text import NIL
from pennypost.proto.imap.responses.urlauth import genurlauth as genurlauth_response
from pennypost.proto.imap.responses.urlauth import urlfetch_url
from pennypost.proto.imap.url import MessageUrl
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.url_text import UrlText, open_text
from pennypost.store import directory, places, url_keys
from pennypost.store.acl import Action
from pennypost.store.engine import Transaction

_KEY_OCTETS = 32
_NOBODY = AccountId(0)
_VERSION = b"\x01"
"""The first octet of a token: what it is made by, HMAC-SHA-256."""


async def genurlauth(session: Session, command: GenUrlAuth) -> Tagged:
    """Sign URLs with the keys of their mailboxes, which the user must be able to read; else BAD (RFC 4467 §7)."""
    if not command.known:
        return no("Unknown mechanism", codes.CANNOT)
    user, name = session.owner.account, session.owner.name
    fresh = secrets.token_bytes(_KEY_OCTETS)
    if not all(url.is_of(name) for url in command.urls):
        return bad("The URL is not one of yours")

    async def operation(tx: Transaction) -> list[bytes]:
        signed = []
        for url in command.urls:
            reached = await places.reach(tx, user, url.mailbox, Action.READ)
            key = await url_keys.keep(tx, user, reached.account, reached.id, fresh)
            signed.append(b"%b:INTERNAL:%b" % (url.rump, _token(key, url.rump).hex().encode("ascii")))
        return signed

    try:
        signed = await session.door.store.write(operation)
    except (NoSuchMailbox, MailboxNotPermitted, NotPermitted):
        return bad("No such mailbox")
    session.write(genurlauth_response(signed))
    return ok("GENURLAUTH completed")


async def urlfetch(session: Session, command: UrlFetch) -> Tagged:
    """Tell what URLs name; NIL for what the client may not know or is not there, whatever the reason (RFC 4467 §7)."""
    session.write(b"* URLFETCH")
    for octets, url in command.urls:
        session.write(urlfetch_url(octets))
        text = await authorized(session, url) if url is not None else None
        if text is None:
            session.write(NIL)
            continue
        try:
            await _send(session, text)
        finally:
            text.close()
    session.write(b"\r\n")
    return ok("URLFETCH completed")


async def _send(session: Session, text: UrlText) -> None:
    """Send a literal. Once it was announced there is no way back."""
    session.write(b"{%d}\r\n" % text.size)
    try:
        async for piece in text.pieces():
            session.write(piece)
            if session.gathered_octets >= session.door.settings.write_chunk:
                await session.breathe()
    except ConnectionEnded:
        raise
    except Exception:
        session.broken = True
        raise


async def authorized(session: Session, url: MessageUrl) -> UrlText | None:
    """Open what a signed URL names, if the client may read it by it (RFC 4467 §5).

    Where there is no account, mailbox or key, a token is made by a key of nobody's all the same: how long the answer
    takes does not tell them from a token that is wrong.
    """
    if not _may_use(session, url):
        return None

    async def keys(tx: Transaction) -> tuple[AccountId, bytes | None]:
        found = await directory.find_account(tx, url.account)
        expired = url.expires is not None and url.expires <= tx.now
        who = found.id if found is not None and found.enabled and not expired else _NOBODY
        try:
            reached = await places.reach(tx, who, url.mailbox, Action.READ)
        except MailError:
            return who, await url_keys.find(tx, _NOBODY, _NOBODY, MailboxId(0))
        return who, await url_keys.find(tx, who, reached.account, reached.id)

    try:
        who, key = await session.door.store.read(keys)
        signed = hmac.compare_digest(_token(key or secrets.token_bytes(_KEY_OCTETS), url.rump), url.token)
        return await open_text(session, who, url) if key is not None and signed else None
    except MailError:
        return None


def _may_use(session: Session, url: MessageUrl) -> bool:
    """Whether the access identifier of a URL lets this client use it. `submit+` is for submission servers alone."""
    access = url.access
    if access is None:
        return False
    return access.kind in ("anonymous", "authuser") or (access.kind == "user" and access.name == session.owner.name)


async def resetkey(session: Session, command: ResetKey) -> Tagged:
    """Revoke the URLs that the user handed out to a mailbox, or to all."""
    if not command.known:
        return no("Unknown mechanism", codes.CANNOT)
    user = session.owner.account

    async def operation(tx: Transaction) -> None:
        if command.mailbox is None:
            await url_keys.reset(tx, user)
            return
        reached = await places.find(tx, user, command.mailbox)
        await url_keys.reset(tx, user, (reached.account, reached.id))

    await session.door.store.write(operation)
    return ok("RESETKEY completed", codes.URLMECH)


def _token(key: bytes, rump: bytes) -> bytes:
    return _VERSION + hmac.digest(key, rump, "sha256")
