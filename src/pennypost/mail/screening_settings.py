"""What an administrator can set about others who are asked about mail."""

from dataclasses import dataclass, field

from pennypost.clients.clamav import ClamavSettings


@dataclass(frozen=True, slots=True)
class ScreeningSettings:
    """Programs that are asked about mail from other servers before it is accepted: `docs/screening.md`."""

    held_mailbox: str = ""
    """The mailbox of each recipient that messages go into which a program wants held; it is made when need be. Empty:
    the mailbox for junk."""

    clamav: ClamavSettings = field(default_factory=ClamavSettings)
