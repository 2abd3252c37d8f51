"""What orders and ties messages together: base subjects (RFC 5256 §2.1) and Message-IDs (RFC 5322 §3.6.4)."""

import re

from pennypost.message.limits import MAX_MESSAGE_IDS
from pennypost.message.words import decode_words

_BLOBS = re.compile(r"(?:(\[[^\[\]]*+\])\s*+)*+")
_REPLY = re.compile(r"(?:re|fwd?)\s*+(?:\[[^\[\]]*+\]\s*+)?+:\s*+", re.IGNORECASE)
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
        trimmed = _trim_end(text)  # (2) trailers
        reply = reply or len(trimmed) < len(text)
        text = trimmed
        at = 0
        while True:  # (3)–(5) leaders, and blobs as long as something is left behind them
            blobs = _BLOBS.match(text, at)
            behind = blobs.end() if blobs is not None else at
            leader = _REPLY.match(text, behind)
            if leader is not None:
                reply = True
                at = leader.end()
                continue
            if blobs is not None and behind > at:
                at = behind if behind < len(text) else blobs.start(1)
            break
        text = text[at:]
        wrapped = _WRAPPED.match(text)  # (6)
        if wrapped is None:
            return text, reply
        reply = True
        text = wrapped[1].strip()


def _trim_end(text: str) -> str:
    """Take "(fwd)" and blanks off the end (RFC 5256 §5, subj-trailer)."""
    end = len(text)
    while True:
        while end and text[end - 1] == " ":
            end -= 1
        if text[max(end - 5, 0) : end].lower() != "(fwd)":
            return text[:end]
        end -= 5


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
