"""Segments over HTTP: who may do what, what is refused, and what is served without the database."""

from pathlib import Path
from typing import Any

import pytest

from actors.auth.messages import Role
from runtime import host
from runtime.storage import DatabaseHandle
from tests.integration.gateway.helpers import (
    CUSTOMER,
    RIVAL,
    Api,
    eventually,
    new_key,
    outcome_of,
    running_tree,
)
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

RUNS, SEGMENTS, CONFIG = "/v1/rfm/runs", "/v1/rfm/segments", "/v1/rfm/config"
RFM = f"/v1/customers/{CUSTOMER}/rfm"
OWN = {
    "scoring": "threshold",
    "segments": [
        {"name": "recent", "recency": {"min": 4}},
        {"name": "rest"},
    ],
    "schedule": {"rhythm": "daily", "at": "04:30", "time_zone": "Europe/Zurich"},
}


async def ok(api: Api, method: str, path: str, json: Any = None, **options: Any) -> Any:
    answer = await api.ask(method, path, json=json, **options)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def refused(api: Api, method: str, path: str, **options: Any) -> tuple[int, str | None]:
    return outcome_of(await api.ask(method, path, **options))


async def run(api: Api, **body: Any) -> str:
    """The id of a run, once it is published."""
    begun = await ok(api, "POST", RUNS, body)
    assert begun["state"] == "queued"

    async def published() -> bool:
        now = await ok(api, "GET", f"{RUNS}/{begun['run_id']}")
        return bool(now["state"] == "published")

    await eventually(published)
    return str(begun["run_id"])


async def test_a_merchant_scores_looks_and_chooses_segments_of_its_own(tmp_path: Path) -> None:
    handle = DatabaseHandle(patient_pipeline())
    async with running_tree(tmp_path, handle=handle) as api:
        empty = await ok(api, "GET", SEGMENTS)
        assert (empty["run_id"], empty["as_of"], len(empty["segments"])) == (None, None, 11)
        assert await refused(api, "GET", RFM) == (404, "customer_not_scored")
        order = {
            "order_id": "o1",
            "customer_id": CUSTOMER,
            "ordered_at": "2026-01-01T00:00:00Z",
            "currency": "EUR",
            "total_minor": 2_500,
            "items": 1,
        }
        await ok(api, "POST", "/v1/orders", order)
        first = await run(api, as_of="2026-01-03T12:00:00Z")
        told = await ok(api, "GET", SEGMENTS)
        assert (told["run_id"], told["as_of"]) == (first, "2026-01-03T12:00:00Z")
        assert "degraded" not in told
        customer = await ok(api, "GET", RFM)
        assert (customer["recency_days"], customer["frequency"]) == (2, 1)
        assert (customer["monetary_minor"], customer["segment"]) == (2_500, "hibernating")
        assert customer["matched"]["rule"] == 10
        assert [each["run_id"] for each in customer["history"]] == [first]
        page = await ok(api, "GET", f"{SEGMENTS}/hibernating/customers?limit=1")
        assert [each["customer_id"] for each in page["items"]] == [CUSTOMER]

        seen = await ok(api, "POST", "/v1/rfm/preview", OWN)
        assert [(each["name"], each["customers"]) for each in seen["segments"]][:2] == [
            ("recent", 1),
            ("rest", 0),
        ]
        chosen = await ok(api, "PUT", CONFIG, OWN)
        assert chosen["version"] == 1
        assert await ok(api, "GET", CONFIG) == chosen
        second = await run(api, as_of="2026-01-03T12:00:00Z")
        customer = await ok(api, "GET", RFM)
        assert (customer["run_id"], customer["segment"]) == (second, "recent")
        listed = await ok(api, "GET", RUNS)
        assert [each["run_id"] for each in listed["items"]] == [second, first]
        pinned = await ok(api, "GET", f"{SEGMENTS}?run_id={first}")
        assert pinned["run_id"] == first

        handle.detach()
        old = await ok(api, "GET", SEGMENTS)
        assert (old["run_id"], old["degraded"]) == (first, True)
        assert old["as_of"] == "2026-01-03T12:00:00Z"
        assert (await api.ask("POST", RUNS, json={})).status_code == 503


async def test_what_is_refused_and_who_may_do_what(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        partial = {**OWN, "segments": OWN["segments"][:1]}  # type: ignore[index]
        assert await refused(api, "PUT", CONFIG, json=partial) == (422, "segments_not_total")
        odd = {"segments": [{"name": "a", "recency": {"min": 6}}]}
        assert await refused(api, "PUT", CONFIG, json=odd) == (422, "validation_failed")
        future = {"as_of": "2999-01-01T00:00:00Z"}
        assert await refused(api, "POST", RUNS, json=future) == (422, "invalid_time")
        nobody = await refused(api, "GET", f"{SEGMENTS}/nobody/customers")
        assert nobody == (404, "segment_unknown")
        assert await refused(api, "GET", f"{SEGMENTS}?run_id=rfm_1") == (404, "run_unknown")
        assert await refused(api, "POST", "/v1/rfm/preview", json=OWN) == (409, "no_segments_yet")

        begun = await run(api)
        rival = api.token(merchant_id=RIVAL)
        assert (await refused(api, "GET", f"{RUNS}/{begun}", token=rival))[0] == 404
        assert (await refused(api, "GET", RFM, token=rival))[0] == 404
        support = api.token(role=Role.SUPPORT)
        assert (await refused(api, "POST", RUNS, json={}, token=support))[0] == 403
        assert (await refused(api, "PUT", CONFIG, json=OWN, token=support))[0] == 403
        customer = api.token(role=Role.CUSTOMER, customer_id=CUSTOMER)
        assert (await refused(api, "GET", RFM, token=customer))[0] == 403

        key = {"Idempotency-Key": new_key()}
        once = await api.ask("POST", RUNS, json={}, headers=key)
        again = await api.ask("POST", RUNS, json={}, headers=key)
        assert once.json()["run_id"] == again.json()["run_id"]
        assert again.headers["idempotency-replayed"] == "true"
