"""Who we are: domains served, accounts, addresses, credentials."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pennypost.model.ids import AccountId, CredentialId, DomainId


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain we serve. `name`: lower case, A-labels. `quota_octets` bounds the sum over its accounts; None: no bound.

    `catch_all`: the address that gets mail for local parts nobody has; None refuses them.
    """

    id: DomainId
    name: str
    quota_octets: int | None
    catch_all: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """An owner of mailboxes. `name`: its primary address, in `Address.key` form: also its login name.

    `quota_octets`: None is no bound. `used_octets`: RFC822.SIZE of all messages, each counted once per message.
    `shared`: it is nobody's own, its mailboxes are for who has rights to them. `referral`: the URL of the server where
    its mailboxes are (RFC 2221); None: here.
    """

    id: AccountId
    name: str
    display_name: str
    domain: DomainId
    enabled: bool
    quota_octets: int | None
    used_octets: int
    message_count: int
    created_at: datetime
    shared: bool = False
    referral: str | None = None


@dataclass(frozen=True, slots=True)
class Alias:
    """An address of ours and where its mail goes. `targets`: address keys, ours or of other hosts, in order."""

    address: str
    targets: tuple[str, ...]


class CredentialKind(Enum):
    PASSWORD = "password"
    APP_PASSWORD = "app-password"


@dataclass(frozen=True, slots=True)
class Credential:
    """A password as it is listed: never its hash. `label` tells app passwords apart."""

    id: CredentialId
    kind: CredentialKind
    label: str
    created_at: datetime
    last_used_at: datetime | None
