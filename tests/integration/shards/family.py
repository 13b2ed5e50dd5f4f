"""A sharded program on PostgreSQL, with the plan that comes with it, and clients that use it."""

import http.client
import json
import re
import signal
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from cli.link_tls import NAMES, TlsFiles
from tests.integration.cli.program import PATIENT, Running, run, started
from tests.ports import reserved_port

ROOT = Path(__file__).parents[3]
PLAN = ROOT / "config/plans/three.toml"
PATIENCE_S = 120.0
PAUSE_S = 0.03
SILENCE_S = 8
"""More than a machine that does many other things lets a process wait."""


@contextmanager
def free_addresses(text: str) -> Iterator[str]:
    """The plan, with ports in the place of its own that nobody else is given meanwhile."""
    with ExitStack() as taken:

        def free(_match: re.Match[str]) -> str:
            return f"127.0.0.1:{taken.enter_context(reserved_port())}"

        yield re.sub(r"127\.0\.0\.1:[0-9]+", free, text)


def request(
    address: str, method: str, path: str, token: str = "", body: Any = None, key: str = ""
) -> tuple[int, Any]:
    """The status and the body of an answer; status 0 where there is none."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers |= {"content-type": "application/json"}
    if key:
        headers |= {"idempotency-key": key}
    try:
        with closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as connection:
            encoded = json.dumps(body) if body is not None else None
            connection.request(method, path, body=encoded, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, None
    return answer.status, json.loads(text) if text.startswith(("{", "[")) else text


def eventually(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s
        time.sleep(PAUSE_S)
    return time.monotonic() - began


@attrs.define
class Sharded:
    """The parent as it runs, and where its shards are reached."""

    running: Running
    directory: Path
    plan: dict[str, Any]
    token: str

    @property
    def api(self) -> str:
        address: str = self.plan["shards"]["edge"]["http"]
        return address

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        return request(self.api, method, path, self.token, body, key)

    def health(self) -> dict[str, Any]:
        status, body = request(self.plan["health"], "GET", "/health")
        assert status in {200, 503}
        shards: dict[str, Any] = body["shards"]
        return shards

    def pid(self, shard: str) -> int:
        pid: int = self.health()[shard]["pid"]
        return pid

    def all_ready(self) -> bool:
        return all(shard["state"] == "ready" for shard in self.health().values())

    def metrics(self, shard: str) -> str:
        status, text = request(self.plan["shards"][shard]["metrics"], "GET", "/metrics")
        assert status == 200
        return str(text)

    def logged(self, event: str) -> list[dict[str, Any]]:
        whole, _, _ = self.running.err.rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if line["event"] == event]


@contextmanager
def sharded(
    directory: Path,
    url: str,
    merchant: str,
    *flags: str,
    silence_s: int = SILENCE_S,
    python_path: str = "",
    tls: TlsFiles | None = None,
) -> Iterator[Sharded]:
    """Start it, and stop it in order at the end if it still runs.

    Its shards find modules of the `python_path` as well. With `tls` links are encrypted.
    """
    path = directory / "plan.toml"
    impatient = PLAN.read_text().replace("memory_mib", f"silence_s = {silence_s}\nmemory_mib")
    arguments = ("--plan", str(path), "--shutdown-delay-s", "0.2", *flags)
    environment: dict[str, Any] = {
        **PATIENT,
        "LOYALNEST_DATABASE_URL": url,
        "PYTHONPATH": python_path,
    }
    if tls is not None:
        paths = (tls.certificate, tls.key, tls.authority)
        environment |= {
            f"LOYALNEST_{name.upper()}": str(path) for name, path in zip(NAMES, paths, strict=True)
        }
    with free_addresses(impatient) as text:
        path.write_text(text)
        with started("serve", *arguments, cwd=directory, **environment) as running:
            running.line_with("health of all")
            made = run("token", "--merchant", merchant, "--role", "owner", cwd=directory)
            program = Sharded(running, directory, tomllib.loads(text), made.out.split()[-1])
            eventually(program.all_ready)
            yield program
            if running.running():
                running.send(signal.SIGTERM)
                running.wait()


@attrs.define
class Client:
    """Repeats a request until it is told to stop; `answers` has when, and with which status."""

    ask: Callable[[int], tuple[int, Any]]
    answers: list[tuple[float, int, Any]] = attrs.field(factory=list)
    _over: threading.Event = attrs.field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        number = 0
        while not self._over.is_set():
            began = time.monotonic()
            self.answers.append((began, *self.ask(number)))
            number += 1
            self._over.wait(PAUSE_S)

    def statuses(self, since: float = 0.0) -> list[int]:
        return [status for at, status, _ in self.answers if at >= since]

    def well_since(self, since: float) -> bool:
        """Whether it has been answered well again, three times in a row."""
        last = self.statuses(since)[-3:]
        return len(last) == 3 and set(last) <= {200, 201}


@contextmanager
def under_load(**asks: Callable[[int], tuple[int, Any]]) -> Iterator[dict[str, Client]]:
    clients = {name: Client(ask) for name, ask in asks.items()}
    for client in clients.values():
        client.start()
    try:
        yield clients
    finally:
        for client in clients.values():
            client.stop()
