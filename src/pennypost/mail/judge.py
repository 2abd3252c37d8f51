"""Is a message wanted? Put together what speaks for and against it, and decide where it goes.

What the message itself says, and who sent it, is weighed once; what the one it is for has learnt, and whom he knows, is
weighed for each. Below the threshold it goes to the inbox, above it to the mailbox for junk; where even the largest
tolerance is passed for everybody it is refused while its sender can still hear of it, never bounced later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_network

from pennypost.junk.classifier import Count, certain, chance, suffices
from pennypost.junk.content import Content, content_of
from pennypost.junk.evidence import Evidence, Score
from pennypost.junk.identity import identity
from pennypost.junk.signs import signs
from pennypost.junk.tokens import Tokens, tokens
from pennypost.mail.verification import Verdicts
from pennypost.message.addresses import addresses, parse_addresses
from pennypost.message.structure import Part
from pennypost.model.address import Address
from pennypost.model.ids import AccountId
from pennypost.model.verification import DkimResult, DmarcResult, SpfResult
from pennypost.store import junk
from pennypost.store.engine import Transaction
from pennypost.store.store import Store

LOOKED_AT = 1 << 20
"""Octets of a body that are looked at."""

SCORE_FIELD, EVIDENCE_FIELD = b"X-Junk-Score", b"X-Junk-Evidence"

_SHOWN = 12
"""Pieces of evidence that a message carries along."""

_REPUTATION_FROM = 3
"""Messages of a sender that must have been learnt before they say something."""

_CHANCES = (
    (0.999, 7.0, "Its words are those of messages that were junk."),
    (0.91, 6.0, "Nearly all of its words are those of messages that were junk."),
    (0.8, 3.0, "Most of its words are those of messages that were junk."),
    (0.65, 1.5, "Its words are more like those of junk than of wanted mail."),
    (0.25, 0.0, ""),
    (0.05, -1.0, "Its words are more like those of wanted mail than of junk."),
    (0.001, -2.0, "Most of its words are those of wanted mail."),
    (0.0, -3.0, "Its words are those of wanted mail."),
)
"""From which chance on words weigh what. The second step passes the usual threshold even with the bonus of a sender who
proves to be himself, as those who send junk can: `bench/junk.py` says how rarely wanted mail gets there."""


@dataclass(frozen=True, slots=True)
class JunkSettings:
    """What becomes of mail that is not wanted."""

    enabled: bool = True
    """Weigh what comes from other servers."""

    threshold: float = 5.0
    """From this score on a message goes to the mailbox for junk."""

    refuse_threshold: float = 15.0
    """From this score on a message is refused, if it has it for all its recipients. 0: none is refused."""

    learn: bool = True
    """Learn from what people do: moving messages to and from the mailbox for junk, `$Junk`, `$NotJunk`, answering."""

    def __post_init__(self) -> None:
        if self.threshold <= 0:
            raise ValueError("threshold: expected a number above 0")
        if self.refuse_threshold and self.refuse_threshold < self.threshold:
            raise ValueError("refuse_threshold: expected a number above the threshold, or 0")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of a message for one account."""

    score: Score
    threshold: float

    @property
    def is_junk(self) -> bool:
        return self.score.total >= self.threshold

    def fields(self) -> bytes:
        """Give header fields that explain it, with CRLF lines: words a layman understands."""
        kind = "junk" if self.is_junk else "wanted"
        lines = [b"%b: %.1f of %.1f, %b\r\n" % (SCORE_FIELD, self.score.total, self.threshold, kind.encode())]
        shown = self.score.evidence[:_SHOWN]
        lines += [b"%b: %b\r\n" % (EVIDENCE_FIELD, _folded(one)) for one in shown]
        return b"".join(lines)


def _folded(one: Evidence) -> bytes:
    sentence = "".join(c if c.isascii() and c.isprintable() else "?" for c in one.sentence)[:800]
    return f"{one.weight:+.1f} {one.name}:\r\n\t{sentence}".encode("ascii")


class Judge:
    """Judges the messages of one worker."""

    def __init__(self, store: Store, settings: JunkSettings) -> None:
        self._store = store
        self.settings = settings

    def common(self, content: Content, verdicts: Verdicts | None) -> list[Evidence]:
        """Weigh what is the same for everybody: the message itself, and who sent it."""
        found = list(signs(content))
        if verdicts is not None:
            found += identity(verdicts.spf, verdicts.dkim, verdicts.dmarc, verdicts.arc, verdicts.iprev)
        return found

    async def judge(
        self,
        content: Content,
        ip: IPv4Address | IPv6Address | None,
        verdicts: Verdicts | None,
        accounts: Sequence[AccountId],
        more: Sequence[Evidence] = (),
    ) -> dict[AccountId, Judgement]:
        """Judge a message for each of the accounts it is for. `more`: what others found."""
        shared = [*self.common(content, verdicts), *more]
        words = tokens(content)
        author = author_of(content)
        subjects = subjects_of(author, ip)
        proved = author if author is not None and _is_proved(verdicts, author) else None
        judged: dict[AccountId, Judgement] = {}
        for account in accounts:
            own = await self._store.read(partial(_own, account=account, words=words, subjects=subjects, proved=proved))
            judged[account] = Judgement(Score.of(*shared, *own), self.settings.threshold)
        return judged


def look_at(header_block: bytes, index: Part, body: bytes | memoryview) -> Content:
    """Take from a message what is judged; of a large body its beginning."""
    return content_of(header_block, index, bytes(body[:LOOKED_AT]))


def author_of(content: Content) -> Address | None:
    """Give the first address in From."""
    return next(addresses(parse_addresses(content.fields.get("from", "").encode("utf-8", "replace"))), None)


def subjects_of(author: Address | None, ip: IPv4Address | IPv6Address | None) -> list[str]:
    """Name what a sender's reputation is kept for."""
    subjects: list[str] = []
    if author is not None:
        subjects += [f"address {author.key}", f"domain {author.domain.casefold()}"]
    if ip is not None:
        subjects.append(f"network {ip_network((ip, 24 if ip.version == 4 else 64), strict=False)}")
    return subjects


def _is_proved(verdicts: Verdicts | None, author: Address) -> bool:
    """Whether the author's domain vouches for the message: else anybody could use a friend's name."""
    if verdicts is None:
        return False
    if verdicts.dmarc is not None and verdicts.dmarc.result is DmarcResult.PASS:
        return True
    domain = author.domain.casefold()
    if any(one.result is DkimResult.PASS and one.domain == domain and not one.partial for one in verdicts.dkim):
        return True
    return verdicts.spf is not None and verdicts.spf.result is SpfResult.PASS and verdicts.spf.domain == domain


async def _own(
    tx: Transaction, account: AccountId, words: Tokens, subjects: Sequence[str], proved: Address | None
) -> list[Evidence]:
    """Weigh what one account has learnt, and whom it knows."""
    found = [one for one in (await of_words(tx, account, words),) if one is not None]
    if proved is not None and await junk.has_written_to(tx, account, proved.key):
        found.append(Evidence("known-correspondent", -4.0, f"You have written to {proved.key}."))
    for subject, seen in (await junk.reputations(tx, account, subjects)).items():
        kind, _, name = subject.partition(" ")
        if kind == "address" and proved is None:
            continue
        share = seen.junk / (seen.junk + seen.wanted) if seen.junk + seen.wanted >= _REPUTATION_FROM else 0.5
        if share >= 0.9:
            found.append(Evidence(f"bad-{kind}", 1.5, f"You have put most mail from {name} to junk."))
        elif share <= 0.1 and kind != "network" and proved is not None:
            found.append(Evidence(f"good-{kind}", -1.0, f"You have wanted the mail from {name} so far."))
    return found


async def of_words(tx: Transaction, account: AccountId, words: Tokens) -> Evidence | None:
    """Weigh the words of a message. None: they say nothing."""
    return weigh_words(await likelihood(tx, account, words))


def weigh_words(likely: float | None) -> Evidence | None:
    """Weigh the chance that words are those of junk. None: they say nothing."""
    if likely is None:
        return None
    _, weight, sentence = next(step for step in _CHANCES if likely >= step[0])
    return Evidence("words", weight, sentence) if weight else None


async def likelihood(tx: Transaction, account: AccountId, words: Tokens) -> float | None:
    """Give the chance that words are those of junk: by what the account has taught, or all have. None: nobody has
    taught enough."""
    for owner in (account, junk.EVERYBODY):
        learnt = await junk.learnt(tx, owner)
        total = Count(learnt.wanted, learnt.junk)
        if suffices(total):
            known = await junk.counts(tx, owner, words.all())
            likely = chance(total, {token: Count(*seen) for token, seen in known.items()}, words)
            return None if likely is None else certain(total, likely)
    return None
