import io
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from typing import TextIO

import pytest
import structlog

from pennypost.app.config.settings import LogFormat, LogLevel, LogSettings
from pennypost.app.logging import set_up_logging
from pennypost.model.secret import Secret


@pytest.fixture
def stream() -> Iterator[TextIO]:
    handlers, level = logging.root.handlers[:], logging.root.level
    with tempfile.TemporaryFile("w+") as file:
        yield file
    structlog.reset_defaults()
    logging.basicConfig(level=level, handlers=handlers, force=True)


def written(stream: TextIO) -> list[str]:
    stream.seek(0, io.SEEK_SET)
    return stream.read().splitlines()


def test_one_json_object_a_line(stream: TextIO) -> None:
    set_up_logging(LogSettings(), stream, worker=2)
    structlog.get_logger("pennypost.smtp").info("message", size=7, peer=["::1"])
    (line,) = written(stream)
    fields = json.loads(line)
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "info", "logger": "pennypost.smtp", "event": "message", "worker": 2, "size": 7, "peer": ["::1"],
    }  # fmt: skip


def test_key_and_value_for_people(stream: TextIO) -> None:
    set_up_logging(LogSettings(format=LogFormat.CONSOLE), stream)
    structlog.get_logger("pennypost.smtp").info("message", size=7)
    (line,) = written(stream)
    assert line.endswith("[info] message size=7")


def test_level(stream: TextIO) -> None:
    set_up_logging(LogSettings(level=LogLevel.WARNING), stream)
    log = structlog.get_logger("x")
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["event"] for line in written(stream)] == ["loud"]


def test_lines_wait_until_something_matters(stream: TextIO) -> None:
    output = set_up_logging(LogSettings(), stream)
    output.buffered = True
    log = structlog.get_logger("x")
    log.info("first")
    assert written(stream) == []
    log.warning("second")
    assert [json.loads(line)["event"] for line in written(stream)] == ["first", "second"]


def test_secrets_are_not_written(stream: TextIO) -> None:
    set_up_logging(LogSettings(), stream)
    structlog.get_logger("x").info("login", password=Secret("hunter2"))
    assert "hunter2" not in "".join(written(stream))


def test_what_libraries_log_and_exceptions(stream: TextIO) -> None:
    set_up_logging(LogSettings(), stream)
    try:
        raise ValueError("oops")
    except ValueError:
        logging.getLogger("asyncio").exception("it broke: %s", "here")
    (line,) = written(stream)
    fields = json.loads(line)
    assert (fields["logger"], fields["level"], fields["event"]) == ("asyncio", "error", "it broke: here")
    assert "ValueError: oops" in fields["exception"]


def test_a_log_that_cannot_be_written_stops_nothing(stream: TextIO) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        set_up_logging(LogSettings(), pipe)
        structlog.get_logger("x").error("nobody listens")
