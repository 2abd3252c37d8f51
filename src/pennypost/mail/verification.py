"""What was found out about a message from elsewhere, in one place, and where that lets it go."""

from dataclasses import dataclass
from enum import Enum

from pennypost.model.verification import (
    ArcVerdict,
    BimiVerdict,
    DkimVerdict,
    DmarcVerdict,
    IprevVerdict,
    SpfVerdict,
)
from pennypost.verify.dmarc import Forgery


class Handling(Enum):
    """What the checks of a sender's identity lead to, before anybody asked whether the mail is wanted."""

    DELIVER = "deliver"
    QUARANTINE = "quarantine"
    """To the mailbox for junk."""
    DEFER = "defer"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Everything that is known of who sent a message. None: it was not looked at.

    `spf`: of MAIL FROM, with a null reverse-path that of `postmaster` at the HELO name. `spf_helo`: of the HELO name
    itself. `dkim`: one for each signature that was looked at. `handling`: what follows, local overrides considered;
    `override`: which one was used, in the words of RFC 9990's PolicyOverrideType, "" for none; `override_comment`: more
    of it. `forgeries`: what is wrong with From.
    """

    spf: SpfVerdict | None = None
    spf_helo: SpfVerdict | None = None
    dkim: tuple[DkimVerdict, ...] = ()
    dmarc: DmarcVerdict | None = None
    arc: ArcVerdict | None = None
    iprev: IprevVerdict | None = None
    bimi: BimiVerdict | None = None
    forgeries: tuple[Forgery, ...] = ()
    handling: Handling = Handling.DELIVER
    override: str = ""
    override_comment: str = ""


class Filing(Enum):
    """Into which mailbox of an account a message goes when nothing else says so."""

    INBOX = "inbox"
    JUNK = "junk"


def filing(verdicts: Verdicts | None, *, junk: bool = False) -> Filing:
    """Choose between inbox and junk. `junk`: the score of the message passed the threshold of whom it is for."""
    if junk or (verdicts is not None and verdicts.handling is Handling.QUARANTINE):
        return Filing.JUNK
    return Filing.INBOX
