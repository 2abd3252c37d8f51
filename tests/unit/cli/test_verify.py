"""`pennypost verify` and `pennypost reports dmarc`: what is said of a message in a file, and of reports."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.dns_server import FakeDns

from pennypost.cli.main import main
from pennypost.verify.dmarc.report import Report, ReportRow, compress, write_xml

MESSAGE = b"From: Carl <carl@example.org>\nSubject: hello\n\nA body.\n"


@pytest.fixture
def dns() -> Iterator[FakeDns]:
    with FakeDns(
        {
            ("example.org", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
            ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=reject"'],
        }
    ) as zone:
        yield zone


def run(*arguments: str, typed: bytes | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments, input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def verify(dns: FakeDns, file: str, *more: str, ip: str = "192.0.2.1", typed: bytes | None = None) -> tuple[int, str]:
    resolver = f"{dns.address}:{dns.port}"
    return run(
        "verify", file, "--ip", ip, "--helo", "mx.example.org", "--mail-from", "<carl@example.org>",
        "--resolver", resolver, "--set", "server.hostname=mail.penny.test", *more, typed=typed,
    )  # fmt: skip


def test_a_verdict_in_words(dns: FakeDns, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(MESSAGE)
    status, said = verify(dns, str(file))
    assert status == 0
    assert "spf=pass" in said
    assert "smtp.mailfrom=carl@example.org" in said
    assert "dkim=none" in said
    assert "dmarc=pass" in said
    assert "\nWhat follows: deliver\n" in said
    assert "It is really from example.org. (dmarc-pass)\n" in said
    assert said.endswith("in all, of 5.0: wanted\n")


def test_a_verdict_as_json_from_standard_input(dns: FakeDns) -> None:
    status, said = verify(dns, "-", "--json", ip="198.51.100.1", typed=MESSAGE)
    assert status == 0
    found = json.loads(said)
    assert found["spf"]["result"] == "fail"
    assert found["dmarc"] | {"result": "fail", "policy": "reject", "from_domain": "example.org"} == found["dmarc"]
    assert (found["handling"], found["mailbox"], found["ip"]) == ("refuse", "inbox", "198.51.100.1")


@pytest.mark.parametrize("wrong", [("--ip", "here"), ("--mail-from", "nobody"), ("--resolver", "dns.example:53")])
def test_a_wrong_argument_is_named(dns: FakeDns, wrong: tuple[str, str]) -> None:
    status, said = verify(dns, "-", *wrong, typed=MESSAGE)
    assert status == 2
    assert wrong[0] in said


def test_reports_of_others_are_shown(tmp_path: Path) -> None:
    rows = (
        ReportRow("192.0.2.1", 7, "none", dkim_aligned=True, spf_aligned=True, header_from="penny.test"),
        ReportRow("198.51.100.9", 3, "reject", dkim_aligned=False, spf_aligned=False, header_from="penny.test"),
    )
    made = Report("Big", "x@big.example", "7", 1700006400, 1700092799, "penny.test", (("p", "reject"),), rows)
    file = tmp_path / "report.xml.gz"
    file.write_bytes(compress(write_xml(made, "test")))
    options = ("--set", f"server.data_dir={tmp_path / 'data'}")
    status, said = run("reports", "dmarc", "--import", str(file), "--json", *options)
    assert status == 0
    assert json.loads(said) == [
        {
            "domain": "penny.test",
            "day": "2023-11-15",
            "from": "Big",
            "messages": 10,
            "aligned": 7,
            "failed": 3,
            "report_id": "7",
        }
    ]
    assert run("reports", "dmarc", "--import", str(file), *options)[0] == 1
    status, said = run("reports", "dmarc", "--sources", "--json", *options)
    assert [(line["source"], line["messages"]) for line in json.loads(said)] == [("198.51.100.9", 3), ("192.0.2.1", 7)]
    file.write_bytes(b"nonsense")
    assert run("reports", "dmarc", "--import", str(file), *options)[0] == 1
