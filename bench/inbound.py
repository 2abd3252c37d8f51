"""What it costs to receive a message with everything on: SPF, DKIM, ARC, DMARC, iprev, BIMI, score, classifier.

    python -m bench.inbound [MESSAGES] [--profile]

Processor time of one process, all threads, from MAIL to the commit, with every answer of the DNS cached. The messages
are made up as those of `bench.junk`, 4 KB each, signed with RSA-2048; the account they are for has learnt 3,000 of the
same kind.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from bench.junk import Author, made_up
from bench.verification import PEER, SENDER, CachedDns
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from pennypost.mail.judge import Judge, JunkSettings
from pennypost.mail.learner import lesson_of
from pennypost.mail.post import Post
from pennypost.mail.prepare import Preparer
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Language, SmtpClient
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.trace import DateStamp
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.mail.verifier import Verifier
from pennypost.message import headers
from pennypost.message.digest import digest
from pennypost.model.address import Address
from pennypost.model.dns import RecordType
from pennypost.model.envelope import Envelope, Recipient
from pennypost.net.settings import ResolverSettings
from pennypost.store import directory
from pennypost.store import junk as lessons
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store
from pennypost.verify.dkim import SigningKey, public_record, sign

OCTETS = 4096
LEARNT = 3000
ROUNDS = 5


def signed_messages(count: int, key: SigningKey) -> list[bytes]:
    """Make messages, of which SENDER's domain is the author."""
    author, now = Author(7), int(datetime.now(UTC).timestamp())
    made = []
    while len(made) < count:
        header, body = headers.split(author.wanted().octets)
        if len(body) < OCTETS // 8:
            continue
        body = (body * (OCTETS // len(body) + 1))[: OCTETS - 2] + b"\r\n" if len(body) < OCTETS // 2 else body[:OCTETS]
        body = body.replace(b"\r", b"").replace(b"\n", b"\r\n")
        lines = header.split(b"\r\n", 1)[1]
        header = b"From: Carl <carl@news.example.org>\r\n" + lines
        made.append(sign(header, body, [key], now) + header + body)
    return made


async def main(count: int, profiled: bool) -> None:
    private = generate_private_key(65537, 2048)
    key = SigningKey("example.org", "s1", private)
    text = RecordType.TXT
    resolver = CachedDns(ResolverSettings(), (("127.0.0.1", 9),))
    resolver.fill(
        {
            ("news.example.org", text): (b"v=spf1 include:_spf.example.org -all",),
            ("_spf.example.org", text): (b"v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 ~all",),
            ("_dmarc.example.org", text): (b"v=DMARC1; p=reject; rua=mailto:agg@example.org",),
            ("s1._domainkey.example.org", text): (public_record(private.public_key()).encode(),),
            ("default._bimi.example.org", text): (b"v=BIMI1; l=https://example.org/logo.svg",),
            ("1.2.0.192.in-addr.arpa", RecordType.PTR): ("mx.example.org",),
            ("mx.example.org", RecordType.A): (ip_address("192.0.2.1"),),
            ("mx.example.org", text): (b"v=spf1 a -all",),
        }
    )
    verifier = Verifier(resolver, VerificationSettings(), "mail.penny.test", lambda: datetime.now(UTC))
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(StoreSettings(data_dir=Path(folder) / "data"))
        await store.write(lambda tx: directory.add_domain(tx, "penny.test"))
        anna = await store.write(lambda tx: directory.add_account(tx, "anna@penny.test", "Anna", "x", None, None))
        for sample in made_up(2 * LEARNT, 7)[0]:
            header, body = headers.split(sample.octets)
            lesson = lesson_of(header, digest(header, body).index, body)
            learn = partial(lessons.learn, account=anna.id, message=None, lesson=lesson, junk=sample.junk)
            await store.write_large(learn)
        delivery = DeliverySettings()
        post = Post(store, Preparer(store, delivery), delivery, "mail.penny.test", DateStamp())
        judge = Judge(store, JunkSettings(refuse_threshold=0.0), "mail.penny.test")
        kinds = {
            "received and stored, nothing checked": Receiver(post),
            "with its sender verified": Receiver(post, verifier=verifier),
            "with its words judged": Receiver(post, judge=judge),
            "with everything on": Receiver(post, verifier=verifier, judge=judge),
        }
        messages = signed_messages(count, key)
        took: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(ROUNDS):
            for name, receiver in kinds.items():
                begun = time.process_time()
                await receive(receiver, messages)
                took[name].append((time.process_time() - begun) / count * 1000)
        for name, each in took.items():
            print(f"{name:40} {statistics.median(each):7.3f} ms ({min(each):.3f} to {max(each):.3f})")
        if profiled:
            profile = cProfile.Profile()
            profile.enable()
            await receive(kinds["with everything on"], messages)
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        post.preparer.close()
        await store.close()
    verifier.close()
    await resolver.close()


async def receive(receiver: Receiver, messages: list[bytes]) -> None:
    client = SmtpClient(PEER, "mx.example.org", Language.ESMTP)
    for message in messages:
        reception = receiver.begin(client)
        await reception.sender(Envelope(SENDER))
        await reception.recipient(Recipient(Address("anna", "penny.test")))
        reception.write(message)
        await reception.accept()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("messages", type=int, nargs="?", default=300)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    asyncio.run(main(given.messages, given.profile))
