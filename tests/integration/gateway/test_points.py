"""The points routes over the real tree."""

from datetime import timedelta
from pathlib import Path

import pytest

from actors.auth.messages import Role
from runtime import host
from tests.integration.gateway.helpers import (
    CUSTOMER,
    OTHER_CUSTOMER,
    minutes_from,
    new_key,
    outcome_of,
    problem_of,
    running_tree,
)

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]


async def test_what_is_earned_can_be_seen_spent_and_verified(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        earned = await api.earn(100, order_id="order-1")
        assert earned.status_code == 200
        receipt = earned.json()
        assert receipt["amount"] == 100
        assert receipt["customer_id"] == CUSTOMER
        assert receipt["sequence"] == 1
        assert receipt["balance"] == {"posted": 100, "held": 0, "available": 100, "pending": 0}
        body = {"customer_id": CUSTOMER, "amount": 30, "reason": "a bouquet"}
        spent = await api.ask("POST", "/v1/points/redeem", json=body, key=new_key())
        assert spent.json()["amount"] == -30
        ledger = (await api.ask("GET", f"/v1/customers/{CUSTOMER}/ledger")).json()
        assert [entry["kind"] for entry in ledger["items"]] == ["redeem", "earn"]
        assert ledger["next_cursor"] is None
        lots = (await api.ask("GET", f"/v1/customers/{CUSTOMER}/lots")).json()
        assert [(lot["amount"], lot["remaining"]) for lot in lots["items"]] == [(100, 70)]
        verification = (await api.ask("GET", "/v1/points/verify")).json()
        assert verification["clean"]
        assert verification["points_outstanding"] == 70


async def test_a_hold_is_captured_in_part_and_another_one_voided(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        await api.earn(100)
        expires_at = minutes_from(api.system.clock.now(), 30)
        body = {"customer_id": CUSTOMER, "amount": 40, "expires_at": expires_at}
        first = (await api.ask("POST", "/v1/points/holds", json=body, key=new_key())).json()
        second = (await api.ask("POST", "/v1/points/holds", json=body, key=new_key())).json()
        assert second["balance"]["available"] == 20
        captured = await api.ask(
            "POST",
            f"/v1/points/holds/{first['hold_id']}/capture",
            json={"amount": 10},
            key=new_key(),
        )
        assert captured.json()["balance"]["posted"] == 90
        path = f"/v1/points/holds/{second['hold_id']}/void"
        voided = await api.ask("POST", path, key=new_key())
        assert voided.json()["balance"] == {
            "posted": 90,
            "held": 0,
            "available": 90,
            "pending": 0,
        }
        again = await api.ask("POST", path, key=new_key())
        assert again.status_code == 409


async def test_a_transaction_is_taken_back_by_its_id_alone(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        transaction_id = (await api.earn(100)).json()["transaction_id"]
        body = {"transaction_id": transaction_id, "amount": 25}
        answer = await api.ask("POST", "/v1/points/reverse", json=body, key=new_key())
        assert answer.json()["balance"]["posted"] == 75
        unknown = {"transaction_id": "tx_unknown"}
        answer = await api.ask("POST", "/v1/points/reverse", json=unknown, key=new_key())
        assert answer.status_code == 404


async def test_a_refusal_is_a_problem_with_the_domain_s_code(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        body = {"customer_id": CUSTOMER, "amount": 1, "reason": "too much"}
        answer = await api.ask("POST", "/v1/points/redeem", json=body, key=new_key())
        assert problem_of(answer)["code"] == "insufficient_points"
        assert answer.status_code in {409, 422}


async def test_a_balance_of_the_past_goes_by_the_axis_that_is_asked_for(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        now = api.system.clock.now()
        long_ago = (now - timedelta(days=30)).isoformat()
        await api.earn(100, effective_at=long_ago)
        path = f"/v1/customers/{CUSTOMER}/balance"
        at = {"at": (now - timedelta(days=1)).isoformat()}
        recorded = await api.ask("GET", path, params=at)
        effective = await api.ask("GET", path, params=at | {"axis": "effective"})
        assert (recorded.json()["posted"], effective.json()["posted"]) == (0, 100)


async def test_a_ledger_comes_in_pages(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        for amount in range(1, 6):
            await api.earn(amount)
        path = f"/v1/customers/{CUSTOMER}/ledger"
        seen: list[int] = []
        cursor: str | None = None
        for _ in range(3):
            params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = (await api.ask("GET", path, params=params)).json()
            seen += [entry["amount"] for entry in page["items"]]
            cursor = page["next_cursor"]
        assert seen == [5, 4, 3, 2, 1]
        assert cursor is None


async def test_every_item_of_a_batch_has_its_own_result(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        earn = {"kind": "earn", "customer_id": CUSTOMER, "amount": 10, "reason": "gift"}
        items = [
            earn | {"idempotency_key": new_key()},
            earn | {"idempotency_key": new_key(), "amount": -1},
            earn | {"idempotency_key": new_key(), "customer_id": "nobody"},
            {"kind": "teleport", "idempotency_key": new_key()},
            "not an object",
            earn | {"idempotency_key": new_key(), "customer_id": OTHER_CUSTOMER},
        ]
        answer = await api.ask("POST", "/v1/points/batch", json={"items": items})
        assert answer.status_code == 207
        results = answer.json()["items"]
        assert [item["status"] for item in results] == [200, 422, 404, 422, 422, 200]
        assert results[1]["problem"]["detail"].endswith("`$.amount`")
        assert await api.posted(CUSTOMER) == 10
        assert await api.posted(OTHER_CUSTOMER) == 10


async def test_an_item_of_a_batch_and_the_single_request_are_retries_of_each_other(
    tmp_path: Path,
    lasting_url: str,
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        fields = {"customer_id": CUSTOMER, "amount": 10, "reason": "purchase"}
        single = await api.earn(10, key="shared")
        item = fields | {"kind": "earn", "idempotency_key": "shared"}
        answer = await api.ask("POST", "/v1/points/batch", json={"items": [item]})
        (result,) = answer.json()["items"]
        assert result["replayed"]
        assert result["result"] == single.json()
        assert await api.posted() == 10


async def test_only_owners_and_managers_adjust_in_a_batch_too(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        item = {
            "kind": "adjust",
            "customer_id": CUSTOMER,
            "amount": 10,
            "reason": "correction",
            "idempotency_key": "adjust-1",
        }
        body = {"items": [item]}
        machine = await api.ask("POST", "/v1/points/batch", json=body, role=Role.MACHINE)
        assert machine.json()["items"][0]["status"] == 403
        assert await api.posted() == 0
        owner = await api.ask("POST", "/v1/points/batch", json=body)
        assert owner.json()["items"][0]["status"] == 200


async def test_an_earn_rule_gets_a_version_and_applies_to_orders(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        built_in = (await api.ask("GET", "/v1/points/earn-rule")).json()
        assert (built_in["version"], built_in["currency"]) == (0, "EUR")
        rule = {"currency": "EUR", "points": 3, "per_amount_minor": 500}
        set_ = (await api.ask("PUT", "/v1/points/earn-rule", json=rule)).json()
        assert set_["version"] == 1
        again = (await api.ask("PUT", "/v1/points/earn-rule", json=rule)).json()
        assert again == set_
        shown = await api.ask("GET", "/v1/points/earn-rule", params={"currency": "EUR"})
        assert shown.json() == set_
        refused = await api.ask("PUT", "/v1/points/earn-rule", json=rule, role=Role.MACHINE)
        assert outcome_of(refused) == (403, "role_not_allowed")
