"""Which logo a domain would like to be shown beside its mail (draft-brand-indicators-for-message-identification).

Only the record is looked up. Nothing is fetched, and nothing is shown: that is for who reads.
"""

import re

from pennypost.model.dns import Consultation, DnsQuestion, RecordType
from pennypost.model.verification import BimiVerdict

_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9\-]{1,63}){0,3}")


def look_up(domain: str, organization: str, selector_field: bytes | None) -> Consultation[BimiVerdict | None]:
    """Find the assertion of an author's domain, else of its organization. `selector_field`: BIMI-Selector's body."""
    selector = "default"
    if selector_field is not None:
        chosen = _tags(selector_field.decode("latin-1")).get("s", "")
        if _SELECTOR.fullmatch(chosen) is not None:
            selector = chosen.lower()
    for name in dict.fromkeys((domain, organization)):
        if not name or len(selector) + len(name) + 7 > 253:
            continue
        answer = yield DnsQuestion(f"{selector}._bimi.{name}", RecordType.TXT)
        records = [tags for text in answer.records if isinstance(text, bytes) and (tags := _record(text)) is not None]
        if len(records) == 1:
            return BimiVerdict(name, selector, records[0].get("l", ""), records[0].get("a", ""))
    return None


def _record(text: bytes) -> dict[str, str] | None:
    tags = _tags(text[:4096].decode("latin-1"))
    return tags if tags.get("v") == "BIMI1" else None


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, found, value = part.partition("=")
        if found:
            tags.setdefault(name.strip().lower(), value.strip())
    return tags
