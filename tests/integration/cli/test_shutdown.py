"""The end of a process that serves: said first, then bounded, and nobody loses anything."""

import json
import random
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import attrs
import pytest
import trio

from tests.integration.cli.program import TIMEOUT_S, Running, run, started
from tests.integration.crash.client import MERCHANT, Journal, check, insist, register
from tests.ports import reserved_port
from tests.servers import PostgresServer

pytestmark = pytest.mark.slow

DELAY_S = 1.0
AT_ONCE_S = 0.5
LOOK_S = 0.05
WORKERS = 6
RESTARTS = 3


def serve(*more: str, port: int = 0) -> tuple[str, ...]:
    return ("serve", "--http-bind", f"127.0.0.1:{port}", *more)


def status_of(url: str) -> tuple[int, str] | None:
    """Status and word of a health route; None when nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return answer.status, json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["status"]
    except OSError:
        return None


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(LOOK_S)


@attrs.define
class Load:
    """Clients that ask again until they are answered, while processes come and go."""

    urls: Sequence[str]
    token: str
    journal: Journal
    ended: bool = False

    async def client(self) -> None:
        while not self.ended:
            request = self.journal.next_request()
            self.journal.note(request, await insist(self.urls, self.token, request))


def test_sigterm_is_told_at_once_while_requests_are_accepted(tmp_path: Path) -> None:
    with started(*serve("--shutdown-delay-s", "300"), cwd=tmp_path) as server:
        url = server.url()
        assert status_of(f"{url}/health/ready") == (200, "ok")
        server.send(signal.SIGTERM)
        wait_until(lambda: status_of(f"{url}/health/ready") == (503, "stopping"))
        assert status_of(f"{url}/health/live") == (200, "ok")
        assert server.running()


def test_requests_are_accepted_for_the_delay_and_no_longer(tmp_path: Path) -> None:
    with started(*serve("--shutdown-delay-s", str(DELAY_S)), cwd=tmp_path) as server:
        url = server.url()
        began = time.monotonic()
        server.send(signal.SIGTERM)
        wait_until(lambda: status_of(f"{url}/health/live") is None)
        assert time.monotonic() - began >= DELAY_S
        assert server.wait() == 0
    (stopping,) = [line for line in map(json.loads, server.err.splitlines()) if "signal" in line]
    assert (stopping["event"], stopping["still_accepting_s"]) == ("stopping", DELAY_S)


def test_whoever_stops_it_at_a_keyboard_does_not_wait(tmp_path: Path) -> None:
    with started(*serve("--shutdown-delay-s", "300"), cwd=tmp_path) as server:
        server.url()
        server.send(signal.SIGINT)
        assert server.wait() == 0


def unfinished_request(url: str, token: str) -> socket.socket:
    """A connection whose request is being worked on, and waits for its body."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    client = socket.create_connection((host, int(port)))
    head = f"POST /v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    body = "content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    client.sendall(f"{head}{body}".encode())
    assert client.recv(12) == b"HTTP/1.1 100", "it has arrived"
    return client


def test_a_stop_that_hangs_has_an_end_and_says_what_it_hung_on(tmp_path: Path) -> None:
    more = ("--shutdown-delay-s", "0", "--http-drain-s", "300", "--http-body-timeout-s", "300")
    token = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=tmp_path).out.strip()
    with (
        started(*serve(*more, "--shutdown-max-s", "1"), cwd=tmp_path) as server,
        unfinished_request(server.url(), token),
    ):
        began = time.monotonic()
        server.send(signal.SIGTERM)
        assert server.wait() == 1
        assert time.monotonic() - began > 0.9
        events = {line["event"]: line for line in map(json.loads, server.err.splitlines())}
    assert "stack" in events["stop_forced"]


def test_a_client_that_stops_reading_does_not_hold_up_the_end(tmp_path: Path) -> None:
    more = ("--shutdown-delay-s", "0", "--http-drain-s", "1", "--http-send-timeout-s", "300")
    with started(*serve(*more), "--shutdown-max-s", "300", cwd=tmp_path) as server:
        host, _, port = server.url().removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            greedy.settimeout(AT_ONCE_S)
            with suppress(TimeoutError):  # until neither side can send any more
                while True:
                    greedy.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 50)
            server.send(signal.SIGTERM)
            assert server.wait() == 0


def test_restarts_under_load_lose_nothing(tmp_path: Path) -> None:
    """On SQLite: the next process starts when the last one has ended."""
    with reserved_port() as port:
        acknowledged = _restarted_under_load(tmp_path, port)
    assert acknowledged > 50


def _restarted_under_load(tmp_path: Path, port: int) -> int:
    """How many requests were acknowledged."""
    url = f"http://127.0.0.1:{port}"
    token = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=tmp_path).out.strip()
    load = Load([url], token, Journal(random.Random(1)))

    async def restart() -> None:
        await trio.to_thread.run_sync(_restart_again_and_again, tmp_path, port, load)

    async def main() -> None:
        with trio.fail_after(TIMEOUT_S), started(*serve(port=port), cwd=tmp_path) as first:
            await register(first.url(), tmp_path, token)
            first.send(signal.SIGINT)
            await trio.to_thread.run_sync(first.wait)
        with trio.fail_after(2 * TIMEOUT_S):
            async with trio.open_nursery() as nursery:
                for _ in range(WORKERS):
                    nursery.start_soon(load.client)
                await restart()
        with started(*serve(port=port), cwd=tmp_path) as last:
            await check(last.url(), token, load.journal)

    trio.run(main)
    return len(load.journal.acknowledged)


def _restart_again_and_again(folder: Path, port: int, load: Load) -> None:
    for number in range(RESTARTS):
        with started(*serve("--shutdown-delay-s", "0.2", port=port), cwd=folder) as server:
            server.url()
            _let_it_work(load, 30)
            if number == RESTARTS - 1:
                load.ended = True
                wait_until(lambda: len(load.journal.acknowledged) == len(load.journal.sent))
            server.send(signal.SIGTERM)
            assert server.wait() == 0


def _let_it_work(load: Load, answers: int) -> None:
    goal = len(load.journal.acknowledged) + answers
    wait_until(lambda: len(load.journal.acknowledged) >= goal)


def test_a_process_that_takes_over_under_load_loses_nothing(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """On PostgreSQL: the next process runs before the last one has ended."""
    with ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        _taken_over_under_load(tmp_path, postgres, ports)


def _taken_over_under_load(tmp_path: Path, postgres: PostgresServer, ports: Sequence[int]) -> None:
    url = postgres.migrated_database()
    token = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=tmp_path).out.strip()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    load = Load(urls, token, Journal(random.Random(2)))

    def roll(older: Running) -> None:
        _let_it_work(load, 30)
        with started(*serve(port=ports[1]), cwd=tmp_path, LOYALNEST_DATABASE_URL=url) as newer:
            newer.url()
            wait_until(lambda: status_of(f"{urls[0]}/health/ready") != (200, "ok"))
            older.send(signal.SIGTERM)
            assert older.wait() == 0
            _let_it_work(load, 30)
            load.ended = True
            wait_until(lambda: len(load.journal.acknowledged) == len(load.journal.sent))
            trio.run(check, urls[1], token, load.journal)
            newer.send(signal.SIGINT)
            assert newer.wait() == 0

    async def main() -> None:
        arguments = serve(port=ports[0])
        with (
            trio.fail_after(2 * TIMEOUT_S),
            started(*arguments, cwd=tmp_path, LOYALNEST_DATABASE_URL=url) as older,
        ):
            await register(older.url(), tmp_path, token)
            async with trio.open_nursery() as nursery:
                for _ in range(WORKERS):
                    nursery.start_soon(load.client)
                await trio.to_thread.run_sync(roll, older)

    trio.run(main)
