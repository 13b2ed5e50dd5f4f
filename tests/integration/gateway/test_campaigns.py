"""Campaigns over HTTP: who may what, what is refused, and what an order says of them."""

from pathlib import Path
from typing import Any

import pytest

from actors.auth.messages import Role
from runtime import RestartChild, TerminateChild
from supervisors.application import DOMAINS
from tests.integration.gateway.helpers import (
    CUSTOMER,
    RIVAL,
    Api,
    eventually,
    new_key,
    problem_of,
    running_tree,
)

pytestmark = pytest.mark.slow

PATH = "/v1/campaigns"
DOUBLE: dict[str, Any] = {
    "name": "Double",
    "kind": "multiplier",
    "multiplier": {"percent": 200},
    "budget": {"points": 15},
}


async def sent(api: Api, method: str, path: str, status: int = 200, **options: Any) -> Any:
    reply = await api.ask(method, path, **options)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_from_a_draft_to_an_order_that_earns_by_it(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        key = new_key()
        draft = await sent(api, "POST", PATH, 201, json=DOUBLE, key=key)
        again = await api.ask("POST", PATH, json=DOUBLE, key=key)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == draft
        one = f"{PATH}/{draft['campaign_id']}"
        named = await sent(api, "PUT", one, json=DOUBLE | {"name": "Double points"})
        assert (named["version"], named["state"]) == (2, "draft")
        assert (await sent(api, "POST", f"{one}/start"))["state"] == "running"
        order = {
            "order_id": "spring-1",
            "customer_id": CUSTOMER,
            "total_minor": 1_000,
            "currency": "EUR",
            "ordered_at": api.system.clock.now().isoformat(),
        }
        await sent(api, "POST", "/v1/orders", 201, json=order)
        await eventually(lambda: _has(api, 20))
        ledger = await sent(api, "GET", f"/v1/customers/{CUSTOMER}/ledger")
        transaction = ledger["items"][0]["transaction_id"]
        why = (await sent(api, "GET", f"/v1/points/transactions/{transaction}"))["rule"]
        assert (why["recomputed"], why["promotions"][0]["version"]) == (20, 2)
        stats = await sent(api, "GET", f"{one}/stats")
        assert stats["spent"] == {"points": 10, "money_minor": 0, "count": 1, "members": 1}
        assert stats["left"]["points"] == 5
        versions = await sent(api, "GET", f"{one}/versions")
        assert [each["version"] for each in versions["items"]] == [2, 1]
        refused = await api.ask("PUT", one, json=DOUBLE)
        assert problem_of(refused)["code"] == "campaign_state"
        for move, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
            assert (await sent(api, "POST", f"{one}/{move}"))["state"] == state
        refused = await api.ask("POST", f"{one}/start")
        assert (refused.status_code, problem_of(refused)["code"]) == (409, "campaign_state")
        listed = await sent(api, "GET", f"{PATH}?state=cancelled&kind=multiplier")
        assert [each["campaign_id"] for each in listed["items"]] == [draft["campaign_id"]]


async def _has(api: Api, points: int) -> bool:
    return await api.posted() == points


async def test_who_may_what_and_what_makes_no_sense(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        draft = await sent(api, "POST", PATH, 201, json=DOUBLE)
        one = f"{PATH}/{draft['campaign_id']}"
        for role in (Role.SUPPORT, Role.MACHINE, Role.CUSTOMER):
            await sent(api, "POST", PATH, 403, json=DOUBLE, role=role)
            await sent(api, "POST", f"{one}/start", 403, role=role)
        await sent(api, "GET", one, 403, role=Role.CUSTOMER)
        await sent(api, "GET", one, role=Role.SUPPORT)
        rival = api.token(merchant_id=RIVAL)
        for method, path in (
            ("GET", one),
            ("GET", f"{one}/stats"),
            ("GET", f"{one}/versions"),
            ("POST", f"{one}/start"),
            ("POST", f"{one}/cancel"),
        ):
            await sent(api, method, path, 404, token=rival)
        await sent(api, "PUT", one, 404, token=rival, json=DOUBLE)
        for wrong in (
            {"kind": "goal"},
            {"multiplier": {"percent": 100}},
            {"multiplier": {"percent": 200, "points": 1}},
            {"merchant_id": RIVAL},
            {"state": "running"},
            {"schedule": {"zone": "Mars/Base"}},
            {"schedule": {"starts_at": "2026-03-01T10:00:00Z"}},
            {"schedule": {"starts_at": "0001-01-01T00:00:00", "zone": "Asia/Tokyo"}},
            {"audience": {"kind": "list", "names": ["a\n"]}},
            {"budget": {"points": -1}},
            {"budget": {"money_minor": 5}},
        ):
            await sent(api, "POST", PATH, 422, json=DOUBLE | wrong)


async def test_while_the_domain_is_down_its_routes_are_503_and_orders_earn(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        draft = await sent(api, "POST", PATH, 201, json=DOUBLE)
        await sent(api, "POST", f"{PATH}/{draft['campaign_id']}/start")
        order = {"customer_id": CUSTOMER, "currency": "EUR", "total_minor": 400}
        order["ordered_at"] = api.system.clock.now().isoformat()
        await sent(api, "POST", "/v1/orders", 201, json=order | {"order_id": "one"})
        await eventually(lambda: _has(api, 8))
        await api.system.ref(DOMAINS).ask(TerminateChild("campaign"))
        answer = await api.ask("GET", PATH)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        await sent(api, "POST", "/v1/orders", 201, json=order | {"order_id": "two"})
        await eventually(lambda: _has(api, 16))
        health = await api.client.get("/health/ready")
        assert health.status_code == 200
        await api.system.ref(DOMAINS).ask(RestartChild("campaign"))
        await sent(api, "GET", PATH)
