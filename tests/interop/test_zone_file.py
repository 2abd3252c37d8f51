"""What `pennypost dns records` prints is loaded by a name server, and every record of it is answered."""

import json
from pathlib import Path

import dns.message
import dns.query
import dns.rdataclass
import dns.rdatatype
import pytest
from tests.interop.signed_dns import SignedDns
from tests.interop.tools import find_program
from tests.running import RunningServer

pytestmark = pytest.mark.skipif(find_program("unbound") is None, reason="not installed: unbound")


def test_every_record_is_answered(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "sts.mode=testing") as server:
        server.command("domain", "add", "example.org")
        printed = ("dns", "records", "example.org", "--authority", "letsencrypt.org")
        zone = server.command(*printed)
        records = json.loads(server.command(*printed, "--json"))
        table = server.command(*printed, "--table")
    kinds = {record["type"] for record in records}
    assert kinds == {"MX", "TXT", "CNAME", "TLSA", "SRV", "CAA"}
    with SignedDns("example.org", f"{zone}mx IN A 127.0.0.1\n") as unbound:
        for record in records:
            name, kind = record["name"], dns.rdatatype.from_text(record["type"])
            question = dns.message.make_query(name, kind)
            answer = dns.query.tcp(question, "127.0.0.1", port=unbound.port, timeout=10)
            found = answer.find_rrset(answer.answer, question.question[0].name, dns.rdataclass.IN, kind)
            wanted = dns.rdata.from_text(dns.rdataclass.IN, kind, record["data"])
            assert wanted in found, record
            assert name in table
