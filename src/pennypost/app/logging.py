"""Where the log goes: standard error, key=value on a terminal, one JSON object a line elsewhere.

Everything logs through structlog; what libraries say through the standard library's logging comes out here too. Lines
below `warning` are gathered and written together, a few times a second, because one of them is written for each SMTP
transaction; a warning writes out all that waits. A process that is killed loses at most what waited.
"""

import atexit
import logging
import os
import sys
import time
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from pennypost.app.config.settings import LogFormat, LogLevel, LogSettings

FLUSH_INTERVAL = 0.2
"""Seconds a line may wait."""

MAX_WAITING_OCTETS = 64 * 1024

_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}


class LogOutput:
    """Gathers lines and writes them to a file descriptor. Unless `buffered`, each line is written at once; who sets it
    has to call `flush` every FLUSH_INTERVAL."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: list[bytes] = []
        self._waiting_octets = 0
        self.buffered = False

    def line(self, text: bytes) -> None:
        """Take a line without its end."""
        self._waiting.append(text)
        self._waiting_octets += len(text) + 1
        if not self.buffered or self._waiting_octets > MAX_WAITING_OCTETS:
            self.flush()

    def urgent(self, text: bytes) -> None:
        """Take a line and write all that waits."""
        self.line(text)
        self.flush()

    def flush(self) -> None:
        """Write what waits. A log that cannot be written is no reason to stop serving mail."""
        if not self._waiting:
            return
        self._waiting.append(b"")
        data = memoryview(b"\n".join(self._waiting))
        self._waiting.clear()
        self._waiting_octets = 0
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return


class NamedOutput:
    """What structlog writes to: the output, and the name of the logger."""

    __slots__ = ("debug", "error", "info", "msg", "name", "warning")

    def __init__(self, output: LogOutput, name: str = "") -> None:
        self.name = name
        self.debug = self.info = self.msg = output.line
        self.warning = self.error = output.urgent

    critical = exception = property(lambda self: self.error)


class _Clock:
    """Timestamps (RFC 3339, UTC, milliseconds); the part up to the seconds is made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        instant = time.time()
        second = int(instant)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._text}{int((instant - second) * 1000):03d}Z"


def _json(context: dict[str, object]) -> Processor:
    """Make the processor that writes JSON: all steps in one, since it runs once for each message."""
    encode = msgspec.json.Encoder(enc_hook=str).encode
    clock = _Clock()

    def render(logger: NamedOutput, level: str, event: EventDict) -> bytes:
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, level, event)
        head = {"time": clock.now(), "level": level, "logger": logger.name, "event": event.pop("event", "")}
        return encode({**head, **context, **event})

    return render


def _console(context: dict[str, object], colors: bool) -> Processor:
    """Make the processor that writes for people."""
    write = structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=0, pad_level=False, exception_formatter=structlog.dev.plain_traceback
    )

    def render(logger: NamedOutput, level: str, event: EventDict) -> bytes:
        line = {**event, **context, "timestamp": time.strftime("%H:%M:%S"), "level": level}
        return str(write(logger, level, line)).encode("utf-8", "backslashreplace")

    return render


def _wrapper(level: int, processor: Processor) -> type[structlog.typing.FilteringBoundLogger]:
    """Make the class of loggers. What is said most often, once or twice for each message, takes the shortest way."""
    base: type[Any] = structlog.make_filtering_bound_logger(level)
    if level > logging.INFO:
        return base

    class Logger(base):  # type: ignore[misc]  # structlog makes it
        def info(self, event: str, **values: object) -> None:
            output = self._logger
            output.info(processor(output, "info", {**self._context, **values, "event": event}))

    return Logger


class _FromLibraries(logging.Handler):
    """Hands on what libraries log through the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        extra = {"exc_info": record.exc_info} if record.exc_info else {}
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), **extra)


def set_up_logging(settings: LogSettings, stream: TextIO | None = None, **context: object) -> LogOutput:
    """Send the log of this process to `stream` (None: standard error). `context`: what every line says.

    Once for each process; a forked worker calls it again.
    """
    stream = stream if stream is not None else sys.stderr
    output = LogOutput(stream.fileno())
    atexit.register(output.flush)
    terminal = stream.isatty()
    for_people = settings.format is LogFormat.CONSOLE or (settings.format is LogFormat.AUTO and terminal)
    processor = _console(context, terminal) if for_people else _json(context)
    structlog.configure(
        processors=[processor],
        wrapper_class=_wrapper(_LEVELS[settings.level], processor),
        logger_factory=lambda name="": NamedOutput(output, name),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_FromLibraries()], force=True)
    return output
