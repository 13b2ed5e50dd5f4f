"""The log writer: order, a sink that nobody reads or that fails, start-up errors in one line."""

import errno
import json
import os
import select
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import structlog

from cli import logs
from cli.logs import CAPACITY, LogWriter, logging_to
from runtime import request_context
from tests.plain_log import log_plainly

READ_BYTES = 1 << 20
READ_TIMEOUT_S = 60.0

HOLD_S = 0.1


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.fixture(autouse=True)
def _default_structlog(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And time for its thread to write what is left."""
    monkeypatch.setattr(logs, "CLOSE_TIMEOUT_S", READ_TIMEOUT_S)
    yield
    log_plainly()


def lines(reading: int) -> list[str]:
    os.set_blocking(reading, False)
    try:
        return os.read(reading, READ_BYTES).decode().splitlines()
    except BlockingIOError:
        return []


def test_lines_come_out_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with closing(LogWriter(writing)) as writer:
        for number in range(100):
            writer.write(b"%d" % number)
    assert lines(reading) == [str(number) for number in range(100)]


def test_a_line_is_json_with_time_level_service_and_trace(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with (
        logging_to(LogWriter(writing), level="info", console=False),
        request_context(trace_id="req_1"),
    ):
        structlog.get_logger("any").warning("it_happened", amount=3, odd=object)
        structlog.get_logger("any").debug("not_shown")
    (line,) = lines(reading)
    event = json.loads(line)
    assert (event["event"], event["level"], event["amount"]) == ("it_happened", "warning", 3)
    assert (event["service"], event["trace_id"]) == ("loyalnest", "req_1")
    assert event["timestamp"].endswith("Z")


def test_a_line_outside_of_any_trace_says_so_and_a_traceparent_is_shown_as_its_id(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    with logging_to(LogWriter(writing), level="info", console=False):
        structlog.get_logger("any").info("outside")
        with request_context(trace_id=f"00-{trace_id}-00f067aa0ba902b7-01"):
            structlog.get_logger("any").info("inside")
    assert [json.loads(line)["trace_id"] for line in lines(reading)] == [None, trace_id]


def test_what_python_would_print_by_itself_is_logged(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with logging_to(LogWriter(writing), level="info", console=False):
        thread = threading.Thread(target=lambda: 1 / 0, name="odd")
        thread.start()
        thread.join()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old way", stacklevel=1)
    failed, warned = map(json.loads, lines(reading))
    assert (failed["event"], failed["thread"]) == ("thread_failed", "odd")
    assert "ZeroDivisionError" in failed["exception"]
    assert "old way" in warned["event"]


def test_a_line_about_text_that_is_no_unicode_is_written_all_the_same(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    with logging_to(LogWriter(writing), level="info", console=False):
        structlog.get_logger("any").error("it_failed", error="\ud800", odd=object)
    (line,) = lines(reading)
    event = json.loads(line)
    assert (event["event"], event["error"]) == ("it_failed", "\ud800")


def test_an_exception_is_in_its_line(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with logging_to(LogWriter(writing), level="error", console=False):
        structlog.get_logger("any").error("it_broke", exc_info=ValueError("why"))
    (line,) = lines(reading)
    assert "ValueError: why" in json.loads(line)["exception"]


def test_text_for_people_is_not_json(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with logging_to(LogWriter(writing), level="info", console=True):
        structlog.get_logger("any").info("it_happened", amount=3)
    (line,) = lines(reading)
    assert "it_happened" in line
    assert "amount=3" in line
    assert not line.startswith("{")


@pytest.mark.slow
def test_a_sink_that_nobody_reads_blocks_neither_writing_nor_the_end(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "CLOSE_TIMEOUT_S", 0.05)
    reading, writing = pipe
    writer = LogWriter(writing)
    too_many = 2 * CAPACITY
    for _ in range(too_many):
        writer.write(b"x" * 200)
    writer.close()
    assert 0 < writer.dropped <= too_many - CAPACITY
    rest, written, reported = b"", 0, 0
    while written + reported < too_many:
        assert select.select([reading], [], [], READ_TIMEOUT_S)[0]
        rest += os.read(reading, READ_BYTES)
        *complete, rest = rest.split(b"\n")
        written += sum(line.startswith(b"x") for line in complete)
        reported += sum(json.loads(line)["lines"] for line in complete if line[:1] == b"{")
    assert (written + reported, reported) == (too_many, writer.dropped)
    writer.close()


def test_a_log_that_is_held_back_can_be_dropped(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with closing(LogWriter(writing, hold_s=None)) as writer:
        writer.write(b"noise")
        writer.discard_held()
    assert lines(reading) == []


def test_a_log_that_is_held_back_appears_once_released(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with closing(LogWriter(writing, hold_s=None)) as writer:
        writer.write(b"kept")
        writer.release()
        writer.discard_held()
    assert lines(reading) == ["kept"]
    assert writer.dropped == 0


def test_only_the_last_lines_are_still_held_back(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with closing(LogWriter(writing, hold_s=HOLD_S)) as writer:
        writer.write(b"waiting for the database")
        assert os.read(reading, READ_BYTES) == b"waiting for the database\n"
        writer._hold_s = READ_TIMEOUT_S
        writer.write(b"noise of the end")
        writer.discard_held()
        writer.release()
        writer.write(b"what comes then")
    assert lines(reading) == ["what comes then"]


def test_a_sink_that_is_gone_counts_as_dropped() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with closing(LogWriter(writing)) as writer:
        writer.write(b"lost")
    os.close(writing)
    assert writer.dropped == 1


def eventually(condition: Callable[[], object]) -> None:
    until = time.monotonic() + READ_TIMEOUT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_is_full_or_broken_for_a_while_costs_lines_and_no_more(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It fails in the middle of a line, then for good, and then it works again."""
    reading, writing = pipe
    write, left = os.write, [5, 0, 0]

    def failing(descriptor: int, data: bytes) -> int:
        if descriptor != writing or not left:
            return write(descriptor, data)
        if room := left.pop(0):
            return write(descriptor, data[:room])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", failing)
    with closing(LogWriter(writing)) as writer:
        writer.write(b"cut off")
        eventually(lambda: writer.dropped == 1)
        writer.write(b"lost")
        eventually(lambda: writer.dropped == 2)
        writer.write(b"whole")
        eventually(lambda: not left and select.select([reading], [], [], 0)[0])
    cut, whole, told = lines(reading)
    assert (cut, whole) == ("cut o", "whole")
    assert (json.loads(told)["event"], json.loads(told)["lines"]) == ("log_lines_dropped", 2)
