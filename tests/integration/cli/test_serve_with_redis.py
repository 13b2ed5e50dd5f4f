"""`serve` with a Redis that goes away and comes back under it."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.program import PATIENT, TIMEOUT_S, run, started
from tests.servers import RedisServer, running

pytestmark = pytest.mark.slow

SERVE = (
    *("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0"),
    *("--log-format", "json", "--log-level", "info"),
)


def health_of(url: str, token: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/health", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        health: dict[str, Any] = json.load(response)
        return health


def redis_of(url: str, token: str) -> str:
    parts = {part["name"]: part for part in health_of(url, token)["dependencies"]}
    return str(parts["redis"]["condition"])


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_redis_may_come_late_go_and_come_again(tmp_path: Path) -> None:
    with running(RedisServer) as redis:
        redis.kill()
        with started(*SERVE, cwd=tmp_path, LOYALNEST_REDIS_URL=redis.url, **PATIENT) as server:
            url = server.url()
            token = run("token", "--role", "platform", cwd=tmp_path).out.strip()
            assert redis_of(url, token) == "down"
            for _ in range(2):
                redis.start()
                wait_until(lambda: redis_of(url, token) == "up")
                redis.kill()
                wait_until(lambda: redis_of(url, token) == "down")
            assert health_of(url, token)["status"] == "degraded"
            server.send(signal.SIGTERM)
            assert server.wait() == 0
            lines = [json.loads(line) for line in server.err.splitlines()]
    changes = [line["event"] for line in lines if line["event"].startswith("cache_connect")]
    assert changes.count("cache_connected") >= 2
    turns = ["cache_connection_lost", "cache_connected"] * len(changes)
    assert changes == turns[: len(changes)], "each is told of once"
    assert not [line for line in lines if line["level"] in {"error", "critical"}]
