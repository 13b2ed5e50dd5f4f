"""`serve` with a Redis that goes away and comes back under it."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.program import started
from tests.servers import RedisServer, running

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--log-format", "json", "--log-level", "info")
STOP_TIMEOUT_S = 10.0
CHANGE_TIMEOUT_S = 15.0


def health_of(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/health", timeout=10) as response:
        health: dict[str, Any] = json.load(response)
        return health


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + CHANGE_TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_redis_may_come_late_go_and_come_again(tmp_path: Path) -> None:
    with running(RedisServer) as redis:
        redis.kill()
        with started(*SERVE, cwd=tmp_path, LOYALNEST_REDIS_URL=redis.url) as server:
            url = server.url()
            assert health_of(url)["cache"] == "down"
            for _ in range(2):
                redis.start()
                wait_until(lambda: health_of(url)["cache"] == "up")
                redis.kill()
                wait_until(lambda: health_of(url)["cache"] == "down")
            assert health_of(url)["status"] == "ok"
            server.send(signal.SIGTERM)
            assert server.wait(STOP_TIMEOUT_S) == 0
            lines = [json.loads(line) for line in server.err.splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("cache_connected") == 2
    assert not [line for line in lines if line["level"] in {"error", "critical"}]
