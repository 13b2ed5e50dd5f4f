"""The socket between a shard and the parent that started it: beats one way, and its end the other.

A parent that is killed leaves the end of the socket; the shard then stops as after a signal, and at
the latest by force. A thread waits for it, so that a loop that stands still is no reason to stay.
"""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
import trio

from cli.errors import EXIT_FAILED
from runtime.beats import BEAT_S, Beat, encoded

log = structlog.get_logger("loyalnest.lifeline")

ORPHAN_LIMIT_S: Final = 5.0
"""How long a shard without a parent may take to stop: another one may be waiting for its ports."""


class Lifeline:
    """The shard's end of it, at a file descriptor that it was started with."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def watch(self) -> None:
        """From now on, end with the parent."""
        threading.Thread(target=self._end_with_it, name="lifeline", daemon=True).start()

    async def beat_for_ever(self, beat: Callable[[], Beat]) -> None:
        """Say how it is, again and again, until the parent is gone."""
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket.dup()))
        try:
            while True:
                await stream.send_all(encoded(beat()))
                await trio.sleep(BEAT_S)
        except trio.BrokenResourceError:
            await trio.sleep_forever()

    def _still_there(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def wait_for_the_end(self) -> None:
        """Block until the parent is gone."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while self._still_there():
            poll.poll()

    def close(self) -> None:
        """This end of it, for one that nobody waits for any more."""
        self._socket.close()

    def _end_with_it(self) -> None:
        self.wait_for_the_end()
        log.error("parent_gone")
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(ORPHAN_LIMIT_S)
        os._exit(EXIT_FAILED)
