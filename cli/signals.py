"""SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the program."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import trio

from cli.errors import EXIT_FAILED

SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_BY_SIGNAL = 128

ECHO_S = 0.5
"""The one-file program is two processes, and the one that unpacks it passes on what signals it
gets. What goes to both, as Ctrl-C at a terminal does, comes twice within so long, and is one."""


class StopSignals:
    """The first signal is noted in `received`; a later one ends the process at once.

    With a `limit_s`, `give_up` is called in a thread of its own when the process is still there
    so long after the first signal, and then the process ends at once too. `by_force` is called
    before either end: it neither waits nor raises.
    """

    def __init__(
        self,
        limit_s: float | None = None,
        give_up: Callable[[], object] = lambda: None,
        by_force: Callable[[], object] = lambda: None,
    ) -> None:
        self.received: int | None = None
        self._received_at = 0.0
        self._limit_s = limit_s
        self._give_up = give_up
        self._by_force = by_force
        self._token: trio.lowlevel.TrioToken | None = None
        self._event = trio.Event()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals meanwhile, before Trio runs as well as under it."""
        previous = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def wait(self) -> int:
        """Wait for the first signal; its number."""
        self._token = trio.lowlevel.current_trio_token()
        while self.received is None:
            await self._event.wait()
        return self.received

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._is_echo(number):
            return
        if self.received is not None:
            self._by_force()
            os._exit(EXIT_BY_SIGNAL + number)
        self.received, self._received_at = number, time.monotonic()
        if self._limit_s is not None:
            timer = threading.Timer(self._limit_s, self._end_by_force)
            timer.daemon = True
            timer.start()
        if self._token is not None:
            self._token.run_sync_soon(self._event.set)

    def _is_echo(self, number: int) -> bool:
        if number != self.received or not getattr(sys, "frozen", False):
            return False
        return time.monotonic() < self._received_at + ECHO_S

    def _end_by_force(self) -> None:
        try:
            self._give_up()
        finally:
            self._by_force()
            os._exit(EXIT_FAILED)
