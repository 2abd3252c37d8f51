"""LSUB (RFC 3501 §6.3.9; not in RFC 9051)."""

from pennypost.model.mailbox import DELIMITER
from pennypost.proto.imap.commands.list import Lsub
from pennypost.proto.imap.responses.mailbox import lsub_name
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.list import Name, names_of
from pennypost.servers.imap.patterns import Patterns
from pennypost.servers.imap.session import Session
from pennypost.store.engine import Transaction


async def lsub(session: Session, command: Lsub) -> Tagged:
    """List the names subscribed to, also of mailboxes that are gone.

    A name that does not match itself but has a parent that does shows that parent, as `\\Noselect` if it is not
    subscribed to: "%" has to show where deeper subscriptions are (RFC 3501 §6.3.9).
    """
    account = session.owner.account

    patterns = Patterns(command.reference, (command.pattern,))

    async def operation(tx: Transaction) -> list[Name]:
        return await names_of(tx, account, patterns)

    subscribed = [name for name in await session.door.store.read(operation) if name.subscribed]
    shown: dict[str, list[bytes]] = {}
    for name in subscribed:
        if patterns.match(name.name):
            shown[name.name] = [] if name.selectable else [b"\\Noselect"]
        elif command.pattern.endswith("%"):
            parent = _matching_parent(patterns, name.name)
            if parent is not None:
                shown.setdefault(parent, [b"\\Noselect"])
    for told, attributes in shown.items():
        session.write(lsub_name(told, attributes, session.utf8))
    return ok("LSUB completed")


def _matching_parent(patterns: Patterns, name: str) -> str | None:
    """Find the nearest name above that matches."""
    while DELIMITER in name:
        name = name.rpartition(DELIMITER)[0]
        if patterns.match(name):
            return name
    return None
