"""SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the program."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import trio

from cli.errors import EXIT_FAILED

SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_BY_SIGNAL = 128


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
        if self.received is not None:
            self._by_force()
            os._exit(EXIT_BY_SIGNAL + number)
        self.received = number
        if self._limit_s is not None:
            timer = threading.Timer(self._limit_s, self._end_by_force)
            timer.daemon = True
            timer.start()
        if self._token is not None:
            self._token.run_sync_soon(self._event.set)

    def _end_by_force(self) -> None:
        try:
            self._give_up()
        finally:
            self._by_force()
            os._exit(EXIT_FAILED)
