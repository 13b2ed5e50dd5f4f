"""SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the program."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import trio

SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_BY_SIGNAL = 128


class StopSignals:
    """The first signal is noted in `received`; a later one ends the process at once."""

    def __init__(self) -> None:
        self.received: int | None = None
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

    async def wait(self) -> None:
        """Wait for the first signal."""
        self._token = trio.lowlevel.current_trio_token()
        if self.received is None:
            await self._event.wait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(EXIT_BY_SIGNAL + number)
        self.received = number
        if self._token is not None:
            self._token.run_sync_soon(self._event.set)
