"""Our own MTA-STS policy: which hosts take mail for the domains we serve, and that they have valid TLS (RFC 8461)."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pennypost.model.bounds import bounded
from pennypost.verify.mta_sts import MAX_AGE_SECONDS, StsMode, StsPolicy


@dataclass(frozen=True, slots=True)
class StsSettings:
    """The MTA-STS policy we publish for the domains we serve. It needs a certificate that is valid for our name."""

    mode: Literal["enforce", "testing", "none"] = "testing"
    """What others shall do when our TLS is not as the policy says. Begin with "testing", and read their reports."""

    mx: tuple[str, ...] = ()
    """Our mail hosts, as MX records name them; "*." stands for one label. Empty: server.hostname."""

    max_age: timedelta = timedelta(days=7)
    """How long others keep the policy."""

    def __post_init__(self) -> None:
        bounded(self, "max_age", least=timedelta(seconds=1), most=timedelta(seconds=MAX_AGE_SECONDS))


def policy_of(settings: StsSettings, hostname: str) -> StsPolicy:
    """Give our policy. `hostname`: ours."""
    mx = tuple(host.lower() for host in settings.mx) or (hostname.lower(),)
    return StsPolicy(StsMode(settings.mode), mx, int(settings.max_age.total_seconds()))


def own_policy(settings: StsSettings, hostname: str) -> bytes:
    """Give the text to serve."""
    return policy_of(settings, hostname).text


def own_policy_record(settings: StsSettings, hostname: str) -> str:
    """Give the TXT record to publish at `_mta-sts`: its id changes when the policy does (RFC 8461 §3.1)."""
    identifier = hashlib.sha256(own_policy(settings, hostname)).hexdigest()[:24]
    return f"v=STSv1; id={identifier}"
