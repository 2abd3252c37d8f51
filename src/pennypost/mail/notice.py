"""Messages of the server to its own people."""

from pennypost.mail.trace import new_id, return_path
from pennypost.message import headers
from pennypost.message.build import Draft, NamedAddress, build_message, build_message_id
from pennypost.message.digest import digest
from pennypost.model.address import Address
from pennypost.model.errors import MailError
from pennypost.store import blobs, messages
from pennypost.store.engine import Transaction
from pennypost.store.keys import split_key
from pennypost.store.messages import NewMessage
from pennypost.store.resolve import resolve
from pennypost.store.store import Store


async def post_notice(tx: Transaction, store: Store, hostname: str, about: str, subject: str, text: str) -> int:
    """Put a notice about an account into its inbox, and into that of its domain's postmaster. Gives how many got it.

    `about`: the account's name, an address. Part of the caller's transaction; who is over quota is not told.
    """
    local, domain = split_key(about)
    owner, admin = Address(local, domain), Address("postmaster", domain)
    octets = build_message(
        Draft(
            from_=NamedAddress(Address("postmaster", domain), f"Mail server {hostname}"),
            to=(NamedAddress(owner), NamedAddress(admin)),
            date=tx.now,
            message_id=build_message_id(new_id(), domain),
            subject=subject,
            text=text,
            fields=(("Auto-Submitted", "auto-generated"),),
        )
    )
    header, body = headers.split(octets)
    draft = store.blobs.draft(body)
    blob = await blobs.put(tx, draft)
    found_in = digest(header, body)
    told = set()
    for address in (owner, admin):
        try:
            found = await resolve(tx, address)
        except MailError:
            continue
        for recipient in found.accounts if found is not None else ():
            if recipient.account not in told:
                told.add(recipient.account)
                message = NewMessage(return_path(None) + header, blob, draft.size, found_in, tx.now)
                await messages.append(tx, recipient.account, recipient.inbox, message)
    return len(told)
