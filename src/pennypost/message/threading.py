"""What orders and ties messages together: base subjects (RFC 5256 §2.1) and Message-IDs (RFC 5322 §3.6.4)."""

import re

from pennypost.message.limits import MAX_MESSAGE_IDS
from pennypost.message.words import decode_words

_LEADER = re.compile(r"\s*(?:(?:\[[^\[\]]*\]\s*)*(?:re|fwd?)\s*(?:\[[^\[\]]*\]\s*)?:)", re.IGNORECASE)
_BLOB = re.compile(r"\s*\[[^\[\]]*\]\s*(?=\S)")
_WRAPPED = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)
_MAY_CHANGE = re.compile(rb"=\?|[\[\]\t\x80-\xff]|  |\A(?:[Rr][Ee]|[Ff][Ww])|\([Ff][Ww][Dd]\)\s*\Z")

_MESSAGE_ID = re.compile(rb"<([^<>]{1,998})>")
_SPACE = re.compile(rb"\s++")

_MAX_SUBJECT = 4_000


def base_subject(subject: bytes) -> tuple[str, bool]:
    """Extract the base subject of an unfolded Subject, and whether it looks like a reply or a forward (RFC 5256 §2.1).

    The result has its case kept: compare it casefolded.
    """
    if not _MAY_CHANGE.search(subject):
        return subject.strip().decode("ascii"), False
    text = " ".join(decode_words(subject)[:_MAX_SUBJECT].split())
    reply = False
    while True:
        # (2) trailers, (3)–(4) leaders and blobs until nothing changes, (6) a [fwd: …] around all of it
        trimmed = _trim_end(text)
        reply = reply or (trimmed is not text and "(fwd)" in text.lower()[len(trimmed) :])
        text = trimmed
        at = 0
        while True:
            leader = _LEADER.match(text, at)
            if leader is not None:
                reply = True
                at = leader.end()
                continue
            blob = _BLOB.match(text, at)
            if blob is None or _WRAPPED.match(text, at):
                break
            at = blob.end()
        text = text[at:].strip()
        wrapped = _WRAPPED.match(text)
        if wrapped is None:
            return text, reply
        reply = True
        text = wrapped[1].strip()


def _trim_end(text: str) -> str:
    while True:
        stripped = text.rstrip()
        if stripped[-5:].lower() == "(fwd)":
            text = stripped[:-5]
            continue
        return stripped if len(stripped) != len(text) else text


def message_ids(body: bytes) -> tuple[bytes, ...]:
    """List the msg-ids of a Message-ID, In-Reply-To or References in order, no doubles, normalized for comparing.

    Normalized: without angle brackets, white space and the quotes of a quoted left side (RFC 5256 §3). The last
    `limits.MAX_MESSAGE_IDS` are given.
    """
    found = _MESSAGE_ID.findall(body)
    if not found:
        return ()
    if len(found) == 1:
        return (_normal(found[0]),)
    return tuple(dict.fromkeys([_normal(one) for one in found[-MAX_MESSAGE_IDS:]]))


def _normal(message_id: bytes) -> bytes:
    if b" " in message_id or b"\t" in message_id:
        message_id = _SPACE.sub(b"", message_id)
    if message_id.startswith(b'"') and b'"@' in message_id:
        left, _, right = message_id.rpartition(b'"@')
        message_id = left[1:].replace(b"\\", b"") + b"@" + right
    return message_id
