"""`pennypost dns records` and `pennypost doctor`, over a DNS, a port 25, a web server and a clock of our own."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.dns_server import FakeDns, Fault
from tests.unit.cli.shell import Shell

from pennypost.clients.http.https import HttpsAnswer, HttpsFailed
from pennypost.mail.checkup import doctor, reachable
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings

HOST = "mx.example.org"


class DoctorShell(Shell):
    def run(self, *arguments: str, typed: str | None = None) -> tuple[int, str, str]:
        return super().run(*arguments, "--set", f"server.hostname={HOST}", typed=typed)


@pytest.fixture
def shell(tmp_path: Path) -> DoctorShell:
    shell = DoctorShell(tmp_path / "data")
    shell("domain", "add", "example.org")
    return shell


@contextmanager
def saying(greeting: bytes) -> Iterator[int]:
    """A port that says something to whoever comes. Gives its number."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@contextmanager
def telling_time(off: float = 0, stratum: int = 1) -> Iterator[int]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as clock:
        clock.bind(("127.0.0.1", 0))
        clock.settimeout(10)

        def serve() -> None:
            try:
                _, peer = clock.recvfrom(100)
            except OSError:
                return
            seconds = int(time.time() + off + 2_208_988_800)
            clock.sendto(bytes([0x24, stratum]) + bytes(38) + struct.pack("!II", seconds, 0), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield clock.getsockname()[1]
    thread.join(15)


def as_records(shell: Shell) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for record in shell.records("dns", "records", "example.org"):
        found.setdefault((record["name"], record["type"]), []).append(record["data"])
    return found


def test_records_in_three_forms(shell: DoctorShell) -> None:
    zone = shell("dns", "records", "example.org", "--authority", "ca.test")
    assert "MX    10 mx.example.org." in zone
    assert 'IN CAA   0 issue "ca.test"' in zone
    assert "_imaps._tcp.example.org." in zone
    assert "autoconfig.example.org." in zone
    assert "autodiscover.example.org." in zone
    assert "autoconfig" not in shell("dns", "records", "example.org", "--autoconfig", "")
    assert "autoconfig" not in shell("dns", "records", "example.org", "--set", "listeners.http=[]")
    table = shell("dns", "records", "example.org", "--table", "--autoconfig", "web.example.org")
    assert table.splitlines()[0].split() == ["name", "type", "value"]
    assert "autoconfig.example.org" in table
    found = shell.records("dns", "records", "example.org")
    assert {"MX", "TXT", "SRV", "CNAME"} <= {record["type"] for record in found}
    assert sum("_domainkey" in record["name"] for record in found) == 2


def test_a_domain_of_others_is_refused(shell: DoctorShell) -> None:
    status, _, errors = shell.run("dns", "records", "other.example")
    assert (status, "no such domain" in errors) == (1, True)


def examine(shell: Shell, zone: FakeDns, port: int, time_port: int, *more: str) -> tuple[int, dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor.DoctorSettings, "__init__", _with_time_port(time_port))
        status, said, _ = shell.run(
            "doctor", "example.org", "--resolver", f"127.0.0.1:{zone.port}", "--probe", "far.test", "--time-server",
            "time.test", "--blocklist", "list.test", "--json", "--set", f"relay.port={port}", *more,
        )  # fmt: skip
    found: dict[str, Any] = {}
    for finding in json.loads(said):
        found.setdefault(finding["check"], []).append(finding["grade"])
    return status, found


def _with_time_port(port: int) -> Any:
    made = doctor.DoctorSettings.__init__

    def init(self: doctor.DoctorSettings, *given: Any) -> None:
        made(self, *given, time_port=port)

    return init


def test_a_domain_that_is_fine_but_on_loopback(shell: DoctorShell) -> None:
    shell.run("account", "add", "postmaster@example.org", typed="correct horse battery\ncorrect horse battery\n")
    shell("alias", "add", "dmarc-reports@example.org", "postmaster@example.org")
    zone = FakeDns(as_records(shell))
    zone.records[HOST, "A"] = ["127.0.0.1"]
    zone.records["1.0.0.127.in-addr.arpa", "PTR"] = [f"{HOST}."]
    zone.records["far.test", "MX"] = ["10 mx.far.test."]
    zone.records["mx.far.test", "A"] = ["127.0.0.1"]
    zone.records["time.test", "A"] = ["127.0.0.1"]
    with zone, saying(f"220 {HOST} ESMTP\r\n".encode()) as port, telling_time() as time_port:
        status, found = examine(shell, zone, port, time_port, "--set", "sts.mode=none")
    assert status == 1
    assert found == {
        "host": ["problem"],  # a loopback address
        "mx": ["good"],
        "reverse": ["good"],
        "spf": ["good"],
        "helo": ["good"],
        "dkim": ["good", "good"],
        "dmarc": ["hint"],
        "mta-sts": ["hint"],  # the plan was made with a policy
        "tlsrpt": ["good"],
        "dane": ["good"],
        "programs": ["hint"],  # no web server leads to the HTTP door
        "services": ["good"],
        "caa": ["good"],
        "blocklist": ["unknown"],
        "incoming": ["good"],
        "outgoing": ["good"],
        "clock": ["good"],
        "certificate": ["hint"],
    }


def test_nothing_published_is_not_the_same_as_no_answer(shell: DoctorShell) -> None:
    with FakeDns({("x.test", "A"): ["192.0.2.1"]}) as zone:
        status, found = examine(shell, zone, 1, 1)
        assert status == 1
        assert found["mx"] == ["problem"]
        assert found["dkim"] == ["problem", "problem"]
        assert found["clock"] == ["unknown"]
    with FakeDns() as zone:
        names = [name for name, _ in as_records(shell)]
        names += [HOST, f"_25._tcp.{HOST}", "far.test", "time.test", "2.0.0.127.list.test"]
        zone.faults = dict.fromkeys(names, Fault.SERVFAIL)
        status, found = examine(shell, zone, 1, 1)
    assert found.pop("certificate") == ["hint"]  # it lies in a file
    for check, grades in found.items():
        assert set(grades) == {"unknown"}, check
    assert len(found) > 10
    assert status == 3


def test_what_is_wrong_is_told_with_what_to_do(shell: DoctorShell) -> None:
    with FakeDns({("x.test", "A"): ["192.0.2.1"]}) as zone:
        status, said, _ = shell.run(
            "doctor", "example.org", "--resolver", f"127.0.0.1:{zone.port}", "--probe", "far.test", "--time-server",
            "time.test", "--blocklist", "list.test",
        )  # fmt: skip
    assert status == 1
    assert "WRONG  mx           example.org does not exist in the DNS" in said
    assert "-> Publish: _dmarc.example.org. TXT" in said
    assert said.splitlines()[-1].endswith("good")


@pytest.mark.parametrize(
    ("off", "stratum", "grade"), [(0, 1, "good"), (-10, 2, "hint"), (3600, 1, "problem"), (0, 0, "unknown")]
)
async def test_the_clock(off: float, stratum: int, grade: str) -> None:
    with FakeDns({("time.test", "A"): ["127.0.0.1"]}) as zone, telling_time(off, stratum) as port:
        resolver = Resolver(ResolverSettings(), (zone.server,))
        (finding,) = await reachable.clock(resolver, "time.test", port)
        await resolver.close()
    assert finding.grade.value == grade


async def test_a_time_server_that_cannot_be_reached() -> None:
    from pennypost.net.resolver import Resolver
    from pennypost.net.settings import ResolverSettings

    with FakeDns({("time.test", "A"): ["255.255.255.255"]}) as zone:  # as any address, where there is no IPv4
        resolver = Resolver(ResolverSettings(), (zone.server,))
        (finding,) = await reachable.clock(resolver, "time.test", 123)
        await resolver.close()
    assert finding.grade.value == "unknown"


def test_what_others_say_does_nothing_to_the_terminal(shell: DoctorShell) -> None:
    text = '"v=spf1 ?all \\027]0;hello\\007"'
    with FakeDns({("example.org", "TXT"): [text]}) as zone:
        _, said, _ = shell.run(
            "doctor", "example.org", "--resolver", f"127.0.0.1:{zone.port}", "--probe", "far.test", "--time-server",
            "time.test", "--blocklist", "list.test",
        )  # fmt: skip
    assert "v=spf1 ?all ?]0;hello?" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("greeting", "grade"),
    [(b"220 mx.example.org hi\r\n", "good"), (b"220 other.test hi\r\n", "problem"), (b"554 no\r\n", "problem")],
)
async def test_who_answers_at_our_address(greeting: bytes, grade: str) -> None:
    from ipaddress import ip_address

    with saying(greeting) as port:
        (finding,) = await reachable.incoming([ip_address("127.0.0.1")], HOST, port)
    assert finding.grade.value == grade


@pytest.mark.parametrize(
    ("records", "answer", "grade"),
    [
        (["127.0.0.1"], HttpsAnswer(200, "text/xml", b"<clientConfig version='1.1'>"), "good"),
        (["127.0.0.1"], HttpsAnswer(200, "text/html", b"<html>"), "hint"),
        (["127.0.0.1"], HttpsAnswer(404, "", b""), "hint"),
        (["127.0.0.1"], None, "hint"),
        ([], None, "hint"),
    ],
)
async def test_whether_programs_find_their_settings(records: list[str], answer: HttpsAnswer | None, grade: str) -> None:
    class Fetching:
        async def get(self, url: str, **_: object) -> HttpsAnswer:
            assert url == "https://autoconfig.example.org/mail/config-v1.1.xml"
            if answer is None:
                raise HttpsFailed("nobody there")
            return answer

    with FakeDns({("autoconfig.example.org", "A"): records} if records else {}) as zone:
        resolver = Resolver(ResolverSettings(), (zone.server,))
        fetching: Any = Fetching()
        (finding,) = await reachable.programs(resolver, fetching, "example.org", "mx.example.org")
        assert await reachable.programs(resolver, fetching, "example.org", "") == []
        await resolver.close()
    assert finding.grade.value == grade
    assert bool(finding.advice) is (grade != "good")
