"""Logging: structured lines on stderr, written by a thread of their own.

A stderr that nobody reads blocks that thread only. What finds the queue full is dropped,
counted, and reported in a line as soon as there is room.
"""

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import attrs
import msgspec
import structlog
from prometheus_client.core import CounterMetricFamily
from structlog.typing import EventDict, WrappedLogger

from runtime.context import current_trace_id
from runtime.redaction import Sanitizer
from runtime.telemetry import PREFIX
from runtime.tracing import trace_id_of

SERVICE = "loyalnest"
CAPACITY = 10_000
"""Lines that wait for a slow stderr."""

WRITTEN_AT_ONCE = 100
NAP_S = 0.01
NAPS = 10
"""So often it looks for lines by itself before somebody has to wake it."""

CLOSE_TIMEOUT_S = 1.0
"""How long the end of the program waits for a stderr that nobody reads."""

STDERR = 2
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
QUIET_LIBRARIES = ("asyncio", "hypercorn", "quart")


@attrs.frozen
class _Line:
    """`discards` is how often what was held back had been dropped before."""

    text: bytes
    written_at: float
    discards: int


class LogWriter:
    """Takes lines without ever waiting, and writes them to a file descriptor in order.

    Until `release` is called each line is held back for `hold_s` (`None`: for ever), so that a
    program that fails at its start can drop the last ones in favour of one clear line.
    """

    def __init__(self, descriptor: int = STDERR, *, hold_s: float | None = 0.0) -> None:
        self.dropped = 0
        self._reported = 0
        self._descriptor = descriptor
        self._torn = False
        self._hold_s = hold_s
        self._released = threading.Event()
        self._discards = 0
        self._lines: deque[_Line] = deque()
        self._closing = False
        self._asleep = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue a line (without its newline); drop it when the queue is full."""
        if len(self._lines) >= CAPACITY:
            self.dropped += 1
            return
        self._lines.append(_Line(line, time.monotonic(), self._discards))
        if self._asleep:
            self._wake.set()

    def release(self) -> None:
        """Write what was held back, and everything that follows."""
        self._released.set()

    def discard_held(self) -> None:
        """Drop what is held back, uncounted, if anything still is."""
        if not self._released.is_set():
            self._discards += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The number of dropped lines, as a metric: the writer can be registered."""
        name = f"{PREFIX}_log_lines_dropped"
        yield CounterMetricFamily(name, "Log lines lost to a slow or broken sink", self.dropped)

    def close(self) -> None:
        """Write what is queued, within `CLOSE_TIMEOUT_S`."""
        self._released.set()
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while True:
            closing = self._closing
            while lines := self._next_lines():
                self._write_all(lines)
            if closing:
                return
            self._doze()

    def _next_lines(self) -> list[bytes]:
        """Those that may be written now."""
        lines: list[bytes] = []
        while self._lines and len(lines) < WRITTEN_AT_ONCE:
            line = self._lines.popleft()
            self._hold_back(line)
            if line.discards == self._discards:
                lines.append(line.text)
        return lines

    def _write_all(self, lines: list[bytes]) -> None:
        written = self._write(b"".join(line + b"\n" for line in lines))
        ends = accumulate(len(line) + 1 for line in lines)
        lost = sum(end > written for end in ends)
        self.dropped += lost
        if not lost:
            self._report()

    def _doze(self) -> None:
        """Wait for lines. To wake a thread costs who does it more than the line did, so while
        there is much to write it looks by itself."""
        for _ in range(NAPS):
            time.sleep(NAP_S)
            if self._lines or self._closing:
                return
        self._wake.clear()
        self._asleep = True
        if not self._lines and not self._closing:
            self._wake.wait()
        self._asleep = False

    def _hold_back(self, line: _Line) -> None:
        if self._hold_s is None:
            self._released.wait()
        else:
            self._released.wait(max(0.0, line.written_at + self._hold_s - time.monotonic()))

    def _report(self) -> None:
        dropped = self.dropped - self._reported
        if dropped == 0:
            return
        event = {
            "event": "log_lines_dropped",
            "lines": dropped,
            "level": "warning",
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "trace_id": None,
            "service": SERVICE,
        }
        line = msgspec.json.encode(event) + b"\n"
        if self._write(line) == len(line):
            self._reported += dropped

    def _write(self, text: bytes) -> int:
        """How many bytes were written. After a line that was cut off, by a full disk, a new one
        begins."""
        whole = rest = b"\n" + text if self._torn else text
        with suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        sent = whole[: len(whole) - len(rest)]
        if sent:
            self._torn = not sent.endswith(b"\n")
        return max(0, len(text) - len(rest))


class _QueueLogger:
    """What structlog hands rendered lines to."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def msg(self, line: str | bytes) -> None:
        self._writer.write(line if isinstance(line, bytes) else line.encode("utf-8", "replace"))

    debug = info = warning = error = critical = exception = log = msg


class _Bridge(logging.Handler):
    """Brings what libraries log through `logging` to the same place."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, record.getMessage(), exc_info=record.exc_info
        )


@contextmanager
def logging_to(
    writer: LogWriter, *, level: str, console: bool, shard: str | None = None
) -> Iterator[None]:
    """Send the log to `writer` meanwhile; text for people when `console`, else JSON lines.

    Every line names the `shard`, where there is one.
    """
    threshold = LEVELS[level]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace,
            *_naming(shard),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            Sanitizer(console=console),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(console),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_names: _QueueLogger(writer),
        cache_logger_on_first_use=False,
    )
    bridge = _Bridge(max(threshold, logging.INFO))
    root = logging.getLogger()
    root.addHandler(bridge)
    root.setLevel(bridge.level)
    for library in QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(threshold, logging.WARNING))
    logging.captureWarnings(True)
    excepthook, threading.excepthook = threading.excepthook, _log_failed_thread
    try:
        yield
    finally:
        threading.excepthook = excepthook
        logging.captureWarnings(False)
        root.removeHandler(bridge)
        writer.close()


def _log_failed_thread(failure: threading.ExceptHookArgs) -> None:
    """What Python would print to stderr as it is."""
    name = failure.thread.name if failure.thread is not None else None
    structlog.get_logger("loyalnest.thread").error(
        "thread_failed", thread=name, exc_info=failure.exc_value
    )


def _naming(shard: str | None) -> list[Any]:
    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("shard", shard)
        return event

    return [name] if shard is not None else []


def _renderers(console: bool) -> list[Any]:
    if console:
        return [structlog.dev.ConsoleRenderer(colors=os.isatty(STDERR))]
    return [_complete, structlog.processors.JSONRenderer(serializer=_encode)]


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace = trace_id_of(event.get("trace_id") or current_trace_id())
    if trace is not None:
        event["trace_id"] = trace
    return event


def _complete(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What every line has, whether or not it belongs to a trace."""
    event.setdefault("trace_id", None)
    event["service"] = SERVICE
    return event


def _encode(event: EventDict, **_options: Any) -> bytes:
    """Whoever logs must not fail over it: half a surrogate pair, which is no UTF-8, is escaped."""
    try:
        return msgspec.json.encode(event, enc_hook=repr)
    except UnicodeEncodeError:
        return json.dumps(event, default=repr).encode()
