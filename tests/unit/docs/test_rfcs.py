"""docs/rfcs.toml lists every RFC the source cites, and claims nothing that source and tests do not show."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
CITATION = re.compile(r"RFC (\d{3,5})")
STATUSES = {"yes", "partial", "no", "reference"}


def citations(folder: Path, *suffixes: str) -> dict[int, set[Path]]:
    found: dict[int, set[Path]] = {}
    for suffix in suffixes:
        for file in folder.rglob(f"*{suffix}"):
            if file == Path(__file__):
                continue
            for number in CITATION.findall(file.read_text(encoding="utf-8", errors="replace")):
                found.setdefault(int(number), set()).add(file)
    return found


RFCS: dict[int, dict[str, Any]] = {
    int(number): entry
    for number, entry in tomllib.loads((ROOT / "docs" / "rfcs.toml").read_text(encoding="utf-8")).items()
}
IN_SOURCE = citations(ROOT / "src", ".py", ".sql")
IN_TESTS = citations(ROOT / "tests", ".py", ".txt")


def test_every_rfc_that_is_cited_is_listed() -> None:
    assert set(IN_SOURCE) - set(RFCS) == set()


def test_the_list_is_in_order() -> None:
    assert list(RFCS) == sorted(RFCS)


@pytest.mark.parametrize("number", RFCS)
def test_an_entry_is_whole_and_true(number: int) -> None:
    entry = RFCS[number]
    assert entry["status"] in STATUSES
    assert entry["title"]
    modules = [ROOT / "src" / "pennypost" / module for module in entry.get("modules", [])]
    assert [module for module in modules if not module.exists()] == []
    match entry["status"]:
        case "yes" | "partial":
            assert modules, "which modules obey it?"
            assert number in IN_SOURCE
            uncited = [
                module
                for module in modules
                if not any(file == module or module in file.parents for file in IN_SOURCE[number])
            ]
            assert uncited == []
            if entry["status"] == "partial":
                assert entry["missing"], "what is missing?"
        case "no":
            assert entry["why"], "why not?"
        case "reference":
            assert number in IN_SOURCE


@pytest.mark.parametrize("number", [number for number, entry in RFCS.items() if entry["status"] == "yes"])
def test_a_yes_is_shown_by_a_test(number: int) -> None:
    assert number in IN_TESTS, "no test cites it"
