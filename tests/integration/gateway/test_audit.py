"""The audit log over HTTP, on both stores: complete, in order, and not to be changed."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors.admin_core.messages import AUDIT
from actors.auth.messages import Role
from runtime import host
from runtime.storage import DatabaseHandle, StorageError
from runtime.system_messages import Resume, Suspend
from tests.integration.gateway.helpers import (
    MERCHANT,
    PATIENCE_S,
    Api,
    eventually,
    outcome_of,
    running_tree,
)
from tests.integration.gateway.putting_back import REASON, lists_refused, wrong_outcomes
from tests.integration.gateway.test_dead_letters import BACK, SOME_TIME, bury, bury_three
from tests.integration.gateway.test_hostile_input import INVALID, Case, get
from tests.stores import patient_pipeline, unhurried

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

PATH = "/v1/admin/audit"


async def listed(api: Api, query: str = "") -> list[dict[str, Any]]:
    reply = await api.ask("GET", PATH + query, role=Role.PLATFORM)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return items


async def has(api: Api, entries: int, query: str = "") -> list[dict[str, Any]]:
    """The log once it has so many entries."""

    async def complete() -> bool:
        return len(await listed(api, query)) >= entries

    await eventually(complete)
    return await listed(api, query)


async def register(api: Api, merchant_id: str) -> int:
    body = {"merchant_id": merchant_id, "name": merchant_id, "currency": "EUR"}
    reply = await api.ask("POST", "/v1/admin/merchants", role=Role.PLATFORM, json=body)
    return reply.status_code


async def verified(api: Api) -> dict[str, Any]:
    reply = await api.ask("GET", f"{PATH}/verify", role=Role.PLATFORM)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_a_put_back_is_in_the_log_with_everything_about_it(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        await bury_three(api)
        headers = {"X-Request-Id": "req_of_mine"}
        for _ in range(2):
            await api.ask("POST", BACK, role=Role.PLATFORM, json=REASON, headers=headers)
        (entry,) = await has(api, 1)
        assert await verified(api) == {"clean": True, "chains": 1, "entries": 1, "broken": []}
    expected = {
        "merchant_id": MERCHANT,
        "sequence": 1,
        "subject": "tester",
        "role": "platform",
        "action": "dead_letter.put_back",
        "target": "job_a",
        "before": {"state": "dead", "attempts": 5, "queue": "nobody"},
        "after": {"state": "available", "attempts": 0, "queue": "nobody"},
        "reason": REASON["reason"],
    }
    assert {name: entry[name] for name in expected} == expected
    assert entry["trace_id"]
    assert len(entry["hash"]) == 64


async def register_at_last(api: Api, merchant_id: str) -> None:
    """As a client does that may be turned away: on a busy machine so many at once are too many."""
    with trio.fail_after(PATIENCE_S):
        while await register(api, merchant_id) == 503:  # noqa: ASYNC110 - the server says when
            await trio.sleep(0.1)


async def test_many_at_the_same_time_are_all_there_once_and_page_by_page(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        names = [f"shop-{number}" for number in range(30)]
        async with trio.open_nursery() as nursery:
            for name in names * 2:
                nursery.start_soon(register_at_last, api, name)
        await has(api, len(names))
        found: list[dict[str, Any]] = []
        query: str | None = "?limit=7"
        while query is not None:
            reply = (await api.ask("GET", PATH + query, role=Role.PLATFORM)).json()
            found += reply["items"]
            query = reply["next_cursor"] and f"?limit=7&cursor={reply['next_cursor']}"
        assert sorted(each["target"] for each in found) == sorted(names)
        moments = [each["happened_at"] for each in found]
        assert moments == sorted(moments, reverse=True)
        (mine,) = await listed(api, f"?merchant_id={names[3]}")
        assert mine["target"] == names[3]
        assert await listed(api, "?platform=true") == []
        assert (await verified(api))["chains"] == len(names)


async def test_what_did_not_happen_is_not_in_the_log(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        assert await register(api, MERCHANT) == 201
        nobody = await api.ask("POST", BACK.replace("_a", "_x"), role=Role.PLATFORM, json=REASON)
        assert nobody.status_code == 404
        assert await register(api, "new") == 201
        assert [each["target"] for each in await has(api, 1)] == ["new"]


async def test_a_log_that_is_not_written_holds_up_nobody(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        api.system.ref(AUDIT)._cell.signal(Suspend(10 * PATIENCE_S))
        for number in range(20):
            assert await register(api, f"shop-{number}") == 201
        assert await listed(api) == [], "nobody has waited for it"

        async def late() -> bool:
            text = (await api.client.get("/metrics")).text
            return "loyalnest_audit_outbox_lag_seconds 0.0" not in text

        await eventually(late)
        api.system.ref(AUDIT)._cell.signal(Resume())
        await has(api, 20)

        async def counted() -> bool:
            text = (await api.client.get("/metrics")).text
            return "loyalnest_audit_entries_total 20.0" in text

        await eventually(counted)
        assert (await verified(api))["clean"]


async def test_entries_survive_a_restart_and_the_chain_goes_on(
    tmp_path: Path, lasting_url: str
) -> None:
    for number in (1, 2, 3):
        async with running_tree(tmp_path, url=lasting_url) as api:
            await bury_and_put_back(api, f"job_{number}")
            await has(api, number, f"?merchant_id={MERCHANT}")
            found = await listed(api, f"?merchant_id={MERCHANT}")
            assert [each["sequence"] for each in found] == list(range(number, 0, -1))
            assert (await verified(api))["clean"]


async def bury_and_put_back(api: Api, job_id: str) -> None:
    await bury(api, job_id, MERCHANT, SOME_TIME)
    path = f"/v1/admin/dead-letters/{job_id}/put-back"
    reply = await api.ask("POST", path, role=Role.PLATFORM, json=REASON)
    assert reply.status_code == 200, reply.text


CHANGES = (
    "UPDATE audit_entries SET subject = 'nobody' WHERE merchant_id = $1",
    "DELETE FROM audit_entries WHERE merchant_id = $1",
)


async def test_the_application_cannot_change_the_log(tmp_path: Path, lasting_url: str) -> None:
    handle = DatabaseHandle(patient_pipeline())
    async with running_tree(tmp_path, url=lasting_url, handle=handle) as api:
        await register(api, "new")
        await has(api, 1)
        for change in CHANGES:
            with pytest.raises(StorageError, match=r"permission denied|never change"):
                await handle.execute(change, "new")
        assert (await verified(api))["clean"]


async def test_what_was_changed_behind_its_back_is_found(tmp_path: Path, lasting_url: str) -> None:
    """By somebody who may do everything, and takes the walls away first."""
    handle = DatabaseHandle(patient_pipeline())
    async with running_tree(tmp_path, url=lasting_url, handle=handle) as api:
        await register(api, "new")
        await has(api, 1)
        with unhurried():
            async with handle.as_owner() as owner:
                on_table = "" if lasting_url.startswith("sqlite") else " ON audit_entries"
                await owner.execute(f"DROP TRIGGER audit_entries_never_change{on_table}")
                await owner.execute(CHANGES[0], "new")
        found = await verified(api)
        assert found["clean"] is False
        assert [(each["merchant_id"], each["sequence"]) for each in found["broken"]] == [("new", 1)]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLATFORM])
async def test_the_log_is_for_the_platform_alone(tmp_path: Path, role: Role) -> None:
    async with running_tree(tmp_path) as api:
        for path in (PATH, f"{PATH}/verify"):
            reply = await api.ask("GET", path, token=api.token(role))
            assert outcome_of(reply) == (403, "role_not_allowed")
            assert (await api.client.get(path)).status_code == 401


HOSTILE = [
    *(case for case in lists_refused(PATH) if "parameter nobody knows" not in case.name),
    get("merchant with SQL", INVALID, f"{PATH}?merchant_id=a'%20OR%201=1", PATH),
    get("platform and a word", INVALID, f"{PATH}?platform=perhaps", PATH),
    Case(name="wrong method", expected=(405, "method_not_allowed"), method="DELETE",
         path=PATH, key=None),
]  # fmt: skip


async def test_hostile_input_is_refused(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        assert await wrong_outcomes(api, HOSTILE) == {}
