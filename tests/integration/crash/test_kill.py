"""Killed at any moment: what was acknowledged is there afterwards, and nothing is twice."""

import random
import signal
from pathlib import Path

import pytest
import trio

from tests.integration.cli.program import Running, run, started
from tests.integration.crash.client import MERCHANT, Journal, check, pound, register

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
WORKERS = 8
TIMEOUT_S = 120.0


def test_acknowledged_mutations_survive_kill_9(tmp_path: Path) -> None:
    journal = Journal(random.Random(9))
    trio.run(_crash_repeatedly, tmp_path, journal, 4)
    assert sum(answer is not None for answer in journal.acknowledged.values()) > 50


@pytest.mark.long
def test_acknowledged_mutations_survive_kill_9_many_times(tmp_path: Path) -> None:
    journal = Journal(random.Random(99))
    trio.run(_crash_repeatedly, tmp_path, journal, 60)
    assert sum(answer is not None for answer in journal.acknowledged.values()) > 500


async def _crash_repeatedly(folder: Path, journal: Journal, crashes: int) -> None:
    token = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=folder).out.strip()
    with started(*SERVE, cwd=folder) as server:
        await register(server.url(), folder, token)
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    for _ in range(crashes):
        with started(*SERVE, cwd=folder) as server:
            await _pound_and_kill(server, token, journal)
    with started(*SERVE, cwd=folder) as server:
        await check(server.url(), token, journal)


async def _pound_and_kill(server: Running, token: str, journal: Journal) -> None:
    """Kill the server while requests are under way, at a moment drawn at random."""
    url = server.url()
    with trio.fail_after(TIMEOUT_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pound, url, token, journal, WORKERS)
            await journal.more(journal.rng.randrange(5, 60))
            await trio.sleep(journal.rng.random() / 500)
            server.send(signal.SIGKILL)
