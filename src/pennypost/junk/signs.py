"""What the header, the text, links and attachments of a message say for or against it."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from pennypost.junk.content import Content, Link
from pennypost.junk.evidence import Evidence

_RUNS = frozenset(
    {
        "exe", "scr", "pif", "com", "bat", "cmd", "js", "jse", "vbs", "vbe", "wsf", "wsh", "hta", "lnk", "jar", "msi",
        "ps1", "reg", "cpl", "iso", "img", "vhd", "chm", "dll", "url",
    }
)  # fmt: skip
_ADDRESS = re.compile(r"[\w.+\-]+@([\w\-]+\.[\w.\-]+)")
_DOUBLE_ENDING = re.compile(r"\.(?:pdf|docx?|xlsx?|jpe?g|png|txt)\.[a-z0-9]{2,4}$")


def signs(content: Content) -> Iterator[Evidence]:
    """Look at the content of a message."""
    yield from _of_header(content)
    yield from _of_files(content.files)
    yield from _of_links(content.links)
    if content.html_only:
        yield Evidence("html-only", 0.3, "It has a formatted version only, no plain one.")
    if not content.text.strip() and not content.files:
        yield Evidence("empty", 0.8, "There is nothing in it to read.")


def _of_header(content: Content) -> Iterator[Evidence]:
    fields, counts = content.fields, content.counts
    if "date" not in fields:
        yield Evidence("no-date", 1.0, "It does not say when it was written, which every mail program does.")
    if "message-id" not in fields:
        yield Evidence("no-message-id", 0.7, "It has no number of its own, which every mail program gives.")
    if "subject" not in fields:
        yield Evidence("no-subject", 0.4, "It has no subject.")
    if counts.get("from", 0) != 1:
        yield Evidence("from-count", 2.5, "It does not name one author, as every honest message does.")
    if counts.get("subject", 0) > 1 or counts.get("date", 0) > 1:
        yield Evidence("doubled-fields", 1.0, "It says things twice that can be said once only.")
    subject = fields.get("subject", "")
    letters = [c for c in subject if c.isalpha()]
    if len(letters) > 10 and sum(c.isupper() for c in letters) > 0.8 * len(letters):
        yield Evidence("shouting", 0.8, "Its subject is written in capitals.")
    author = fields.get("from", "")
    display, bracket, address = author.partition("<")
    named, real = _ADDRESS.search(display), _ADDRESS.search(address)
    if bracket and named and real and named[1].lower().rstrip(".") != real[1].lower().rstrip("."):
        yield Evidence("name-is-an-address", 2.0, f"It shows {named[1]} as its author, but comes from {real[1]}.")
    if "list-id" in fields and "list-unsubscribe" in fields:
        yield Evidence("proper-list", -0.3, "It is of a mailing list that can be left.")


def _of_files(files: tuple[str, ...]) -> Iterator[Evidence]:
    for name in files:
        lower = name.casefold()
        if lower.rpartition(".")[2] in _RUNS and "." in lower:
            disguised = " and pretends to be a document" if _DOUBLE_ENDING.search(lower) else ""
            yield Evidence("file-that-runs", 4.0, f"The attachment {name} is a program{disguised}.")
            return


def _of_links(links: tuple[Link, ...]) -> Iterator[Evidence]:
    for link in links:
        if link.shown and not _related(link.shown, link.host):
            yield Evidence("link-that-lies", 2.0, f"A link says {link.shown} and leads to {link.host}.")
            break
    if any(_is_address(link.host) for link in links):
        yield Evidence("link-to-a-number", 1.5, "A link leads to a bare number instead of a name.")
    if any(link.host.startswith("xn--") or ".xn--" in link.host for link in links):
        yield Evidence("link-in-disguise", 0.5, "A link leads to a name that can look like another one.")


def _related(shown: str, host: str) -> bool:
    """Whether both names have the same last two labels: trackers of the same sender are usual."""
    return shown.split(".")[-2:] == host.split(".")[-2:]


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
