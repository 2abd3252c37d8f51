"""DMARC policy records (RFC 9989 §4.7, §4.8)."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from pennypost.model.verification import DmarcPolicy

MAX_RECORD_OCTETS = 8192
"""Longer records are no records."""
MAX_URIS = 10
"""Addresses for reports of one record that are looked at."""

# dmarc-version = "v" equals %s"DMARC1", followed by a separator or the end; equals has white space around it.
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
# obs-dmarc-report-size = "!" 1*DIGIT [ "k" / "m" / "g" / "t" ]
_SIZE = re.compile(r"![0-9]+[kmgt]?$", re.IGNORECASE)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-~]+")
_MAILBOX = re.compile(r"[^@\s<>\x00-\x1f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A policy record. `policy` None: p is missing or cannot be read, or sp or np cannot be read.

    `psd`: "y", "n" or "u". `reports`, `failure_reports`: the URIs of rua and ruf as they stand there, the obsolete
    size cut off. `text`: the whole record.
    """

    text: str
    policy: DmarcPolicy | None = None
    subdomain_policy: DmarcPolicy | None = None
    missing_policy: DmarcPolicy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    testing: bool = False
    psd: str = "u"
    reports: tuple[str, ...] = ()
    failure_reports: tuple[str, ...] = ()
    failure_options: tuple[str, ...] = field(default=("0",))

    @property
    def usable(self) -> bool:
        """Whether DMARC applies by this record at all (RFC 9989 §4.10.1)."""
        return self.policy is not None or bool(self.reports)

    @property
    def effective(self) -> DmarcPolicy:
        """The policy of p, or "none" where a usable record has a fault in p, sp or np (RFC 9989 §4.10.1)."""
        return self.policy if self.policy is not None else DmarcPolicy.NONE


def parse(octets: bytes) -> PolicyRecord | None:
    """Read a TXT record; None when it is no DMARC record. Faulty tags count as missing, unknown ones are ignored."""
    if len(octets) > MAX_RECORD_OCTETS:
        return None
    text = octets.decode("latin-1")
    if _VERSION.match(text) is None:
        return None
    tags: dict[str, str] = {}
    for part in text.split(";")[1:]:
        name, found, value = part.partition("=")
        if found:
            tags.setdefault(name.strip().lower(), value.strip())
    policy = _policy(tags.get("p"))
    subdomain, missing = _policy(tags.get("sp")), _policy(tags.get("np"))
    if ("sp" in tags and subdomain is None) or ("np" in tags and missing is None):
        policy = subdomain = missing = None
    psd = tags.get("psd", "u").lower()
    return PolicyRecord(
        text=text,
        policy=policy,
        subdomain_policy=subdomain if policy is not None else None,
        missing_policy=missing if policy is not None else None,
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        testing=tags.get("t", "").lower() == "y",
        psd=psd if psd in ("y", "n") else "u",
        reports=_uris(tags.get("rua", "")),
        failure_reports=_uris(tags.get("ruf", "")),
        failure_options=_options(tags.get("fo", "")),
    )


def mailbox_of(uri: str) -> str | None:
    """Give the address a mailto URI leads to, or None for other URIs and what cannot be sent to (RFC 6068)."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto":
        return None
    address = unquote(rest.partition("?")[0])
    return address if _MAILBOX.fullmatch(address) is not None else None


def _policy(value: str | None) -> DmarcPolicy | None:
    try:
        return DmarcPolicy((value or "").lower())
    except ValueError:
        return None


def _uris(value: str) -> tuple[str, ...]:
    parts = (_SIZE.sub("", part.strip()) for part in value.split(",")[:MAX_URIS])
    return tuple(part for part in parts if _URI.fullmatch(part) is not None)


def _options(value: str) -> tuple[str, ...]:
    found = tuple(part for part in (p.strip().lower() for p in value.split(":")) if part in ("0", "1", "d", "s"))
    return found or ("0",)
