from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pennypost.app.figures import Figures, exposition, forget_figures


def samples(figures: Figures) -> dict[tuple[str, tuple[str, ...]], float]:
    text = exposition(figures, [("pennypost_queue_rows", "Rows that wait", 3.0)]).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_of_all_workers_are_added_up(tmp_path: Path) -> None:
    first, second = Figures(tmp_path, 0), Figures(tmp_path, 1)
    first.counter("pennypost_connections", "smtp").add()
    second.counter("pennypost_connections", "smtp").add(2)
    second.counter("pennypost_connections", "imap").add()
    for asked in (first, second):
        found = samples(asked)
        assert found["pennypost_connections_total", ("smtp",)] == 3
        assert found["pennypost_connections_total", ("imap",)] == 1
        assert found["pennypost_queue_rows", ()] == 3


def test_a_histogram() -> None:
    figures = Figures()
    histogram = figures.histogram("pennypost_commit_seconds")
    for seconds in (0.001, 0.002, 0.3, 60.0):
        histogram.observe(seconds)
    found = samples(figures)
    assert found["pennypost_commit_seconds_bucket", ("0.001",)] == 1
    assert found["pennypost_commit_seconds_bucket", ("0.0025",)] == 2
    assert found["pennypost_commit_seconds_bucket", ("10.0",)] == 3
    assert found["pennypost_commit_seconds_bucket", ("+Inf",)] == 4
    assert found["pennypost_commit_seconds_count", ()] == 4
    assert found["pennypost_commit_seconds_sum", ()] == pytest.approx(60.303)


def test_a_worker_that_is_restarted_goes_on_but_has_nothing_open(tmp_path: Path) -> None:
    before = Figures(tmp_path, 0)
    before.counter("pennypost_connections", "smtp").add(5)
    before.counter("pennypost_connections_open", "smtp").add(5)
    found = samples(Figures(tmp_path, 0))
    assert found["pennypost_connections_total", ("smtp",)] == 5
    assert found["pennypost_connections_open", ("smtp",)] == 0
    forget_figures(tmp_path)
    assert samples(Figures(tmp_path, 0))["pennypost_connections_total", ("smtp",)] == 0


def test_a_file_of_another_version_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "figures-0").write_bytes(b"\x01" * 24)
    (tmp_path / "figures-7").write_bytes(b"\x01" * 24)
    assert samples(Figures(tmp_path, 0))["pennypost_connections_total", ("smtp",)] == 0


def test_causes_are_the_failures_there_are() -> None:
    figures = Figures()
    figures.counter("pennypost_refusals", "smtp", "recipient", "NoSuchRecipient").add()
    found = samples(figures)
    assert found["pennypost_refusals_total", ("NoSuchRecipient", "smtp", "recipient")] == 1  # sorted by label name
    with pytest.raises(KeyError):
        figures.counter("pennypost_refusals", "smtp", "recipient", "MailError")
