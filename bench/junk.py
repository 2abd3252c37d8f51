"""How well junk is told from wanted mail, beside bogofilter trained on the same halves; and what that costs.

    python -m bench.junk [--messages N] [--seed N] [--folder FOLDER]

Each half of a corpus is judged by what was learnt from the other half. FOLDER has `nice` and `spam` inside it, with a
message in each file. Without one the corpus is made up, from a seed, so that it is the same each time:

- words are invented; how often each comes follows Zipf's law. All mail shares 3,000, each of 40 topics of wanted mail
  and each of 60 campaigns of junk has 150 of its own, and both kinds of advertising share another 600;
- of the wanted mail 60 % is letters on a topic or two, 20 % notes of a few words, 20 % newsletters full of the words of
  advertising, with links and HTML;
- of the junk 50 % is plain advertising, 20 % is padded with the words of a topic of wanted mail, three times as long as
  what it sells, 15 % has its words misspelt, each time differently, and 15 % is a line with a link. A quarter
  of the campaigns is in the first half only, another in the second only: a third of what is judged was not seen before;
- headers are in order, in both kinds alike: nothing but words is to tell them apart.

It is made to be hard, not to be like anybody's mail: what it compares is programs, on the same messages.
"""

import argparse
import asyncio
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from pennypost.junk.classifier import Count, certain, chance
from pennypost.junk.content import Content
from pennypost.junk.evidence import Score
from pennypost.junk.signs import signs
from pennypost.junk.tokens import tokens
from pennypost.mail.judge import Judge, JunkSettings, look_at, weigh_words
from pennypost.mail.learner import lesson_of
from pennypost.mail.post import Post
from pennypost.mail.prepare import Preparer
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Language, SmtpClient
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.trace import DateStamp
from pennypost.message import headers
from pennypost.message.digest import digest
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.peer import Peer
from pennypost.store import directory
from pennypost.store import junk as lessons
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

CLIENT = SmtpClient(Peer(ip_address("192.0.2.1"), 25), "mx.example.org", Language.ESMTP)

BOGOFILTER_CUTOFF = 0.99
"""From where on bogofilter says Spam, unless it is told otherwise; from 0.45 on it says Unsure."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, with CRLF lines, and what it is."""

    octets: bytes
    junk: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What one program thought of a sample: `order` ranks, `filed` is its verdict."""

    sample: Sample
    order: float
    filed: bool


# -- The corpus that is made up


class Author:
    """Writes messages."""

    def __init__(self, seed: int) -> None:
        self._random = chosen = random.Random(seed)
        syllables = [a + b for a in "bcdfghjklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "is", "ol")]
        made = dict.fromkeys("".join(chosen.choices(syllables, k=chosen.randint(1, 4))) for _ in range(60_000))
        words = iter(made)
        self._common = [next(words) for _ in range(3_000)]
        self._offers = [next(words) for _ in range(600)]
        self._topics = [[next(words) for _ in range(150)] for _ in range(40)]
        self._campaigns = [[next(words) for _ in range(150)] for _ in range(60)]
        self._zipf = [1 / (rank + 2) for rank in range(3_000)]

    def _words(self, kinds: Sequence[tuple[Sequence[str], float]], count: int) -> list[str]:
        chosen = self._random
        sources = chosen.choices([words for words, _ in kinds], [share for _, share in kinds], k=count)
        return [chosen.choices(words, self._zipf[: len(words)])[0] for words in sources]

    def wanted(self) -> Sample:
        chosen = self._random
        topics = chosen.sample(self._topics, 2)
        kind = chosen.choices(("letter", "note", "newsletter"), (60, 20, 20))[0]
        if kind == "newsletter":
            kinds = [(self._common, 4.0), (self._offers, 3.0), (topics[0], 2.0)]
            return Sample(self._message(self._words(kinds, chosen.randint(80, 400)), "newsletter", html=True), False)
        count = chosen.randint(4, 15) if kind == "note" else chosen.randint(40, 400)
        return Sample(self._message(self._words([(self._common, 5), (topics[0], 2), (topics[1], 1)], count)), False)

    def junk(self, half: int) -> Sample:
        chosen = self._random
        campaign = chosen.choice([one for number, one in enumerate(self._campaigns) if number % 4 != 3 - half])
        kinds = [(self._common, 5.0), (self._offers, 2.0), (campaign, 1.5)]
        kind = chosen.choices(("plain", "padded", "misspelt", "short"), (50, 20, 15, 15))[0]
        words = self._words(kinds, chosen.randint(6, 12) if kind == "short" else chosen.randint(30, 200))
        if kind == "padded":
            words += self._words([(self._common, 5), (chosen.choice(self._topics), 2)], 3 * len(words))
        elif kind == "misspelt":
            words = [self._misspelt(word) if chosen.random() < 0.4 else word for word in words]
        return Sample(self._message(words, "offer" if kind != "plain" else "", html=chosen.random() < 0.5), True)

    def _misspelt(self, word: str) -> str:
        at = self._random.randrange(len(word))
        return word[:at] + self._random.choice("xqz014") + word[at + 1 :]

    def _message(self, words: list[str], link: str = "", *, html: bool = False) -> bytes:
        chosen = self._random
        number = chosen.getrandbits(64)
        host = f"{''.join(chosen.choices('abcdefgh', k=6))}.example"
        subject = " ".join(words[: chosen.randint(2, 6)])
        lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        if link:
            lines.append(f"http://{link}.{host}/{number:x}")
        kind = "html" if html else "plain"
        if html:
            lines = ["<html><body>", *(f"<p>{line}</p>" for line in lines), "</body></html>"]
        head = (
            f"From: {chosen.choice(self._common).title()} <{number % 997}@{host}>\r\nTo: anna@penny.test\r\n"
            f"Subject: {subject}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number:x}@{host}>\r\n"
            f"MIME-Version: 1.0\r\nContent-Type: text/{kind}; charset=us-ascii\r\n\r\n"
        )
        return (head + "\r\n".join(lines) + "\r\n").encode("ascii")


def made_up(count: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    author = Author(seed)
    first, second = (
        [author.junk(half) if number % 2 else author.wanted() for number in range(count // 2)] for half in (0, 1)
    )
    return first, second


def read(folder: Path) -> tuple[list[Sample], list[Sample]]:
    samples: list[Sample] = []
    for name, junk in (("nice", False), ("spam", True)):
        files = sorted(file for file in (folder / name).rglob("*") if file.is_file())
        found = [Sample(b"\r\n".join(file.read_bytes().splitlines()) + b"\r\n", junk) for file in files]
        random.Random(1840).shuffle(found)
        samples += found
    return samples[::2], samples[1::2]


# -- Programs


def ours(train: Sequence[Sample], test: Sequence[Sample]) -> Iterator[Result]:
    counts: dict[int, list[int]] = {}
    totals = [0, 0]
    for sample in train:
        totals[sample.junk] += 1
        for token in tokens(content_of(sample)).all():
            counts.setdefault(token, [0, 0])[sample.junk] += 1
    known = {token: Count(*count) for token, count in counts.items()}
    learnt, threshold = Count(*totals), JunkSettings().threshold
    for sample in test:
        content = content_of(sample)
        likely = chance(learnt, known, tokens(content))
        sure = None if likely is None else certain(learnt, likely)
        score = Score.of(*signs(content), weigh_words(sure)).total
        yield Result(sample, -1.0 if likely is None else likely, score >= threshold)


def content_of(sample: Sample) -> Content:
    header, body = headers.split(sample.octets)
    return look_at(header, digest(header, body).index, body)


def bogofilter(train: Sequence[Sample], test: Sequence[Sample]) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for junk, option in ((False, "-n"), (True, "-s")):
            names = [write(place / f"{number}", sample) for number, sample in enumerate(train) if sample.junk is junk]
            subprocess.run(["bogofilter", "-C", "-d", folder, option, "-b"], input=b"\n".join(names), check=True)
        names = [write(place / f"{number}", sample) for number, sample in enumerate(test)]
        command = ["bogofilter", "-C", "-d", folder, "-v", "-T", "-T", "-b"]
        told = subprocess.run(command, input=b"\n".join(names), capture_output=True, check=False).stdout.splitlines()
        for sample, line in zip(test, told, strict=True):
            likely = float(line.split()[-1])
            yield Result(sample, likely, likely >= BOGOFILTER_CUTOFF)


def write(path: Path, sample: Sample) -> bytes:
    path.write_bytes(sample.octets.replace(b"\r\n", b"\n"))
    return bytes(path)


# -- Figures


def area(results: Sequence[Result]) -> float:
    """Give the area under the ROC curve: how likely junk is ranked above wanted mail, equal ranks counted as half."""
    ordered = sorted(results, key=lambda result: result.order)
    below = total = 0.0
    at = 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end].order == ordered[at].order:
            end += 1
        junk = sum(result.sample.junk for result in ordered[at:end])
        total += junk * (below + (end - at - junk) / 2)
        below += end - at - junk
        at = end
    return total / (below * (len(ordered) - below))


def caught_when_none_is_lost(results: Sequence[Result]) -> float:
    """Give the share of junk that is ranked above all wanted mail."""
    worst = max(result.order for result in results if not result.sample.junk)
    junk = [result.order for result in results if result.sample.junk]
    return sum(order > worst for order in junk) / len(junk)


def report(name: str, results: Sequence[Result], seconds: float) -> None:
    wanted = [result for result in results if not result.sample.junk]
    junk = [result for result in results if result.sample.junk]
    lost, caught = sum(result.filed for result in wanted), sum(result.filed for result in junk)
    precision = caught / (caught + lost) if caught + lost else float("nan")
    print(
        f"{name:12} area {area(results):.5f}  precision {precision:.4f}  recall {caught / len(junk):.4f}  wanted filed "
        f"as junk {lost}/{len(wanted)} ({lost / len(wanted):.2%})  caught while none is lost "
        f"{caught_when_none_is_lost(results):.3f}  {seconds:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1840)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="do not measure what it costs")
    given = parser.parse_args()
    halves = read(given.folder) if given.folder else made_up(given.messages, given.seed)
    print(f"{len(halves[0])} and {len(halves[1])} messages")
    programs: list[tuple[str, Callable[[Sequence[Sample], Sequence[Sample]], Iterator[Result]]]] = [("Pennypost", ours)]
    if shutil.which("bogofilter"):
        programs.append(("bogofilter", bogofilter))
    for name, program in programs:
        begun = time.perf_counter()
        results = [*program(*halves), *program(*reversed(halves))]
        report(name, results, time.perf_counter() - begun)
    if not given.quick:
        asyncio.run(cost(halves[0], halves[1][:400]))


async def cost(taught: Sequence[Sample], sent: Sequence[Sample]) -> None:
    """Say what it takes to receive messages without and with the judge, who has learnt half of the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(StoreSettings(data_dir=Path(folder) / "data"))
        await store.write(lambda tx: directory.add_domain(tx, "penny.test"))
        anna = await store.write(lambda tx: directory.add_account(tx, "anna@penny.test", "Anna", "x", None, None))
        for sample in taught:
            header, body = headers.split(sample.octets)
            lesson = lesson_of(header, digest(header, body).index, body)
            await store.write_large(
                partial(lessons.learn, account=anna.id, message=None, lesson=lesson, junk=sample.junk)
            )
        delivery = DeliverySettings()
        post = Post(store, Preparer(store, delivery), delivery, "mail.penny.test", DateStamp())
        for name, judge in (("without", None), ("with", Judge(store, JunkSettings(refuse_threshold=0.0)))) * 2:
            begun = time.process_time()
            for sample in sent:
                reception = Receiver(post, judge=judge).begin(CLIENT)
                await reception.sender(Envelope(Address("carl", "example.org")))
                await reception.recipient(Recipient(Address("anna", "penny.test")))
                reception.write(sample.octets)
                await reception.accept()
            print(f"receive and store {name:8} the judge: {(time.process_time() - begun) / len(sent) * 1e3:.3f} ms")
        post.preparer.close()
        await store.close()


if __name__ == "__main__":
    main()
