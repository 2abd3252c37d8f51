"""What the documentation points to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
SOURCE_FILE = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+(?:\.[a-z]+)?)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert missing == []


def test_the_way_of_a_message_goes_through_files_that_exist() -> None:
    named = SOURCE_FILE.findall((ROOT / "docs" / "flow.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    missing = [name for name in named if not (ROOT / "src" / "pennypost" / name).exists()]
    assert [name for name in missing if not name.startswith("src/")] == []
