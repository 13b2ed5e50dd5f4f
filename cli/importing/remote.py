"""The sink that sends orders to a running server over HTTP."""

from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec
import trio

from actors.auth.keys import KeyStore
from actors.auth.messages import Role
from actors.core.messages import Order, OrderStatus
from actors.points.messages import EarnRule
from actors.vocabulary import Refusal, RefusalKind
from cli.errors import CommandFailed
from cli.http_client import HttpAnswer, HttpClient, Unreachable
from cli.importing.tally import Outcome
from cli.tokens import new_token
from runtime import ActorError

STATUSES = {201: OrderStatus.RECORDED, 200: OrderStatus.DUPLICATE}
BUSY = frozenset({429, 502, 503, 504})


class ServerBusy(ActorError):
    """The server could not take the orders now. Sending them again is harmless."""


class RemoteSink:
    """Records orders with `POST /v1/orders/batch`, by a token of our own making."""

    def __init__(self, client: HttpClient, keys: KeyStore, merchant_id: str) -> None:
        self._client = client
        self._merchant_id = merchant_id
        self._keys = keys
        self._token = new_token(keys, Role.OWNER, merchant_id)

    async def prepare(self, currency: str) -> str | None:
        answer = await self._ask(self._client.get("/v1/merchant", self._token))
        if answer.status == 200:
            return None
        if answer.status != 404:
            raise CommandFailed(f"server at {self._client.address}: {answer.problem}")
        merchant = {
            "merchant_id": self._merchant_id,
            "name": self._merchant_id,
            "currency": currency,
        }
        token = new_token(self._keys, Role.PLATFORM, None)
        answer = await self._ask(self._client.post("/v1/admin/merchants", merchant, token))
        if answer.status != 201:
            raise CommandFailed(f"merchant {self._merchant_id}: {answer.problem}")
        return f"merchant {self._merchant_id} was unknown; registered it with {currency}"

    async def send(self, orders: Sequence[Order]) -> list[Outcome]:
        body = {"orders": [_order(order) for order in orders]}
        answer = await self._ask(self._client.post("/v1/orders/batch", body, self._token))
        if answer.status in BUSY:
            raise ServerBusy(self._client.address, None, answer.problem)
        items = answer.body.get("items") if isinstance(answer.body, dict) else None
        if answer.status != 207 or not isinstance(items, list) or len(items) != len(orders):
            raise CommandFailed(f"server at {self._client.address}: {answer.problem}")
        outcomes = [_outcome(item) for item in items]
        if any(isinstance(o, Refusal) and o.kind is RefusalKind.UNAVAILABLE for o in outcomes):
            raise ServerBusy(self._client.address, None, "some orders were not taken")
        return outcomes

    async def backlog(self) -> int | None:
        await trio.lowlevel.checkpoint()
        return None

    async def earn_rule(self, currency: str) -> EarnRule | None:
        path = f"/v1/points/earn-rule?currency={currency}"
        answer = await self._ask(self._client.get(path, self._token))
        try:
            return msgspec.convert(answer.body, EarnRule)
        except msgspec.ValidationError:
            return None

    async def _ask(self, request: Awaitable[HttpAnswer]) -> HttpAnswer:
        try:
            return await request
        except Unreachable as error:
            raise ServerBusy(self._client.address, None, str(error)) from error


def _order(order: Order) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "ordered_at": order.ordered_at.isoformat().replace("+00:00", "Z"),
        "currency": order.currency,
        "total_minor": order.total_minor,
        "items": order.items,
    }


def _outcome(item: dict[str, Any]) -> Outcome:
    """What became of an order; `item` has the status of a single request."""
    status = int(item.get("status", 0))
    if status in STATUSES:
        return STATUSES[status]
    problem = item.get("problem") or {}
    kind = RefusalKind.UNAVAILABLE if status in BUSY else RefusalKind.INVALID
    return Refusal(kind, str(problem.get("code")), str(problem.get("detail")))
