"""Idempotency keys over HTTP: replays, reuse, and twins in flight."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from actors.points.messages import ACCOUNTS, Apply, Balance, Receipt
from runtime import ChildSpec, Entities, Entity, host
from tests.integration.gateway.helpers import (
    CUSTOMER,
    RIVAL,
    outcome_of,
    patient_settings,
    running_stubs,
    running_tree,
)

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]


async def test_a_retry_is_answered_with_the_first_result(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        first = await api.earn(10, key="once")
        assert "idempotency-replayed" not in first.headers
        await api.earn(5)
        again = await api.earn(10, key="once")
        assert again.headers["idempotency-replayed"] == "true"
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert await api.posted() == 15


async def test_the_layout_of_the_body_does_not_matter(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        first = await api.earn(10, key="once")
        spaced = b'{ "reason":"purchase",\n "order_id": null, "amount":10, "customer_id":"ada" }'
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        again = await api.ask(
            "POST", "/v1/points/earn", content=spaced, key="once", headers=headers
        )
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == first.json()


async def test_a_key_belongs_to_its_request(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        await api.earn(10, key="once")
        assert outcome_of(await api.earn(11, key="once")) == (422, "idempotency_key_reused")
        body = {"customer_id": CUSTOMER, "amount": 10, "reason": "purchase"}
        elsewhere = await api.ask("POST", "/v1/points/redeem", json=body, key="once")
        assert outcome_of(elsewhere) == (422, "idempotency_key_reused")
        assert await api.posted() == 10


async def test_merchants_do_not_share_keys(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        rival = api.token(merchant_id=RIVAL)
        await api.ask("POST", "/v1/customers", json={"customer_id": "eve"}, token=rival)
        await api.earn(10, key="once")
        body = {"customer_id": "eve", "amount": 20, "reason": "purchase"}
        answer = await api.ask("POST", "/v1/points/earn", json=body, key="once", token=rival)
        assert answer.json()["amount"] == 20


async def test_a_refused_request_may_succeed_later_under_its_key(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        body = {"customer_id": CUSTOMER, "amount": 10, "reason": "a bouquet"}
        first = await api.ask("POST", "/v1/points/redeem", json=body, key="spend")
        assert outcome_of(first)[1] == "insufficient_points"
        await api.earn(10)
        again = await api.ask("POST", "/v1/points/redeem", json=body, key="spend")
        assert again.status_code == 200


async def test_fifty_twins_at_once_leave_one_entry(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        answers = await at_once(50, lambda: api.earn(10, key="twin"))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        replayed = Counter("idempotency-replayed" in answer.headers for answer in answers)
        assert replayed == {True: 49, False: 1}
        assert await api.posted() == 10


async def test_a_customer_is_created_once_per_key(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        body = {"display_name": "Grace"}
        first = await api.ask("POST", "/v1/customers", json=body, key="new")
        again = await api.ask("POST", "/v1/customers", json=body, key="new")
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        other = await api.ask("POST", "/v1/customers", json={"display_name": "X"}, key="new")
        assert outcome_of(other) == (422, "idempotency_key_reused")


async def test_an_order_sent_twice_is_recorded_once(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        body = {
            "order_id": "o-1",
            "customer_id": CUSTOMER,
            "ordered_at": "2026-05-01T12:00:00Z",
            "currency": "EUR",
            "total_minor": 1_000,
        }
        first = await api.ask("POST", "/v1/orders", json=body)
        again = await api.ask("POST", "/v1/orders", json=body)
        assert (first.status_code, first.json()["status"]) == (201, "recorded")
        assert (again.status_code, again.json()["status"]) == (200, "duplicate")
        assert again.headers["idempotency-replayed"] == "true"
        changed = await api.ask("POST", "/v1/orders", json=body | {"total_minor": 1})
        assert outcome_of(changed) == (409, "order_conflict")
        totals = (await api.ask("GET", "/v1/orders/totals")).json()
        assert totals["total_minor"] == {"EUR": 1_000}


async def test_an_order_s_key_is_kept_like_any_other(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        body = {
            "order_id": "o-1",
            "customer_id": CUSTOMER,
            "ordered_at": "2026-05-01T12:00:00Z",
            "currency": "EUR",
            "total_minor": 1_000,
        }
        first = await api.ask("POST", "/v1/orders", json=body, key="mine")
        again = await api.ask("POST", "/v1/orders", json=body, key="mine")
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json()
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        other = await api.ask("POST", "/v1/orders", json=body | {"order_id": "o-2"}, key="mine")
        assert outcome_of(other) == (422, "idempotency_key_reused")
        assert (await api.ask("GET", "/v1/orders/totals")).json()["orders"] == 1


class Slow(Entity):
    """An account that answers when the test lets it."""

    def __init__(self, go: trio.Event, begun: trio.Event) -> None:
        self._go = go
        self._begun = begun

    async def receive(self, message: Any) -> object:
        if isinstance(message, Apply):
            self._begun.set()
            await self._go.wait()
            now = self.system.clock.now()
            balance = Balance(1, 0, 1, 0)
            return (Receipt("tx_1", CUSTOMER, 1, "earn", 1, balance, now),)
        return await super().receive(message)


def slow_accounts(go: trio.Event, begun: trio.Event) -> tuple[ChildSpec, ...]:
    return (
        ChildSpec(
            "accounts", lambda: Entities(ACCOUNTS, lambda _key: Slow(go, begun)), name=ACCOUNTS
        ),
    )


async def test_another_request_with_a_key_in_flight_is_refused_at_once(tmp_path: Path) -> None:
    go, begun = trio.Event(), trio.Event()
    async with running_stubs(tmp_path, slow_accounts(go, begun)) as api, trio.open_nursery() as n:
        n.start_soon(lambda: api.earn(1, key="busy"))
        await begun.wait()
        assert outcome_of(await api.earn(2, key="busy")) == (422, "idempotency_key_reused")
        go.set()


async def test_the_same_request_in_flight_for_long_is_a_conflict(tmp_path: Path) -> None:
    go, begun = trio.Event(), trio.Event()
    settings = patient_settings(in_flight_wait_s=0.05)
    async with (
        running_stubs(tmp_path, slow_accounts(go, begun), settings) as api,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(lambda: api.earn(1, key="busy"))
        await begun.wait()
        assert outcome_of(await api.earn(1, key="busy")) == (409, "idempotency_in_flight")
        go.set()


async def test_a_key_is_free_again_when_its_client_has_gone(tmp_path: Path) -> None:
    go, begun = trio.Event(), trio.Event()
    async with running_stubs(tmp_path, slow_accounts(go, begun)) as api:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: api.earn(1, key="busy"))
            await begun.wait()
            nursery.cancel_scope.cancel()
        go.set()
        assert (await api.earn(1, key="busy")).status_code == 200


async def at_once(number: int, request: Any) -> list[httpx.Response]:
    """The answers to as many requests at the same time."""
    answers: list[httpx.Response] = []

    async def one() -> None:
        answers.append(await request())

    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(one)
    return answers
