from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal

import pytest

from pennypost.app.config.reader import INVALID, Reader
from pennypost.model.bounds import positive_times, sizes
from pennypost.model.errors import ConfigProblem
from pennypost.model.secret import Secret
from pennypost.model.units import Octets
from pennypost.net.endpoint import Endpoint, TcpEndpoint


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Pair:
    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Inner:
    size: Octets = Octets(10)
    wait: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        sizes(self, "size", least=0, most=1000)
        positive_times(self, "wait")


@dataclass(frozen=True, slots=True)
class Everything:
    flag: bool = False
    count: int = 1
    ratio: float = 0.5
    name: str = ""
    colour: Colour = Colour.RED
    file: Path | None = None
    secret: Secret | None = None
    address: IPv4Address | IPv6Address | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    listen: tuple[Endpoint, ...] = (TcpEndpoint("*", 25),)
    workers: int | Literal["auto"] = "auto"
    pairs: tuple[Pair, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    inner: Inner = field(default_factory=lambda: Inner(size=Octets(20)))


def read(table: dict[str, Any], base: Path = Path("/etc/p"), **environment: str) -> tuple[Any, list[ConfigProblem]]:
    reader = Reader(base, environment)
    return reader.section(Everything, table, "", Everything()), reader.problems


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("flag", True, True),
        ("count", 7, 7),
        ("ratio", 2, 2.0),
        ("name", "x", "x"),
        ("colour", "green", Colour.GREEN),
        ("file", "a/b", Path("/etc/p/a/b")),
        ("file", "/a/b", Path("/a/b")),
        ("file", "none", None),
        ("secret", "s", Secret("s")),
        ("address", "::1", IPv6Address("::1")),
        ("address", "none", None),
        ("networks", ["10.0.0.0/8", "::1"], (ip_network("10.0.0.0/8"), ip_network("::1"))),
        ("listen", "off", ()),
        ("listen", [], ()),
        ("listen", "[::1]:2", (TcpEndpoint("::1", 2),)),
        ("listen", ["a:1", "b:2"], (TcpEndpoint("a", 1), TcpEndpoint("b", 2))),
        ("workers", "auto", "auto"),
        ("workers", 3, 3),
        ("pairs", [{"chain": "c", "key": "/k"}], (Pair(Path("/etc/p/c"), Path("/k")),)),
        ("labels", {"a": 1}, {"a": 1}),
        ("inner", {"wait": "1 min"}, Inner(Octets(20), timedelta(minutes=1))),
    ],
)
def test_every_kind_of_value(key: str, written: object, value: object) -> None:
    settings, problems = read({key: written})
    assert problems == []
    assert getattr(settings, key) == value


@pytest.mark.parametrize(
    ("key", "written", "problem"),
    [
        ("flag", 1, "expected true or false, not 1"),
        ("count", True, "expected a whole number, not true"),
        ("count", "7", 'expected a whole number, not "7"'),
        ("count", [], "expected a whole number, not a list"),
        ("count", float("nan"), "expected a whole number, not nan"),
        ("ratio", "x", 'expected a number, not "x"'),
        ("ratio", float("nan"), "expected a number, not nan"),
        ("ratio", float("inf"), "expected a number, not inf"),
        ("name", 7, "expected a text in quotes, not 7"),
        ("name", {"file": "a"}, "expected a text in quotes, not a table"),
        ("colour", "rde", 'expected "red" or "green", not "rde"; did you mean "red"?'),
        ("file", 7, 'expected a path in quotes, as "/var/lib/pennypost", not 7'),
        ("address", "1.2.3", 'expected an IP address, as "192.0.2.1" or "2001:db8::1", not "1.2.3"'),
        ("networks", ["x" * 99], f'as "192.0.2.0/24" or "2001:db8::/32", not "{"x" * 60}…"'),
        ("networks", ["10.0.0.1/8"], 'expected the first address of a network, as "10.0.0.0/8", not "10.0.0.1/8"'),
        ("listen", ["a:1", "b"], 'expected an address, as "127.0.0.1:2525", "[::]:25" or "unix:'),
        ("workers", "many", 'expected a whole number or "auto", not "many"'),
        ("labels", 3, "expected a table, not 3"),
        ("inner", 3, "expected a table, not 3"),
        ("inner", {"size": 5}, 'expected a size with its unit, as "25 MiB", not 5'),
        ("inner", {"size": "2 KiB"}, 'expected 0 octets to 1000 octets, not "2 KiB"'),
        ("inner", {"wait": "0 s"}, 'expected more than 0 s, not "0 s"'),
        ("inner", {"nothing": "x"}, "unknown key; expected size or wait"),
        ("pairs", [{"chain": "c"}], "is required"),
        ("secret", {"env": "NOT_THERE"}, "the environment has no NOT_THERE"),
        ("secret", {"file": "/nowhere/at/all"}, "cannot read the secret"),
        ("secret", {"file": "a", "env": "b"}, "expected a text, "),
        ("cuont", 1, 'unknown key; did you mean "count"?'),
    ],
)
def test_every_kind_of_problem(key: str, written: object, problem: str) -> None:
    _, problems = read({key: written})
    assert len(problems) == 1
    assert problems[0].key.startswith(key)
    assert problem in problems[0].problem


def test_all_problems_are_told_at_once() -> None:
    settings, problems = read({"count": "x", "naem": 1, "inner": {"size": "1", "wait": 2}, "listen": "nowhere"})
    assert {p.key for p in problems} == {"count", "naem", "inner.size", "inner.wait", "listen"}
    assert settings.count == 1


def test_secrets_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"hunter2\r\n")
    settings, problems = read({"secret": {"file": "password"}}, tmp_path)
    assert (settings.secret, problems) == (Secret("hunter2"), [])
    settings, problems = read({"secret": {"env": "PASSWORD"}}, PASSWORD="hunter3")
    assert (settings.secret, problems) == (Secret("hunter3"), [])


def test_a_section_that_does_not_fit_together_is_one_invalid_value() -> None:
    reader = Reader(Path("/"))
    assert reader.section(Inner, {"size": "2 KiB"}, "inner") is INVALID
    assert reader.problems == [ConfigProblem("inner.size", 'expected 0 octets to 1000 octets, not "2 KiB"')]


def test_tables_in_a_list_are_numbered() -> None:
    """So that the line of the one that is meant is found."""
    _, problems = read({"pairs": [{"chain": "c", "key": "k"}, {"chain": "c"}]})
    assert problems == [ConfigProblem("pairs.1.key", "is required")]
    _, problems = read({"pairs": [{"chain": "c"}]})
    assert problems == [ConfigProblem("pairs.0.key", "is required")]


def test_a_secret_is_not_told() -> None:
    for written in (12345, ["hunter2"], {"file": "a", "hunter2": "b"}):
        _, problems = read({"secret": written})
        assert "12345" not in problems[0].problem
        assert "hunter2" not in problems[0].problem
