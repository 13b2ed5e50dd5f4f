"""Runs the real program in processes of its own, which are forked from one that has imported it.

With `fresh` the interpreter starts anew, as it does for users.
"""

import atexit
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import attrs

from config.policies import DEPENDENCIES
from tests.zygote import Forked, Order, Zygote

ROOT = Path(__file__).parents[3]
FIXTURE = ROOT / "tests" / "fixtures" / "orders_small.csv"
TIMEOUT_S = 120.0
LOOK_S = 0.01
OUTPUT_MAX_BYTES = 16 * 1024 * 1024

PATIENCE_KNOBS = ("DEADLINE_S", "ATTEMPT_S", "WAIT_S", "BREAKER_SLOW_S")
PATIENT: dict[str, Any] = {
    "LOYALNEST_REQUEST_TIMEOUT_S": "60",
    "LOYALNEST_HTTP_SHEDDING": "disabled",
    "LOYALNEST_HTTP_HEAD_TIMEOUT_S": "60",
    "LOYALNEST_HTTP_BODY_TIMEOUT_S": "60",
    **{
        f"LOYALNEST_POLICIES__{name.upper()}__{knob}": "60"
        for name in DEPENDENCIES
        for knob in PATIENCE_KNOBS
    },
}
"""Settings of a server that answers however long the machine stands still meanwhile, for tests that
are about something else than time and load."""


@attrs.frozen
class Finished:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def err_lines(self) -> list[str]:
        return self.err.splitlines()

    def counts(self) -> dict[str, str]:
        """The summary of an import: `{"rows": "60", …}`."""
        pairs = (line.split(maxsplit=1) for line in self.out.splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def environment(**extra: str) -> dict[str, str]:
    """That of this process, without our settings."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LOYALNEST_")}
    return {**kept, **extra}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / "main.py"), *map(str, arguments)]


@cache
def zygote() -> Zygote:
    """That of this process, which ends with it."""
    made = Zygote()
    atexit.register(made.close)
    return made


def run(
    *arguments: str | Path, cwd: Path, file_max_bytes: int | None = None, **extra: str
) -> Finished:
    """Run to the end, in the working directory `cwd`; no file may grow over `file_max_bytes`."""
    order = Order(tuple(map(str, arguments)), str(cwd), environment(**extra), file_max_bytes)
    with TemporaryFile() as out, TemporaryFile() as err:
        process = zygote().fork(order, out.fileno(), err.fileno())
        try:
            code = process.wait(TIMEOUT_S)
        finally:
            process.kill()
        texts = [os.pread(file.fileno(), OUTPUT_MAX_BYTES, 0).decode() for file in (out, err)]
        return Finished(code, *texts)


class Running:
    """A process under way; its stdout is read line by line."""

    def __init__(self, process: "subprocess.Popen[str] | Forked", log: Path) -> None:
        self._process = process
        self._log = log
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def err(self) -> str:
        return self._log.read_text()

    def line_with(self, text: str) -> str:
        """Wait for a line of stdout that has `text` in it."""
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {text!r}; stderr: {self.err}") from None
            if text in line:
                return line

    def logged(self, text: str) -> None:
        """Wait until the log has `text` in it: a thread writes it, and an answer comes before."""
        end = time.monotonic() + TIMEOUT_S
        while text not in self.err:
            assert time.monotonic() < end, f"no {text!r} in: {self.err}"
            time.sleep(LOOK_S)

    def url(self) -> str:
        """Where `serve` serves."""
        return self.line_with(" serves ").rpartition(" ")[2]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_s: float = TIMEOUT_S) -> int:
        """The exit code."""
        return self._process.wait(timeout_s)

    def finish(self) -> None:
        """Kill what still runs."""
        self._process.kill()
        self._process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)


@contextmanager
def started(
    *arguments: str | Path,
    cwd: Path,
    stderr: int | None = None,
    fresh: bool = False,
    module: str | None = None,
    **extra: str,
) -> Iterator[Running]:
    """A process that does not outlive the block. Its stderr goes to a file in `cwd`, unless a
    descriptor is given. A `module` of the tests runs in the place of the program."""
    log = cwd / f"stderr-{os.urandom(4).hex()}.log"
    order = Order(tuple(map(str, arguments)), str(cwd), environment(**extra), module=module)
    start = _started_anew if fresh else _forked
    with log.open("w") as err:
        running = Running(start(order, err.fileno() if stderr is None else stderr), log)
    try:
        yield running
    finally:
        running.finish()


def _started_anew(order: Order, stderr: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(*order.arguments),
        cwd=order.cwd,
        env=order.environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def _forked(order: Order, stderr: int) -> Forked:
    reading, writing = os.pipe()
    try:
        process = zygote().fork(order, writing, stderr)
    finally:
        os.close(writing)
    process.stdout = os.fdopen(reading, encoding="utf-8")
    return process
