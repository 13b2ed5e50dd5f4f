"""A client that notes what it was told, and asks again for what it was not."""

import random
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import trio

from cli.http_client import HttpAnswer, HttpClient, Unreachable
from tests.integration.cli.program import run

MERCHANT = "shop"
CUSTOMERS = 4
AGAIN_AFTER_S = 0.02
TIMEOUT_S = 120.0

NOT_NOW = (503, 504)
"""A server that stood still for longer than a request may take."""


@attrs.frozen
class Request:
    """One mutation; the same request always has the same key and the same body."""

    key: str
    path: str
    body: dict[str, object]

    @property
    def signed_amount(self) -> int:
        amount = self.body["amount"]
        assert isinstance(amount, int)
        return -amount if self.path.endswith("redeem") else amount


@attrs.define
class Journal:
    """What was sent, and what was answered: the transaction id, or None for a refusal."""

    rng: random.Random
    sent: dict[str, Request] = attrs.field(factory=dict)
    acknowledged: dict[str, str | None] = attrs.field(factory=dict)
    _goal: int = 0
    _reached: trio.Event = attrs.field(factory=trio.Event)

    async def more(self, answers: int) -> None:
        """Wait for so many more answers."""
        self._goal = len(self.acknowledged) + answers
        self._reached = trio.Event()
        await self._reached.wait()

    def next_request(self) -> Request:
        number = len(self.sent)
        kind = self.rng.choice(["earn", "earn", "redeem"])
        body: dict[str, object] = {
            "customer_id": f"customer-{self.rng.randrange(CUSTOMERS)}",
            "amount": self.rng.randrange(1, 50),
            "reason": "crash test",
        }
        request = Request(f"key-{number}", f"/v1/points/{kind}", body)
        self.sent[request.key] = request
        return request

    def note(self, request: Request, answer: HttpAnswer) -> None:
        """A second answer must be the first one again."""
        transaction_id = answer.body["transaction_id"] if answer.status == 200 else None
        before = self.acknowledged.get(request.key)
        assert before is None or before == transaction_id, (request, before, answer)
        self.acknowledged[request.key] = transaction_id
        if len(self.acknowledged) >= self._goal:
            self._reached.set()


async def post(url: str, token: str, request: Request) -> HttpAnswer:
    """The answer. Raises `Unreachable`."""
    client = HttpClient(url)
    return await client.post(request.path, request.body, token, idempotency_key=request.key)


def settled(answer: HttpAnswer) -> bool:
    """Whether it was done or refused, and not put off."""
    refused = answer.status == 409 and answer.body["code"] != "idempotency_in_flight"
    return answer.status == 200 or refused


async def pound(url: str, token: str, journal: Journal, workers: int) -> None:
    """Send requests from several tasks until the server is gone."""

    async def worker() -> None:
        while True:
            request = journal.next_request()
            answer = await post(url, token, request)
            while not settled(answer):
                answer = await post(url, token, request)
            journal.note(request, answer)

    async def until_gone() -> None:
        with suppress(Unreachable):
            await worker()

    async with trio.open_nursery() as nursery:
        for _ in range(workers):
            nursery.start_soon(until_gone)


async def insist(urls: Sequence[str], token: str, request: Request) -> HttpAnswer:
    """The answer, asked for again and again, at one address after another."""
    for tries in count():
        with suppress(Unreachable):
            answer = await post(urls[tries % len(urls)], token, request)
            if settled(answer):
                return answer
        await trio.sleep(AGAIN_AFTER_S)
    raise AssertionError("unreachable")


async def made(client: HttpClient, path: str, body: object, token: str) -> None:
    """Make something, whether or not an attempt had made it before its answer came too late."""
    with trio.fail_after(TIMEOUT_S):
        while (answer := await client.post(path, body, token)).status in NOT_NOW:  # noqa: ASYNC110
            await trio.sleep(AGAIN_AFTER_S)
    assert answer.status in (200, 201, 409), answer


async def found(client: HttpClient, path: str, token: str) -> Any:
    """What is there, asked for again while a server that stood still has no time to say."""
    with trio.fail_after(TIMEOUT_S):
        while (answer := await client.get(path, token)).status in NOT_NOW:  # noqa: ASYNC110
            await trio.sleep(AGAIN_AFTER_S)
    assert answer.status == 200, answer
    return answer.body


async def register(url: str, folder: Path, token: str) -> None:
    """The merchant and its customers."""
    client = HttpClient(url)
    platform = run("token", "--role", "platform", cwd=folder).out.strip()
    merchant = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
    await made(client, "/v1/admin/merchants", merchant, platform)
    for number in range(CUSTOMERS):
        await made(client, "/v1/customers", {"customer_id": f"customer-{number}"}, token)


async def check(url: str, token: str, journal: Journal) -> None:
    """Everything is sent again: the acknowledged must be replayed, the unknown be settled."""
    for request in journal.sent.values():
        with trio.fail_after(TIMEOUT_S):
            answer = await insist([url], token, request)
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
        balance = await found(client, f"/v1/customers/{customer}/balance", token)
        assert balance["posted"] == posted
    assert (await found(client, "/v1/points/verify", token))["clean"]
