"""docs/configuration.md says all that can be set, and nothing else."""

from pathlib import Path

from pennypost.app.config.describe import configuration_page, sections

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_every_setting_is_documented() -> None:
    bare = [f"{section.name}.{s.key}" for section in sections() for s in section.settings if not s.meaning]
    assert bare == []


def test_the_page_is_what_the_source_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == configuration_page(), "run: make docs"
