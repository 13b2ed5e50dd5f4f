"""A thread that watches the loop, and can answer probes while the loop stands still."""

import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from cli.errors import CommandFailed
from runtime.pulse import STALLED_S, Pulse
from supervisors.health import HealthBoard, Status

log = structlog.get_logger("loyalnest.watchdog")

LOOK_EVERY_S: Final = 0.25
PROBE_TIMEOUT_S: Final = 0.5
"""For one probe, which are answered one after another."""

PROBE_MAX_BYTES: Final = 2_048
BACKLOG: Final = 64
STACK_MAX: Final = 4_000
GOOD: Final = frozenset({Status.OK, Status.DEGRADED})


class Watchdog:
    """Compares the loop's pulse with a clock of its own, in a thread.

    A loop that stands still is logged once with the stack of its thread, and again when it
    turns. Whether it stands still is `stalled`, right also while it does.
    """

    def __init__(self, pulse: Pulse, loop_thread: int, *, stalled_s: float = STALLED_S) -> None:
        self._pulse = pulse
        self._loop_thread = loop_thread
        self._stalled_s = stalled_s
        self._beats = pulse.beats
        self._changed_at = time.monotonic()
        self._told_since: float | None = None

    @property
    def stalled(self) -> bool:
        self._look()
        return self._silence_s() > self._stalled_s

    def watch(self, ended: threading.Event) -> None:
        """Look again and again until `ended`."""
        while not ended.wait(LOOK_EVERY_S):
            stalled, since = self.stalled, self._told_since
            if stalled and since is None:
                self._told_since = self._changed_at
                log.error("loop_stalled", stack=stack_of_thread(self._loop_thread))
            elif not stalled and since is not None:
                self._told_since = None
                log.warning("loop_turns_again", stood_still_s=round(time.monotonic() - since, 1))

    def _look(self) -> None:
        resting = self._pulse.beaten_at is None
        if resting or self._pulse.beats != self._beats:
            self._beats, self._changed_at = self._pulse.beats, time.monotonic()

    def _silence_s(self) -> float:
        return time.monotonic() - self._changed_at


def stack_of_thread(thread: int) -> str:
    """What a thread is doing just now."""
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame))[-STACK_MAX:] if frame is not None else ""


class ProbePort:
    """Answers `/health/live` and `/health/ready` on a port of its own, from a thread."""

    def __init__(self, bind: str, board: HealthBoard, watchdog: Watchdog) -> None:
        self._board = board
        self._watchdog = watchdog
        self._socket = _listening(bind)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def serve(self, ended: threading.Event) -> None:
        """Answer probes one after another until `ended`."""
        with self._socket:
            self._socket.settimeout(LOOK_EVERY_S)
            while not ended.is_set():
                try:
                    connection, _ = self._socket.accept()
                except OSError:
                    continue
                with connection:
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(PROBE_TIMEOUT_S)
        try:
            connection.sendall(self.response(_request_line(connection)))
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            log.debug("probe_gone")

    def response(self, request_line: bytes) -> bytes:
        """The whole answer to a request that begins with this line."""
        match request_line.split(b" ")[:2]:
            case [b"GET" | b"HEAD", b"/health/live"]:
                return _response(self._liveness())
            case [b"GET" | b"HEAD", b"/health/ready"]:
                live = self._liveness()
                return _response(self._board.readiness if live is Status.OK else live)
        return _response(None)

    def _liveness(self) -> Status:
        return Status.STALLED if self._watchdog.stalled else Status.OK


def _listening(bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CommandFailed(f"cannot listen on {bind}: {error.strerror or error}") from error


def _request_line(connection: socket.socket) -> bytes:
    deadline = time.monotonic() + PROBE_TIMEOUT_S
    head = b""
    while b"\r\n\r\n" not in head and len(head) < PROBE_MAX_BYTES:
        chunk = connection.recv(PROBE_MAX_BYTES)
        head += chunk
        if not chunk or time.monotonic() > deadline:
            break
    return head.partition(b"\r\n")[0]


def _response(status: Status | None) -> bytes:
    code = b"404 Not Found" if status is None else b"200 OK"
    if status is not None and status not in GOOD:
        code = b"503 Service Unavailable"
    body = b'{"status":"%s"}' % (status.value if status is not None else "unknown").encode()
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%s"
    ) % (code, len(body), body)


@contextmanager
def watching(board: HealthBoard, probe_bind: str | None = None) -> Iterator[ProbePort | None]:
    """Watch the loop of this thread meanwhile, and answer probes if there is a `probe_bind`.

    Raises `CommandFailed` when the address cannot be had.
    """
    watchdog = Watchdog(board.pulse, threading.get_ident())
    port = ProbePort(probe_bind, board, watchdog) if probe_bind else None
    if port is not None:
        log.info("answering_probes", address="{}:{}".format(*port.address))
    ended = threading.Event()
    threads = [threading.Thread(target=watchdog.watch, args=(ended,), name="watchdog", daemon=True)]
    if port is not None:
        threads.append(
            threading.Thread(target=port.serve, args=(ended,), name="probe-port", daemon=True)
        )
    for thread in threads:
        thread.start()
    try:
        yield port
    finally:
        ended.set()
        for thread in threads:
            thread.join(2 * PROBE_TIMEOUT_S)
