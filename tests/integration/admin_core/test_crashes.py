"""Killed after any answer: what was answered is in the audit log afterwards, and once."""

import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from actors.auth.messages import Role
from cli.tokens import new_token
from tests.integration.cli.program import Running, started

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
AUDIT = "/v1/admin/audit"
PATIENCE_S = 60.0
LOOK_S = 0.02
BUSY = {503, 504}
"""With these a client comes again: the merchant may be there, and then nothing happens."""


def client_of(server: Running, tmp_path: Path) -> httpx.Client:
    bearer = f"Bearer {new_token(tmp_path / 'data', Role.PLATFORM, None)}"
    url = server.url()
    return httpx.Client(base_url=url, headers={"authorization": bearer}, timeout=PATIENCE_S)


def at_last(ask: Callable[[], httpx.Response]) -> httpx.Response:
    end = time.monotonic() + PATIENCE_S
    while (reply := ask()).status_code in BUSY:
        assert time.monotonic() < end, reply.text
        time.sleep(LOOK_S)
    return reply


def register(client: httpx.Client, name: str) -> None:
    body = {"merchant_id": name, "name": name, "currency": "EUR"}
    reply = at_last(lambda: client.post("/v1/admin/merchants", json=body))
    assert reply.status_code == 201, reply.text


def targets(client: httpx.Client) -> list[str]:
    found: list[str] = []
    query: str | None = "?limit=200"
    while query is not None:
        page = at_last(partial(client.get, AUDIT + query)).json()
        found += [entry["target"] for entry in page["items"]]
        query = page["next_cursor"] and f"?limit=200&cursor={page['next_cursor']}"
    return found


@pytest.mark.parametrize(
    ("crashes", "replies_max"),
    [(4, 6), pytest.param(1_000, 1, marks=pytest.mark.long)],
)
def test_what_was_answered_is_in_the_log_once(
    tmp_path: Path, crashes: int, replies_max: int
) -> None:
    rng, answered = random.Random(crashes), 0
    for _ in range(crashes):
        with started(*SERVE, cwd=tmp_path) as server:
            with client_of(server, tmp_path) as client:
                for _ in range(rng.randint(1, replies_max)):
                    register(client, f"shop-{answered}")
                    answered += 1
            server.send(signal.SIGKILL)
            server.wait()
    with started(*SERVE, cwd=tmp_path) as server, client_of(server, tmp_path) as client:
        end = time.monotonic() + PATIENCE_S
        while len(found := targets(client)) < answered:
            assert time.monotonic() < end, found
            time.sleep(LOOK_S)
        assert sorted(found) == sorted(f"shop-{number}" for number in range(answered))
        assert at_last(partial(client.get, f"{AUDIT}/verify")).json()["clean"]
