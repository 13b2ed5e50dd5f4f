"""Killed at any moment: what was acknowledged is there afterwards, and nothing is twice."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from cli.http_client import HttpClient
from tests.integration.cli.program import Running, run, started
from tests.integration.crash.client import CUSTOMERS, Journal, post, pound

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
MERCHANT = "shop"
WORKERS = 8
TIMEOUT_S = 60.0


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
        await _register(server.url(), folder, token)
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    for _ in range(crashes):
        with started(*SERVE, cwd=folder) as server:
            await _pound_and_kill(server, token, journal)
    with started(*SERVE, cwd=folder) as server:
        await _check(server.url(), token, journal)


async def _register(url: str, folder: Path, token: str) -> None:
    client = HttpClient(url)
    platform = run("token", "--role", "platform", cwd=folder).out.strip()
    merchant = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
    assert (await client.post("/v1/admin/merchants", merchant, platform)).status in (200, 201)
    for number in range(CUSTOMERS):
        customer = {"customer_id": f"customer-{number}"}
        assert (await client.post("/v1/customers", customer, token)).status == 201


async def _pound_and_kill(server: Running, token: str, journal: Journal) -> None:
    """Kill the server while requests are under way, at a moment drawn at random."""
    url = server.url()
    with trio.fail_after(TIMEOUT_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pound, url, token, journal, WORKERS)
            await journal.more(journal.rng.randrange(5, 60))
            await trio.sleep(journal.rng.random() / 500)
            server.send(signal.SIGKILL)


async def _check(url: str, token: str, journal: Journal) -> None:
    """Everything is sent again: the acknowledged must be replayed, the unknown be settled."""
    for request in journal.sent.values():
        answer = await post(url, token, request)
        assert answer.status in (200, 409), (request, answer)
        if journal.acknowledged.get(request.key) is not None:
            assert answer.status == 200
        journal.note(request, answer)
    client = HttpClient(url)
    expected = {f"customer-{number}": 0 for number in range(CUSTOMERS)}
    for key, transaction_id in journal.acknowledged.items():
        if transaction_id is not None:
            request = journal.sent[key]
            expected[str(request.body["customer_id"])] += request.signed_amount
    for customer, posted in expected.items():
        balance = await _get(client, f"/v1/customers/{customer}/balance", token)
        assert balance["posted"] == posted
    assert (await _get(client, "/v1/points/verify", token))["clean"]


async def _get(client: HttpClient, path: str, token: str) -> Any:
    answer = await client.get(path, token)
    assert answer.status == 200, answer
    return answer.body
