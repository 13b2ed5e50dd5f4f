"""Events over HTTP, on both databases: taken at once, stored once, read back, and all counted."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.core.messages import CUSTOMERS, EraseCustomer, MergeCustomers
from actors.event_tracking.messages import MAX_BATCH_BYTES
from actors.event_tracking.queries import (
    DELETE_OLD_EVENTS,
    DELETE_OLD_HOURS,
    PRUNE_SOURCES,
    SELECT_MERCHANTS,
)
from runtime import host
from runtime.storage import DatabaseHandle
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    OTHER_CUSTOMER,
    RIVAL,
    Api,
    eventually,
    new_key,
    running_tree,
)
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

OCCURRED = "2026-05-01T12:00:00Z"


def event(**fields: Any) -> dict[str, Any]:
    return {"message_id": new_key(), "type": "page.viewed", "occurred_at": OCCURRED} | fields


def files_with(directory: Path, text: bytes) -> list[Path]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if text in path.read_bytes()]


async def settled(api: Api, **expected: int) -> dict[str, Any]:
    """The totals once nothing is buffered any more; at every look they add up."""
    totals: dict[str, Any] = {}

    async def nothing_buffered() -> bool:
        totals.update((await api.ask("GET", "/v1/events/totals")).json())
        parts = ("stored", "deduplicated", "dropped", "buffered")
        assert totals["accepted"] == sum(totals[part] for part in parts)
        return not totals["buffered"]

    await eventually(nothing_buffered)
    assert {name: totals[name] for name in expected} == expected
    return totals


async def test_what_is_taken_is_stored_once_and_read_back(lasting_url: str, tmp_path: Path) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        first = event(customer_id=CUSTOMER, properties={"sku": "ROSES-12", "list": [1, 2.5, None]})
        assert (await api.ask("POST", "/v1/events", json=first)).json() == {
            "accepted": 1,
            "dropped": 0,
        }
        others = [event(occurred_at=f"2026-05-01T1{hour}:30:00+02:00") for hour in range(5)]
        answer = await api.ask("POST", "/v1/events/batch", json={"events": [first, *others]})
        assert answer.status_code == 202
        assert answer.json()["accepted"] == 6
        await settled(api, accepted=7, stored=6, deduplicated=1, conflicts=0, dropped=0)
        changed = first | {"properties": {"sku": "TULIP-6"}}
        await api.ask("POST", "/v1/events", json=changed)
        await settled(api, accepted=8, stored=6, deduplicated=2, conflicts=1)

        found = (await api.ask("GET", f"/v1/events?customer_id={CUSTOMER}")).json()["items"]
        assert [each["properties"] for each in found] == [first["properties"]]
        shown = []
        path = "/v1/events?type=page.viewed&from=2026-05-01T09:00:00Z&to=2026-05-01T12:00:00Z"
        cursor: str | None = ""
        while cursor is not None:
            page = (await api.ask("GET", f"{path}&limit=2{cursor}")).json()
            shown += [each["occurred_at"] for each in page["items"]]
            cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        assert shown == [f"2026-05-01T{hour:02}:30:00Z" for hour in (9, 10, 11)]
        counts = (await api.ask("GET", "/v1/events/counts?type=page.viewed")).json()["items"]
        assert [each["events"] for each in counts] == [1, 1, 1, 1, 2]
        assert counts[-1] == {"hour": "2026-05-01T12:00:00Z", "type": "page.viewed", "events": 2}


async def test_nobody_sees_the_events_of_another_merchant(lasting_url: str, tmp_path: Path) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        mine = event(message_id="the-same", type="mine")
        rival = api.token(merchant_id=RIVAL)
        await api.ask("POST", "/v1/events", json=mine)
        await api.ask("POST", "/v1/events", json=mine | {"type": "theirs"}, token=rival)
        await settled(api, accepted=1, stored=1, deduplicated=0)

        async def types(token: str | None) -> list[str]:
            answer = await api.ask("GET", "/v1/events", token=token)
            return [each["type"] for each in answer.json()["items"]]

        async def both() -> bool:
            return bool(await types(None) and await types(rival))

        await eventually(both)
        assert (await types(None), await types(rival)) == (["mine"], ["theirs"])


async def test_personal_data_never_gets_as_far_as_the_disk(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        properties = {
            "Email": "ada@example.com",
            "note": "call +41 79 123 45 67 or write to ada@example.com",
            "ada@example.com": {"cards": ["4111 1111 1111 1111", "sku 12"]},
            "sku": "ROSES-12",
        }
        await api.ask("POST", "/v1/events", json=event(properties=properties))
        await settled(api, stored=1)
        (found,) = (await api.ask("GET", "/v1/events")).json()["items"]
    assert found["properties"] == {
        "Email": "***",
        "note": "call ***phone*** or write to ***e-mail***",
        "***e-mail***": {"cards": ["***card***", "sku 12"]},
        "sku": "ROSES-12",
    }
    assert not await trio.to_thread.run_sync(files_with, tmp_path, b"ada@example")


async def test_who_is_erased_or_merged_is_so_in_events_too(
    lasting_url: str, tmp_path: Path
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        mine = [event(customer_id=each, properties={"a": 1}) for each in (CUSTOMER, OTHER_CUSTOMER)]
        await api.ask("POST", "/v1/events/batch", json={"events": mine})
        await settled(api, stored=2)
        customers = api.system.ref(CUSTOMERS)
        await customers.ask(MergeCustomers(MERCHANT, OTHER_CUSTOMER, CUSTOMER))

        async def all_of(customer_id: str | None, number: int) -> bool:
            shown = (await api.ask("GET", "/v1/events")).json()["items"]
            return [each["customer_id"] for each in shown] == [customer_id] * number

        await eventually(lambda: all_of(CUSTOMER, 2))
        await api.ask("POST", "/v1/events", json=event(customer_id=OTHER_CUSTOMER))
        await settled(api, stored=3)
        await eventually(lambda: all_of(CUSTOMER, 3))
        await customers.ask(EraseCustomer(MERCHANT, CUSTOMER))
        await eventually(lambda: all_of(None, 3))
        await api.ask("POST", "/v1/events", json=event(customer_id=CUSTOMER, properties={"a": 1}))
        await settled(api, stored=4)
        shown = (await api.ask("GET", "/v1/events")).json()["items"]
        assert {(each["customer_id"], str(each["properties"])) for each in shown} == {(None, "{}")}


async def test_what_is_old_is_deleted_on_either_database(lasting_url: str, tmp_path: Path) -> None:
    handle = DatabaseHandle(patient_pipeline())
    async with running_tree(tmp_path, url=lasting_url, handle=handle) as api:
        await api.ask("POST", "/v1/events/batch", json={"events": [event() for _ in range(5)]})
        await settled(api, stored=5)
        now = api.system.clock.now()
        assert [row[0] for row in await handle.fetch(SELECT_MERCHANTS, "", 10)] == [MERCHANT]
        assert not await handle.execute(DELETE_OLD_EVENTS, MERCHANT, now - timedelta(hours=1), 3)
        later = now + timedelta(hours=1)
        assert len(await handle.execute(DELETE_OLD_EVENTS, MERCHANT, later, 3)) == 3
        assert len(await handle.execute(DELETE_OLD_EVENTS, MERCHANT, later, 3)) == 2
        await handle.execute(DELETE_OLD_HOURS, MERCHANT, later)
        await handle.execute(PRUNE_SOURCES, later)
        assert (await api.ask("GET", "/v1/events/counts")).json()["items"] == []
        await settled(api, accepted=5, stored=5)


REFUSED: tuple[tuple[str, Any, int], ...] = (
    ("/v1/events", event(merchant_id="rival"), 422),
    ("/v1/events", event(message_id=""), 422),
    ("/v1/events", event(occurred_at="yesterday"), 422),
    ("/v1/events", event(properties=["no object"]), 422),
    ("/v1/events", event(properties={"text": "x" * 40_000}), 413),
    ("/v1/events", event(occurred_at="0001-01-01T00:00:00+10:00"), 422),
    ("/v1/events/batch", {"events": [event(properties={"text": "x" * 40_000})]}, 422),
    ("/v1/events/batch", {"events": []}, 422),
    ("/v1/events/batch", {"events": [event(), event(type=7)]}, 422),
)


async def test_what_is_no_event_is_refused_and_nothing_of_its_batch_is_taken(
    tmp_path: Path,
) -> None:
    async with running_tree(tmp_path) as api:
        for path, body, status in REFUSED:
            answer = await api.ask("POST", path, json=body)
            assert answer.status_code == status, answer.text
        deep: Any = {}
        for _ in range(12):
            deep = {"in": deep}
        answer = await api.ask("POST", "/v1/events", json=event(properties=deep))
        assert answer.status_code == 422
        head = (
            "POST /v1/events/batch HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {api.token()}\r\nContent-Length: {MAX_BATCH_BYTES + 1}\r\n\r\n"
        )
        assert (await api.raw(head.encode())).startswith(b"HTTP/1.1 413 ")
        await settled(api, accepted=0)
