"""A merchant's program over HTTP: transfers, rewards, tiers, refund policy, liability."""

from pathlib import Path
from typing import Any

import pytest

from actors.auth.messages import Role
from tests.integration.gateway.helpers import (
    CUSTOMER,
    OTHER_CUSTOMER,
    RIVAL,
    Api,
    new_key,
    running_tree,
)

pytestmark = pytest.mark.slow

TIERS: dict[str, Any] = {
    "metric": "points",
    "window": {"rolling_days": 365},
    "downgrade": "period_end",
    "tiers": [
        {"tier_id": "silver", "name": "Silver", "threshold": 50},
        {"tier_id": "gold", "name": "Gold", "threshold": 500},
    ],
}


async def sent(api: Api, method: str, path: str, status: int = 200, **options: Any) -> Any:
    reply = await api.ask(method, path, **options)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_points_are_passed_on_once_and_between_members_of_one_merchant(
    tmp_path: Path,
) -> None:
    async with running_tree(tmp_path) as api:
        await api.earn(100)
        body = {"from_customer_id": CUSTOMER, "to_customer_id": OTHER_CUSTOMER, "amount": 30}
        path, key = "/v1/points/transfer", new_key()
        first = await api.ask("POST", path, json=body, key=key)
        again = await api.ask("POST", path, json=body, key=key)
        assert first.json() == again.json()
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        told = first.json()
        assert (told["source"]["amount"], told["target"]["balance"]["posted"]) == (-30, 30)
        assert (await api.posted(), await api.posted(OTHER_CUSTOMER)) == (70, 30)
        ledger = await sent(api, "GET", f"/v1/customers/{OTHER_CUSTOMER}/ledger")
        assert ledger["items"][0]["transfer_id"] == told["transfer_id"]
        rival = api.token(merchant_id=RIVAL)
        problem = await sent(api, "POST", path, 404, json=body, key=new_key(), token=rival)
        assert problem["code"] == "customer_unknown"
        await sent(api, "POST", path, 403, json=body, key=new_key(), role=Role.CUSTOMER)
        await sent(api, "POST", path, 409, json=body | {"amount": 71}, key=new_key())


async def test_a_member_redeems_what_is_on_offer_and_staff_takes_it_back(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await api.earn(100)
        mug = {"name": "Mug", "cost_points": 40, "stock": 2, "per_customer_max": 1}
        await sent(api, "PUT", "/v1/rewards/mug", json=mug)
        hidden = mug | {"active": False}
        await sent(api, "PUT", "/v1/rewards/hidden", json=hidden)
        await sent(api, "PUT", "/v1/rewards/mug", 403, json=mug, role=Role.SUPPORT)
        offer = await sent(api, "GET", "/v1/rewards", role=Role.CUSTOMER)
        assert [reward["reward_id"] for reward in offer["items"]] == ["mug"]
        want, path = {"customer_id": CUSTOMER, "reward_id": "mug"}, "/v1/redemptions"
        done = await sent(api, "POST", path, json=want, key=new_key(), role=Role.CUSTOMER)
        assert (done["amount"], done["balance"]["posted"]) == (-40, 60)
        problem = await sent(api, "POST", path, 409, json=want, key=new_key())
        assert problem["code"] == "reward_limit_reached"
        foreign = want | {"customer_id": OTHER_CUSTOMER}
        await sent(api, "POST", path, 404, json=foreign, key=new_key(), role=Role.CUSTOMER)
        one = f"{path}/{done['redemption_id']}"
        assert (await sent(api, "GET", one, role=Role.CUSTOMER))["status"] == "redeemed"
        other = api.token(Role.CUSTOMER, customer_id=OTHER_CUSTOMER)
        await sent(api, "GET", one, 404, token=other)
        await sent(api, "GET", one, 404, token=api.token(merchant_id=RIVAL))
        assert (await sent(api, "GET", path, token=other))["items"] == []
        key = new_key()
        await sent(api, "POST", f"{one}/cancel", 403, key=key, role=Role.CUSTOMER)
        back = await sent(api, "POST", f"{one}/cancel", key=key)
        assert back == await sent(api, "POST", f"{one}/cancel", key=key)
        assert back["balance"]["posted"] == 100
        assert (await sent(api, "GET", one))["status"] == "cancelled"
        assert (await sent(api, "GET", "/v1/rewards/mug"))["taken"] == 0
        await sent(
            api, "POST", f"{one}/cancel", 404, key=new_key(), token=api.token(merchant_id=RIVAL)
        )


async def test_tiers_refunds_and_liability_over_http(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        standing = f"/v1/customers/{CUSTOMER}/tier"
        assert (await sent(api, "GET", standing, 404))["code"] == "no_tiers"
        await sent(api, "PUT", "/v1/tiers", json=TIERS)
        assert (await sent(api, "GET", "/v1/tiers", role=Role.CUSTOMER))["version"] == 1
        earned = (await api.earn(60)).json()
        told = await sent(api, "GET", standing, role=Role.CUSTOMER)
        assert (told["tier"]["tier_id"], told["next_tier"]["tier_id"]) == ("silver", "gold")
        assert told["missing"] == 440
        changes = await sent(api, "GET", f"{standing}/changes")
        assert [each["to_tier"] for each in changes["items"]] == ["silver"]
        await sent(api, "PUT", "/v1/tiers", 422, json=TIERS | {"window": {}})
        policy = "/v1/points/refund-policy"
        assert (await sent(api, "GET", policy))["policy"] == "within_balance"
        await sent(api, "PUT", policy, json={"policy": "only_pending"})
        undo = {"transaction_id": earned["transaction_id"]}
        problem = await sent(api, "POST", "/v1/points/reverse", 409, json=undo, key=new_key())
        assert problem["code"] == "refund_policy"
        report = await sent(api, "GET", "/v1/points/liability")
        assert (report["outstanding"], report["never_expiring"]) == (60, 60)
        explained = await sent(api, "GET", f"/v1/points/transactions/{earned['transaction_id']}")
        assert explained["entry"]["amount"] == 60
        foreign = f"/v1/points/transactions/{earned['transaction_id']}"
        await sent(api, "GET", foreign, 404, token=api.token(merchant_id=RIVAL))
