"""Flags over HTTP: operators switch the points domain while it runs, and the log has it."""

from pathlib import Path
from typing import Any

import pytest

from actors.auth.messages import Role
from tests.integration.gateway.helpers import (
    CUSTOMER,
    OTHER_CUSTOMER,
    Api,
    eventually,
    new_key,
    running_tree,
)
from tests.integration.gateway.test_audit import has

pytestmark = pytest.mark.slow

TRANSFERS = "/v1/admin/flags/points.transfers"
FLAG: dict[str, Any] = {
    "type": "boolean",
    "default": True,
    "description": "whether members may pass points on",
    "version": 0,
    "reason": "a test",
    "exposed": True,
}


async def sent(api: Api, method: str, path: str, status: int = 200, **options: Any) -> Any:
    options.setdefault("role", Role.PLATFORM)
    reply = await api.ask(method, path, **options)
    assert reply.status_code == status, reply.text
    return reply.json()


async def transfer(api: Api, amount: int = 1) -> Any:
    body = {"from_customer_id": CUSTOMER, "to_customer_id": OTHER_CUSTOMER, "amount": amount}
    return await api.ask("POST", "/v1/points/transfer", json=body, key=new_key())


async def test_a_flag_switches_transfers_off_and_on_for_one_merchant(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await api.earn(1_000_000)
        assert (await transfer(api)).status_code == 200
        await sent(api, "PUT", TRANSFERS, json=FLAG)
        override = {"value": False, "reason": "fraud is looked into"}
        await sent(api, "PUT", f"{TRANSFERS}/overrides/flora", json=override)

        async def refused() -> bool:
            reply = await transfer(api)
            return bool(reply.status_code == 409 and reply.json()["code"] == "transfers_off")

        await eventually(refused)
        body = {"keys": ["points.transfers", "no.such_flag"]}
        told = await sent(api, "POST", "/v1/flags/evaluate", json=body, role=Role.CUSTOMER)
        assert [(each["value"], each["reason"]) for each in told["items"]] == [
            (False, "override"),
            (None, "unknown"),
        ]
        await sent(api, "PUT", f"{TRANSFERS}/kill", json={"killed": True, "reason": "all well"})

        async def allowed() -> bool:
            return bool((await transfer(api)).status_code == 200)

        await eventually(allowed)
        history = await sent(api, "GET", f"{TRANSFERS}/history")
        assert [(each["flag"]["version"], each["reason"]) for each in history["items"]] == [
            (3, "all well"),
            (2, "fraud is looked into"),
            (1, "a test"),
        ]
        entries = await has(api, 3, "?platform=true")
        assert [entry["action"] for entry in entries] == ["flag.kill", "flag.override", "flag.put"]


async def test_a_limit_is_a_flag_too(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await api.earn(1_000_000)
        limit = FLAG | {"type": "integer", "default": 10}
        await sent(api, "PUT", "/v1/admin/flags/points.transfer_max", json=limit)

        async def limited() -> bool:
            reply = await transfer(api, 11)
            return bool(reply.status_code == 409 and reply.json()["code"] == "transfer_too_large")

        await eventually(limited)
        assert (await transfer(api, 10)).status_code == 200


UNSAFE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"default": None}, "validation_failed"),
    ({"default": 1}, "invalid_flag"),
    ({"overrides": {"flora": "x"}}, "invalid_flag"),
    ({"rollout": {"percent": 101, "value": True}}, "validation_failed"),
    ({"merchant_id": "flora"}, "unknown_field"),
)


async def test_a_flag_that_is_not_safe_is_refused(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        for change, code in UNSAFE:
            problem = await sent(api, "PUT", TRANSFERS, 422, json=FLAG | change)
            assert problem["code"] == code
        missing = {key: value for key, value in FLAG.items() if key != "default"}
        await sent(api, "PUT", TRANSFERS, 422, json=missing)
        await sent(api, "GET", TRANSFERS, 404)
        await sent(api, "PUT", TRANSFERS, 403, json=FLAG, role=Role.OWNER)


async def test_who_was_slower_is_told_and_what_is_not_exposed_is_not(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        hidden = FLAG | {"exposed": False, "rollout": {"percent": 12.5, "value": False}}
        made = await sent(api, "PUT", TRANSFERS, json=hidden)
        assert (made["version"], made["rollout"]["percent"]) == (1, 12.5)
        assert made == await sent(api, "PUT", TRANSFERS, json=hidden | {"version": 1})
        problem = await sent(api, "PUT", TRANSFERS, 409, json=FLAG | {"default": False})
        assert problem["code"] == "flag_conflict"

        async def known() -> bool:
            told = await sent(api, "POST", "/v1/flags/evaluate", json={})
            return [each["key"] for each in told["items"]] == ["points.transfers"]

        await eventually(known)
        told = await sent(api, "POST", "/v1/flags/evaluate", role=Role.OWNER)
        assert told["items"] == []
