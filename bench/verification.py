"""What it costs to find out who sent a message: processor time with all checks on and every answer of the DNS cached.

    python bench/verification.py [MESSAGES]

One message of 4 KB with one RSA-2048 signature, SPF with an include, DMARC, iprev, BIMI; then the parts alone.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from pennypost.mail.post import Post
from pennypost.mail.prepare import Preparer
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Language, SmtpClient
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.trace import DateStamp
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.mail.verifier import Verifier
from pennypost.model.address import Address
from pennypost.model.dns import DnsAnswer, DnsQuestion, DnsStatus, RecordType
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.peer import Peer
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings
from pennypost.store import directory
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store
from pennypost.verify.dkim import SigningKey, public_record, sign

PEER = Peer(ip_address("192.0.2.1"), 25)
SENDER = Address("carl", "news.example.org")
HEADER = (
    b"Received: from a.example.org by mx.example.org; Fri, 27 Nov 2026 12:00:00 +0000\r\n"
    b"From: Carl <carl@news.example.org>\r\nTo: anna@penny.test\r\nSubject: hello\r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@news.example.org>\r\n\r\n"
)
BODY = b"A line of text of a usual length, as people write them.\r\n" * 70


class CachedDns(Resolver):
    """A resolver whose cache holds everything that is asked: nothing is sent anywhere."""

    def fill(self, records: dict[tuple[str, RecordType], tuple[object, ...]]) -> None:
        for (name, kind), found in records.items():
            answer = DnsAnswer(DnsStatus.FOUND, found, ttl_seconds=86_400)  # type: ignore[arg-type]
            self._cache.put(DnsQuestion(name, kind), answer)

    async def _ask_servers(self, question: DnsQuestion, name: object) -> DnsAnswer:
        return DnsAnswer(DnsStatus.NO_SUCH_NAME, ttl_seconds=3600)


async def timed(name: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
    for _ in range(20):
        await work()
    begun = time.process_time()
    for _ in range(count):
        await work()
    print(f"{name:48} {(time.process_time() - begun) / count * 1000:8.3f} ms")


async def main(count: int) -> None:
    key = generate_private_key(65537, 2048)
    now = int(datetime.now(UTC).timestamp())
    header = sign(HEADER, BODY, [SigningKey("example.org", "s1", key)], now) + HEADER
    octets = header + BODY
    resolver = CachedDns(ResolverSettings(), (("127.0.0.1", 9),))
    text = RecordType.TXT
    resolver.fill(
        {
            ("news.example.org", text): (b"v=spf1 include:_spf.example.org -all",),
            ("_spf.example.org", text): (b"v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 ~all",),
            ("_dmarc.example.org", text): (b"v=DMARC1; p=reject; rua=mailto:agg@example.org",),
            ("s1._domainkey.example.org", text): (public_record(key.public_key()).encode(),),
            ("default._bimi.example.org", text): (b"v=BIMI1; l=https://example.org/logo.svg",),
            ("1.2.0.192.in-addr.arpa", RecordType.PTR): ("mx.example.org",),
            ("mx.example.org", RecordType.A): (ip_address("192.0.2.1"),),
            ("mx.example.org", text): (b"v=spf1 a -all",),
        }
    )
    settings = VerificationSettings(time=timedelta(seconds=8))
    verifier = Verifier(resolver, settings, "mail.penny.test", lambda: datetime.now(UTC))

    async def verify() -> None:
        found = await verifier.verify(PEER, "mx.example.org", SENDER, header, octets, len(header))
        assert found.dmarc is not None
        assert found.dmarc.dkim_aligned
        assert found.dmarc.spf_aligned
        verifier.amend(header, PEER, SENDER, found)

    await timed("all checks, Authentication-Results written", count, verify)
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(StoreSettings(data_dir=Path(folder) / "data"))
        await store.write(lambda tx: directory.add_domain(tx, "penny.test"))
        await store.write(lambda tx: directory.add_account(tx, "anna@penny.test", "Anna", "x", None, None))
        delivery = DeliverySettings()
        post = Post(store, Preparer(store, delivery), delivery, "mail.penny.test", DateStamp())
        client = SmtpClient(PEER, "mx.example.org", Language.ESMTP)
        for name, checks in (("received and stored without checks", None), ("the same with all checks", verifier)):
            receiver = Receiver(post, None, checks)

            async def receive(receiver: Receiver = receiver) -> None:
                reception = receiver.begin(client)
                await reception.sender(Envelope(SENDER))
                await reception.recipient(Recipient(Address("anna", "penny.test")))
                reception.write(octets)
                await reception.accept()

            await timed(name, count // 4, receive)
        post.preparer.close()
        await store.close()
    verifier.close()
    await resolver.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
