"""SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 §3)."""

from pennypost.model.rights import ALL_RIGHTS, Rights
from pennypost.proto.imap.commands.acl import (
    AclAction,
    DeleteAcl,
    GetAcl,
    Identifier,
    ListRights,
    MyRights,
    SetAcl,
)
from pennypost.proto.imap.responses import acl as responses
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session
from pennypost.store import acl, directory, places
from pennypost.store.acl import AclMode, Action, GranteeKind
from pennypost.store.engine import Transaction
from pennypost.store.places import Reached

_MODES = {AclAction.REPLACE: AclMode.SET, AclAction.ADD: AclMode.ADD, AclAction.REMOVE: AclMode.REMOVE}


async def setacl(session: Session, command: SetAcl) -> Tagged:
    """Set, add or remove rights that an identifier has, or is denied."""
    await _change(session, command.mailbox, command.identifier, _MODES[command.action], command.rights)
    return ok("SETACL completed")


async def deleteacl(session: Session, command: DeleteAcl) -> Tagged:
    """Take an identifier off the list; its rights of the other sign stay."""
    await _change(session, command.mailbox, command.identifier, AclMode.SET, Rights.NONE)
    return ok("DELETEACL completed")


async def _change(session: Session, name: str, identifier: Identifier, mode: AclMode, rights: Rights) -> None:
    user = session.owner.account

    async def operation(tx: Transaction) -> None:
        found = await places.find(tx, user, name, Action.ADMINISTER)
        await acl.change(tx, found.account, found.id, identifier.name, mode, rights, negative=identifier.negative)

    await session.door.store.write(operation)


async def getacl(session: Session, command: GetAcl) -> Tagged:
    """Tell the whole list, the owner first, whose rights nobody can change."""
    user = session.owner.account

    async def operation(tx: Transaction) -> tuple[Reached, list[tuple[str, Rights]]]:
        found = await places.find(tx, user, command.mailbox, Action.ADMINISTER)
        owner = await directory.account(tx, found.account)
        told = [(owner.name, ALL_RIGHTS)]
        for entry in await acl.entries(tx, found.account, found.id):
            told += [(entry.identifier, entry.granted)] if entry.granted else []
            told += [(f"-{entry.identifier}", entry.denied)] if entry.denied else []
        return found, told

    found, told = await session.door.store.read(operation)
    session.write(responses.acl(found.name, told, session.utf8))
    return ok("GETACL completed")


async def listrights(session: Session, command: ListRights) -> Tagged:
    """Tell what may be granted to an identifier: each right by itself, but for the owner, who has all."""
    user = session.owner.account

    async def operation(tx: Transaction) -> tuple[Reached, bool]:
        found = await places.find(tx, user, command.mailbox, Action.ADMINISTER)
        kind, who = await acl.grantee(tx, found.account, command.identifier.name)
        return found, kind is GranteeKind.ACCOUNT and who == found.account

    found, owns = await session.door.store.read(operation)
    session.write(responses.listrights(found.name, command.identifier.written, owns, session.utf8))  # §3.4: as it came
    return ok("LISTRIGHTS completed")


async def myrights(session: Session, command: MyRights) -> Tagged:
    """Tell what the user may do with a mailbox."""
    user = session.owner.account
    found = await session.door.store.read(lambda tx: places.find(tx, user, command.mailbox, Action.ASK_OWN_RIGHTS))
    session.write(responses.myrights(found.name, found.rights, session.utf8))
    return ok("MYRIGHTS completed")
