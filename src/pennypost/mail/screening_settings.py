"""What an administrator can set about others who are asked about mail."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from pennypost.clients.clamav import ClamavSettings
from pennypost.clients.dns_list import DnsListSettings
from pennypost.clients.http_hook import HttpHookSettings
from pennypost.clients.milter import MilterSettings
from pennypost.clients.rspamd import RspamdSettings


@dataclass(frozen=True, slots=True)
class ScreeningSettings:
    """Programs that are asked about mail from other servers before it is accepted: `docs/screening.md`."""

    held_mailbox: str = ""
    """The mailbox of each recipient that messages go into which a program wants held; it is made when need be. Empty:
    the mailbox for junk."""

    exempt: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks about whose mail nobody is asked: our own hosts, a backup that asked already."""

    clamav: ClamavSettings = field(default_factory=ClamavSettings)

    rspamd: RspamdSettings = field(default_factory=RspamdSettings)

    dns_lists: tuple[DnsListSettings, ...] = ()
    """Lists in the DNS that are asked; none by itself."""

    milters: tuple[MilterSettings, ...] = ()
    """Milters that are asked, one after the other."""

    http_hooks: tuple[HttpHookSettings, ...] = ()
    """Web services that are called."""

    def __post_init__(self) -> None:
        zones = [one.zone for one in self.dns_lists]
        if len(set(zones)) < len(zones):
            raise ValueError("dns_lists: each list can be there once")
        names = [one.name for one in self.milters] + [one.name for one in self.http_hooks]
        if len(set(names)) < len(names):
            raise ValueError("milters, http_hooks: each needs a name of its own")
