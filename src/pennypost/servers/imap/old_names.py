"""OLDNAME (RFC 9051 §6.3.9.7): how a mailbox is called that a client of IMAP4rev2 named in another form than NFC."""

from pennypost.model.mailbox import DELIMITER
from pennypost.proto.imap.responses.mailbox import list_name
from pennypost.servers.imap.list import Name, attributes_of, every_name
from pennypost.servers.imap.session import Session
from pennypost.store import places


async def tell(session: Session, name: str, given: str | None) -> None:
    """Tell the name that a mailbox has now, or had until it was deleted. `given`: what the client called it; None:
    nothing is to be told."""
    if given is None or not session.rev2:
        return
    account, name = session.owner.account, name.removesuffix(DELIMITER)
    known = await session.door.store.read(lambda tx: every_name(tx, account, others=not places.is_own(name)))
    found = next((each for each in known if each.name == name), Name(name, None, False, False))
    session.write(list_name(name, attributes_of(found, tells_subscribed=True), utf8=True, old_name=given))
