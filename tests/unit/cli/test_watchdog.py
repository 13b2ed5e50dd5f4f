"""A loop that stands still: told of once, and known on the port for probes meanwhile."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest
import trio
from structlog.testing import capture_logs

from cli import watchdog
from cli.errors import CommandFailed
from cli.watchdog import ProbePort, Watchdog, watching
from runtime.pulse import Pulse
from supervisors.health import HealthBoard, Part

STALLED_S = 3.0
ANY_PORT = "127.0.0.1:0"
LONG_S = 60.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(Watchdog.__init__, "__kwdefaults__", {"stalled_s": STALLED_S})


def board() -> HealthBoard:
    """Of a process that is ready."""
    made = HealthBoard()
    made.domains["core"] = Part("core", required=True, up=True, failures=0)
    return made


def probe(port: ProbePort, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(*port.address, timeout=LONG_S)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["status"]


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_probes_are_answered_while_the_loop_stands_still() -> None:
    it, during, after = board(), [], []
    standing, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def told() -> list[str]:
        return [line["event"] for line in logs if line["event"].startswith("loop_")]

    def look(port: ProbePort) -> None:
        standing.wait(LONG_S)
        during.append(probe(port, "/health/live"))
        eventually(lambda: probe(port, "/health/live") == (503, "stalled"))
        during.append(probe(port, "/health/ready"))
        eventually(lambda: "loop_stalled" in told())
        go_on.set()
        eventually(lambda: probe(port, "/health/live") == (200, "ok"))
        after.append(probe(port, "/health/ready"))
        eventually(lambda: "loop_turns_again" in told())
        done.set()

    async def turn() -> None:
        with watching(it, ANY_PORT) as port:
            assert port is not None
            prober = threading.Thread(target=look, args=(port,))
            prober.start()
            it.pulse.beat()
            standing.set()
            go_on.wait(LONG_S)  # the loop stands still here
            while not done.is_set():
                it.pulse.beat()
                await trio.sleep(0.01)
            prober.join()

    with capture_logs() as logs:
        trio.run(turn)
    assert during == [(200, "ok"), (503, "stalled")]
    assert after == [(200, "ok")]
    assert told() == ["loop_stalled", "loop_turns_again"]
    stalled, turning = (line for line in logs if line["event"].startswith("loop_"))
    assert "go_on.wait" in stalled["stack"]
    assert turning["stood_still_s"] >= STALLED_S


def test_a_pulse_at_rest_never_counts_as_stalled() -> None:
    pulse = Pulse()
    dog = Watchdog(pulse, threading.get_ident(), stalled_s=0.01)
    time.sleep(0.02)
    assert not dog.stalled


@pytest.mark.parametrize(
    ("line", "start"),
    [
        (b"GET /health/live HTTP/1.1", b"HTTP/1.1 200 OK"),
        (b"GET /health/ready HTTP/1.1", b"HTTP/1.1 503 Service Unavailable"),
        (b"GET /metrics HTTP/1.1", b"HTTP/1.1 404 Not Found"),
        (b"POST /health/live HTTP/1.1", b"HTTP/1.1 404 Not Found"),
        (b"", b"HTTP/1.1 404 Not Found"),
        (b"\xff\x00", b"HTTP/1.1 404 Not Found"),
    ],
)
def test_the_port_knows_two_paths_and_takes_no_harm_from_others(line: bytes, start: bytes) -> None:
    stopping = board()
    stopping.stopping = True
    port = ProbePort(ANY_PORT, stopping, Watchdog(stopping.pulse, threading.get_ident()))
    with closing(port._socket):
        assert port.response(line).startswith(start)


@pytest.mark.slow
def test_a_client_that_says_nothing_delays_a_probe_by_its_timeout_only() -> None:
    with (
        watching(board(), ANY_PORT) as port,
        socket.create_connection(port.address) as _silent,  # type: ignore[union-attr]
    ):
        assert port is not None
        began = time.monotonic()
        assert probe(port, "/health/live") == (200, "ok")
        assert time.monotonic() - began < LONG_S


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(CommandFailed, match=f"cannot listen on {bind}"),
            watching(board(), bind),
        ):
            pass
