"""A client that notes what it was told, and asks again for what it was not."""

import json
import random
from http.client import HTTPException

import attrs
import trio

from cli.http_client import HttpAnswer, HttpClient, Unreachable

CUSTOMERS = 4


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


async def send(url: str, token: str, request: Request) -> HttpAnswer | None:
    """The answer, None when the outcome is unknown."""
    try:
        answer = await post(url, token, request)
    except (Unreachable, HTTPException, json.JSONDecodeError):
        return None
    return answer if answer.status in (200, 409) else None


async def pound(url: str, token: str, journal: Journal, workers: int) -> None:
    """Send requests from several tasks until the server is gone."""

    async def worker() -> None:
        while True:
            request = journal.next_request()
            answer = await send(url, token, request)
            if answer is None:
                return
            journal.note(request, answer)

    async with trio.open_nursery() as nursery:
        for _ in range(workers):
            nursery.start_soon(worker)
