"""Is a message wanted? Put together what speaks for and against it, and decide where it goes.

What the message itself says, and who sent it, is weighed once; what the one it is for has learnt, and whom he knows, is
weighed for each. Below the threshold it goes to the inbox, above it to the mailbox for junk; where even the largest
tolerance is passed for everybody it is refused while its sender can still hear of it, never bounced later.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import lru_cache, partial
from typing import NamedTuple

from pennypost.junk.codes import answers_an_action
from pennypost.junk.content import Content, content_of
from pennypost.junk.evidence import Evidence, Score
from pennypost.junk.greeting import Greeting, greeting
from pennypost.junk.identity import identity
from pennypost.junk.language import described, language
from pennypost.junk.signs import signs
from pennypost.junk.tokens import Tokens, tokens
from pennypost.junk.writing import writing
from pennypost.mail.limits import Ip, network_of
from pennypost.mail.reception import SmtpClient
from pennypost.mail.trace import handed_over_by
from pennypost.mail.verification import Verdicts
from pennypost.mail.vocabulary import Vocabulary
from pennypost.message.addresses import addresses, parse_addresses
from pennypost.message.structure import Part
from pennypost.model.address import Address
from pennypost.model.bounds import bounded
from pennypost.model.ids import AccountId
from pennypost.model.units import render_duration
from pennypost.model.verification import DkimResult, DmarcResult, IprevResult, SpfResult
from pennypost.store import directory, junk
from pennypost.store.engine import Transaction
from pennypost.store.store import Store

LOOKED_AT = 1 << 20
"""Octets of a body that are looked at."""

SCORE_FIELD, EVIDENCE_FIELD = b"X-Junk-Score", b"X-Junk-Evidence"

_SHOWN = 12
"""Pieces of evidence that a message carries along."""

_ENOUGH_WANTED = 50
"""Wanted messages that must have been learnt before their languages say something."""
_HARDLY_EVER = 0.01

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

    defer_threshold: float = 0.0
    """From this score on a message is put off, if it has it for all its recipients: its sender may try again, when more
    may be known. 0: none is put off."""

    refuse_threshold: float = 15.0
    """From this score on a message is refused, if it has it for all its recipients. 0: none is refused. All three can
    be set for a domain or an account, too: `pennypost junk threshold`."""

    learn: bool = True
    """Learn from what people do: moving messages to and from the mailbox for junk, `$Junk`, `$NotJunk`, answering."""

    max_tokens: int = 500_000
    """Words and pairs that are remembered for one account, and for all together; some 20 octets each. Past it those
    that came seldom are forgotten."""

    greylist: bool = False
    """Ask senders of doubtful mail who are not known to come again, as those who send junk often do not. Such mail is
    shown in the mailbox for junk at once, and goes to the inbox when its sender comes again. Never asked are those who
    answer, those who are known, and those who send codes to log in with."""

    greylist_threshold: float = 2.5
    """From this score on, and below the threshold, a message is doubtful."""

    greylist_delay: timedelta = timedelta(minutes=4)
    """How soon a sender may come again."""

    greylist_patience: timedelta = timedelta(days=2)
    """How late."""

    greylist_limit: int = 50
    """Messages held for one account at the same time. Past it nobody is asked to come again."""

    def __post_init__(self) -> None:
        order_thresholds(self.threshold, self.defer_threshold, self.refuse_threshold)
        bounded(self, "max_tokens", least=10_000)
        bounded(self, "greylist_limit", least=0)
        if self.greylist and not 0 < self.greylist_threshold < self.threshold:
            raise ValueError(f"greylist_threshold: expected a number above 0 and below threshold ({self.threshold})")
        if self.greylist_delay >= self.greylist_patience:
            raise ValueError(
                f"greylist_patience: expected more than greylist_delay ({render_duration(self.greylist_delay)})"
            )


def order_thresholds(threshold: float, defer: float, refuse: float) -> None:
    """Raise ValueError for thresholds that do not make sense together."""
    if threshold <= 0:
        raise ValueError("threshold: expected a number above 0")
    if defer and defer < threshold:
        raise ValueError("defer_threshold: expected a number above the threshold, or 0")
    if refuse and refuse < max(threshold, defer):
        raise ValueError("refuse_threshold: expected a number above the other thresholds, or 0")


class Verdict(Enum):
    """What becomes of a message for one account."""

    ACCEPT = "wanted"
    JUNK = "junk"
    DEFER = "put off"
    REFUSE = "refused"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of a message for one account. `hasty`: it must not wait. `stranger`: the subject of the sender's
    reputation, when he proves to be himself and was never heard of; else ""."""

    score: Score
    threshold: float
    defer: float = 0.0
    refuse: float = 0.0
    hasty: bool = False
    stranger: str = ""

    @property
    def verdict(self) -> Verdict:
        total = self.score.total
        if self.refuse and total >= self.refuse:
            return Verdict.REFUSE
        if self.defer and total >= self.defer:
            return Verdict.DEFER
        return Verdict.JUNK if total >= self.threshold else Verdict.ACCEPT

    @property
    def is_junk(self) -> bool:
        return self.verdict is not Verdict.ACCEPT

    def fields(self, *, held: bool = False) -> bytes:
        """Give header fields that explain it, with CRLF lines: words a layman understands. `held`: its sender was asked
        to come again."""
        kind = "held" if held else "junk" if self.is_junk else "wanted"
        lines = [b"%b: %.1f of %.1f, %b\r\n" % (SCORE_FIELD, self.score.total, self.threshold, kind.encode())]
        shown = [*([_HELD] if held else []), *self.score.evidence[:_SHOWN]]
        lines += [b"%b: %b\r\n" % (EVIDENCE_FIELD, _folded(one)) for one in shown]
        return b"".join(lines)


_HELD = Evidence(
    "held", 0.0, "Nothing is known of its sender, who was asked to send it again: if he does it goes to the inbox."
)


_UNSHOWN = re.compile(r"[^\x20-\x7e]")


def _folded(one: Evidence) -> bytes:
    sentence = _UNSHOWN.sub("?", one.sentence[:800])
    return f"{one.weight:+.1f} {one.name}:\r\n\t{sentence}".encode("ascii")


class Judge:
    """Judges the messages of one worker."""

    def __init__(self, store: Store, settings: JunkSettings, hostname: str = "") -> None:
        self._store = store
        self.settings = settings
        self._hostname = hostname.lower()
        self._vocabulary = Vocabulary()

    def common(self, content: Content, verdicts: Verdicts | None) -> list[Evidence]:
        """Weigh what is the same for everybody: the message itself, and who sent it."""
        found = [*signs(content), *writing(content)]
        if verdicts is not None:
            found += identity(verdicts.spf, verdicts.dkim, verdicts.dmarc, verdicts.arc, verdicts.iprev)
        return found

    async def judge(
        self,
        content: Content,
        client: SmtpClient | None,
        verdicts: Verdicts | None,
        accounts: Sequence[AccountId],
        more: Sequence[Evidence] = (),
    ) -> dict[AccountId, Judgement]:
        """Judge a message for each of the accounts it is for. `client`: who hands it over, None: it lies in a file.
        `more`: what others found."""
        shared = [*self.common(content, verdicts), *more]
        author = author_of(content)
        proved = author if author is not None and _is_proved(verdicts, author) else None
        if client is not None and verdicts is not None:
            shared += await self._greeting(client, verdicts)
        code = answers_an_action(content)
        if code and proved is not None:
            shared.append(Evidence("code", -0.5, "It looks like a code or a link that you asked for."))
        subjects = subjects_of(content, author, client)
        case = _Case(tokens(content), subjects, proved, _ids_answered(content), _deceit(shared))
        judged: dict[AccountId, Judgement] = {}
        for account in accounts:
            judged[account] = await self._store.read(
                partial(self._for_account, account=account, case=case, shared=shared, hasty=code)
            )
        return judged

    async def _for_account(
        self, tx: Transaction, account: AccountId, case: "_Case", shared: Sequence[Evidence], hasty: bool
    ) -> Judgement:
        words = weigh_words(await self._vocabulary.likelihood(tx, account, case.words))
        own = await _own(tx, account, case, words)
        names = {one.name for one in own}
        said, ours = await junk.thresholds(tx, account), self.settings
        threshold = ours.threshold if said.junk is None else said.junk
        stranger = f"address {case.proved.key}" if case.proved is not None and "heard-before" not in names else ""
        return Judgement(
            Score.of(*shared, *own),
            threshold,
            ours.defer_threshold if said.defer is None else said.defer,
            ours.refuse_threshold if said.refuse is None else said.refuse,
            hasty or not names.isdisjoint(_TRUSTED),
            stranger,
        )

    async def _greeting(self, client: SmtpClient, verdicts: Verdicts) -> list[Evidence]:
        """Weigh how the peer introduced itself."""
        ip, hello = client.peer.ip, client.hello
        if ip is None or ip.is_loopback:
            return []
        name = verdicts.iprev.name if verdicts.iprev and verdicts.iprev.result is IprevResult.PASS else ""
        ours = hello.lower().rstrip(".") == self._hostname
        if not ours and "." in hello and not hello.startswith("["):
            ours = await self._store.read(lambda tx: directory.find_domain(tx, hello)) is not None
        return list(greeting(Greeting(hello, ours, name, client.early)))


@dataclass(frozen=True, slots=True)
class _Case:
    """What is asked about a message for each account. `proved`: its author, if his domain vouches for it. `answered`:
    hashes of the messages it refers to. `deceit`: how heavy what deceives weighs."""

    words: Tokens
    subjects: Sequence[str]
    proved: Address | None
    answered: Sequence[int]
    deceit: float


_TRUSTED = frozenset({"known-correspondent", "answers-you", "heard-before", "good-address", "good-domain"})
"""Evidence of those who are never asked to come again."""

_DECEITS = frozenset(
    {
        "link-that-lies", "link-to-a-number", "link-in-disguise", "name-is-an-address", "file-that-runs",
        "mixed-alphabets", "hidden-letters",
    }
)  # fmt: skip
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,500})>")
_IDS_LOOKED_AT = 10


def _deceit(found: Sequence[Evidence]) -> float:
    return sum(one.weight for one in found if one.name in _DECEITS)


def _ids_answered(content: Content) -> list[int]:
    """Give hashes of the messages that one refers to, the nearest first."""
    referred = content.fields.get("references", "") + content.fields.get("in-reply-to", "")
    found = _MESSAGE_ID.findall(referred)[: -_IDS_LOOKED_AT - 1 : -1]
    return [junk.hash_of_id(one.encode("utf-8", "replace")) for one in dict.fromkeys(found)]


def look_at(header_block: bytes, index: Part, body: bytes | memoryview) -> Content:
    """Take from a message what is judged; of a large body its beginning."""
    return content_of(header_block, index, bytes(body[:LOOKED_AT]))


def author_of(content: Content) -> Address | None:
    """Give the first address in From."""
    return next(addresses(parse_addresses(content.fields.get("from", "").encode("utf-8", "replace"))), None)


def subjects_of(content: Content, author: Address | None, client: SmtpClient | None = None) -> list[str]:
    """Name what a reputation is kept for: the author, the network of who handed the message over, the language last.

    Without a `client` the network is read from our own Received field, which a message has that lies in a mailbox.
    """
    subjects = [] if author is None else [f"address {author.key}", f"domain {author.domain.casefold()}"]
    ip = None
    if client is not None:
        ip = client.peer.ip
    elif content.received:
        ip = handed_over_by(content.received[0])
    if ip is not None and not ip.is_loopback:
        subjects.append(_network_subject(ip))
    spoken = language(content.text)
    if spoken:
        subjects += [_ANY_LANGUAGE, f"language {spoken}"]
    return subjects


@lru_cache(maxsize=4096)
def _network_subject(ip: Ip) -> str:
    return f"network {network_of(ip)}"


_ANY_LANGUAGE = "language *"
"""The subject by which messages are counted whose language was guessed at all."""


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


async def _own(tx: Transaction, account: AccountId, case: _Case, words: Evidence | None) -> list[Evidence]:
    """Weigh what one account has learnt, and whom it knows."""
    found = [] if words is None else [words]
    proved = case.proved
    if proved is not None and await junk.has_written_to(tx, account, proved.key):
        found.append(Evidence("known-correspondent", -4.0, f"You have written to {proved.key}."))
    if await junk.has_sent(tx, account, case.answered):
        found.append(Evidence("answers-you", -4.0, "It answers a message that you have sent."))
    reputations = await junk.reputations(tx, account, case.subjects)
    found += _standing(reputations, proved)
    found += _foreign(case.subjects, reputations)
    before = reputations.get(f"address {proved.key}") if proved is not None else None
    if before is None:
        if case.deceit and not any(one.name in _TRUSTED for one in found):
            weight = round(case.deceit / 2, 1)
            found.append(
                Evidence("first-contact", weight, "You never had mail from its sender, and some of it deceives.")
            )
    elif before.junk <= before.wanted:
        found.append(Evidence("heard-before", -0.5, f"You have had mail from {name_of(proved)} before."))
    return found


class _Standing(NamedTuple):
    """What a reputation says. `least`: messages that must have been learnt; `share`: of them, that must be of one kind;
    `bad`, `good`: weights, and what is said of the subject then."""

    least: int
    share: float
    bad: tuple[float, str]
    good: tuple[float, str]


_OF_SENDER = _Standing(
    3, 0.9, (1.5, "You have put most mail from {} to junk."), (-1.0, "You have wanted the mail from {} so far.")
)
_OF_NETWORK = _Standing(
    10,
    0.95,
    (0.6, "You have put nearly all mail from hosts near the one it came from ({}) to junk."),
    (-0.3, "You have wanted nearly all mail from hosts near the one it came from ({})."),
)
"""Many send through the hosts of a large provider: where the mail of some is wanted and that of others is not, nothing
is said."""
_STANDINGS = {"address": _OF_SENDER, "domain": _OF_SENDER, "network": _OF_NETWORK}


def _standing(reputations: dict[str, junk.Seen], proved: Address | None) -> Iterator[Evidence]:
    """Weigh what was learnt of a sender, and of the network he sends from."""
    for subject, seen in reputations.items():
        kind, _, name = subject.partition(" ")
        standing = _STANDINGS.get(kind)
        if standing is None or seen.junk + seen.wanted < standing.least or (kind == "address" and proved is None):
            continue
        all_seen = seen.junk + seen.wanted
        if seen.junk >= standing.share * all_seen:
            weight, sentence = standing.bad
            yield Evidence(f"bad-{kind}", weight, sentence.format(name))
        elif seen.wanted >= standing.share * all_seen and (proved is not None or kind == "network"):
            weight, sentence = standing.good
            yield Evidence(f"good-{kind}", weight, sentence.format(name))


def _foreign(subjects: Sequence[str], reputations: dict[str, junk.Seen]) -> Iterator[Evidence]:
    """Weigh whether mail in the language of a message was wanted so far."""
    total = reputations.get(_ANY_LANGUAGE)
    if total is None or total.wanted < _ENOUGH_WANTED or _ANY_LANGUAGE not in subjects:
        return
    seen = reputations.get(subjects[-1])
    if seen is None or seen.wanted <= _HARDLY_EVER * total.wanted:
        spoken = described(subjects[-1].partition(" ")[2])
        yield Evidence("unusual-language", 0.6, f"It is {spoken}, and hardly any mail you wanted was.")


def name_of(author: Address | None) -> str:
    """Give how an author is called in sentences."""
    return author.key if author is not None else "its sender"


def weigh_words(likely: float | None) -> Evidence | None:
    """Weigh the chance that words are those of junk. None: they say nothing."""
    if likely is None:
        return None
    _, weight, sentence = next(step for step in _CHANCES if likely >= step[0])
    return Evidence("words", weight, sentence) if weight else None
