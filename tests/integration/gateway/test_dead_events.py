"""Dead events over HTTP: for the platform alone, page by page, and put back once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.auth.messages import Role
from actors.core.messages import ORDER_RECORDED
from actors.points.messages import INTAKE
from runtime import ChildSpec, host
from runtime.journal import JOURNAL, Append, Journal
from runtime.outbox import RELAY, OutboxEvent
from runtime.outbox_relay import OutboxRelay
from runtime.ownership import Ownership
from runtime.policies import RetrySpec
from runtime.storage import RUNTIME_MIGRATIONS, DatabaseHandle, Statement, Write
from runtime.storage.late_deliveries import RECORD, late_write, record_write
from supervisors.platform import DATABASE, DatabaseKeeper, DatabaseSpec
from tests.integration.gateway.helpers import (
    MERCHANT,
    RIVAL,
    Api,
    eventually,
    outcome_of,
    running_stubs,
    running_tree,
)
from tests.integration.gateway.putting_back import (
    REASON,
    back,
    lists_refused,
    put_backs_refused,
    wrong_outcomes,
)
from tests.integration.gateway.test_hostile_input import NOT_FOUND, Case, get
from tests.stores import patient_pipeline
from tests.unit.runtime.relaying import Consumer, event, spec

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

PATH = "/v1/admin/dead-events"
ONE = f"{PATH}/{{merchant_id}}/{{consumer}}/{{event_id}}"
PUT_BACK = f"{ONE}/put-back"
NOBODY = "nobody"
"""A consumer without subscriptions: what is put back for it waits."""

FIRST = f"{PATH}/{MERCHANT}/{NOBODY}/ev_a"
BACK = f"{FIRST}/put-back"
SOME_TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UNREADABLE = {"order_id": 7}
ERROR = "ValidationError: Expected `str`, got `int`"

HURRY = Statement(
    "test.hurry",
    "UPDATE late_deliveries SET attempts = 4"
    " WHERE merchant_id = $1 AND event_id = $2 AND attempts > 0 AND dead_at IS NULL",
    RECORD.rank + 1,
)


async def write(api: Api, *writes: Write, publishes: bool = False) -> None:
    assert await api.system.ref(JOURNAL).ask(Append(writes, publishes)) is None


async def bury(api: Api, event_id: str, merchant_id: str, consumer: str = INTAKE) -> None:
    """An event as it stands in the table after its last attempt."""
    dead = OutboxEvent(merchant_id, event_id, ORDER_RECORDED, "bob", UNREADABLE, SOME_TIME, TRACE)
    died_at = SOME_TIME + timedelta(seconds=15)
    history = [{"at": died_at.isoformat(), "what": "failed", "error": ERROR}]
    await write(
        api,
        late_write(dead, consumer, 4, []),
        record_write(dead, consumer, 5, history, died_at),
    )


async def bury_three(api: Api) -> None:
    """Out of order, and one event dead for two consumers."""
    await bury(api, "ev_b", RIVAL)
    await bury(api, "ev_a", MERCHANT)
    await bury(api, "ev_a", MERCHANT, NOBODY)


async def listed(api: Api, query: str = "") -> dict[str, Any]:
    reply = await api.ask("GET", PATH + query, role=Role.PLATFORM)
    assert reply.status_code == 200, reply.text
    page: dict[str, Any] = reply.json()
    return page


async def read(api: Api, path: str) -> dict[str, Any]:
    reply = await api.ask("GET", path, role=Role.PLATFORM)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def put_back(api: Api, path: str, reason: str) -> dict[str, Any]:
    reply = await api.ask("POST", path, role=Role.PLATFORM, json={"reason": reason})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


@asynccontextmanager
async def running_relay(tmp_path: Path, url: str, consumer: Consumer) -> AsyncIterator[Api]:
    """The gateway over a relay, and a consumer that fails as it is told to."""
    handle, ownership = DatabaseHandle(patient_pipeline(RetrySpec())), Ownership()
    keeper = DatabaseKeeper(DatabaseSpec(url), handle, (RUNTIME_MIGRATIONS,), ownership)
    children = (
        ChildSpec("database", lambda: keeper, name=DATABASE),
        ChildSpec("journal", lambda: Journal(handle, ownership), name=JOURNAL),
        spec(consumer),
        ChildSpec("relay", lambda: OutboxRelay(handle, {"topic": [consumer.name]}), name=RELAY),
    )
    async with running_stubs(tmp_path, children) as api:
        yield api


async def death(api: Api, path: str) -> dict[str, Any]:
    """The event once it is dead. Of the attempts between its first and its last, those are left
    out that have not been made yet when somebody looks."""

    async def dead() -> bool:
        await write(api, Write(HURRY, ("m", "e00001")))
        return (await api.ask("GET", path, role=Role.PLATFORM)).status_code == 200

    await eventually(dead)
    return await read(api, path)


async def test_an_event_that_its_consumer_fails_on_is_put_back_until_it_is_taken(
    tmp_path: Path, lasting_url: str
) -> None:
    trouble = [ValueError("no such voucher")]
    shop = Consumer("shop", lambda _: trouble[0] if trouble else None)
    path = f"{PATH}/m/shop/e00001"
    async with running_relay(tmp_path, lasting_url, shop) as api:
        await write(api, event(1), publishes=True)
        dead = await death(api, path)
        assert (dead["attempts"], dead["payload"], dead["history"]) == (5, {"number": 1}, [])
        assert len(dead["errors"]) >= 2
        assert {error["error"] for error in dead["errors"]} == {"ValueError: no such voucher"}

        waiting = await put_back(api, f"{path}/put-back", "the voucher is there")
        assert (waiting["attempts"], waiting["errors"]) == (0, dead["errors"])
        dead = await death(api, path)
        before = len(waiting["errors"])
        assert dead["errors"][:before] == waiting["errors"]
        assert len(dead["errors"]) >= before + 2
        (note,) = dead["history"]
        assert note == waiting["history"][0]
        assert (note["action"], note["by"], note["reason"]) == (
            "put_back", "tester", "the voucher is there",
        )  # fmt: skip

        trouble.clear()
        waiting = await put_back(api, f"{path}/put-back", "now it is")
        assert [note["reason"] for note in waiting["history"]] == [
            "the voucher is there", "now it is",
        ]  # fmt: skip

        async def taken() -> bool:
            return shop.got == [1]

        await eventually(taken)
        assert await listed(api) == {"items": [], "next_cursor": None}
        again = await api.ask("POST", f"{path}/put-back", role=Role.PLATFORM, json=REASON)
        assert outcome_of(again) == (404, "not_found")


async def test_dead_events_of_all_merchants_are_listed_page_by_page(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        assert await listed(api) == {"items": [], "next_cursor": None}
        await bury_three(api)
        pages = [await listed(api, "?limit=1")]
        while cursor := pages[-1]["next_cursor"]:
            pages.append(await listed(api, f"?limit=1&cursor={cursor}"))
        events = [each for page in pages for each in page["items"]]
        assert [(each["event_id"], each["consumer"], each["merchant_id"]) for each in events] == [
            ("ev_a", NOBODY, MERCHANT), ("ev_a", INTAKE, MERCHANT), ("ev_b", INTAKE, RIVAL),
        ]  # fmt: skip
        assert events == (await listed(api))["items"]
        assert events[0] == {
            "merchant_id": MERCHANT,
            "consumer": NOBODY,
            "event_id": "ev_a",
            "topic": ORDER_RECORDED,
            "key": "bob",
            "attempts": 5,
            "created_at": "2026-03-01T12:00:00Z",
            "died_at": "2026-03-01T12:00:15Z",
            "trace_id": TRACE,
            "error": ERROR,
        }


async def test_one_dead_event_has_its_payload_and_its_errors(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        dead = await read(api, FIRST)
        assert (dead["payload"], dead["attempts"]) == (UNREADABLE, 5)
        assert dead["errors"] == [{"at": "2026-03-01T12:00:15Z", "error": ERROR}]
        assert dead["history"] == []


async def test_putting_one_event_back_at_the_same_time_happens_once(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        await bury_three(api)
        statuses: list[int] = []

        async def ask_for_it() -> None:
            reply = await api.ask("POST", BACK, role=Role.PLATFORM, json=REASON)
            statuses.append(reply.status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(ask_for_it)
        assert sorted(statuses) == [200] + [404] * 7
        left = [(each["event_id"], each["consumer"]) for each in (await listed(api))["items"]]
        assert left == [("ev_a", INTAKE), ("ev_b", INTAKE)]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLATFORM])
async def test_dead_events_are_for_the_platform_alone(tmp_path: Path, role: Role) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        token = api.token(role)
        for method, path, body in (
            ("GET", PATH, None),
            ("GET", FIRST, None),
            ("GET", f"{PATH}/{MERCHANT}/{NOBODY}/nothing", None),
            ("POST", BACK, REASON),
        ):
            reply = await api.ask(method, path, token=token, json=body)
            assert outcome_of(reply) == (403, "role_not_allowed")
            assert (await api.client.request(method, path, json=body)).status_code == 401
        assert len((await listed(api))["items"]) == 3


async def test_without_the_relay_the_routes_say_so(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        for method, path, body in (
            ("GET", PATH, None),
            ("GET", FIRST, None),
            ("POST", BACK, REASON),
        ):
            reply = await api.ask(method, path, role=Role.PLATFORM, json=body)
            assert outcome_of(reply) == (503, "unavailable")
            assert reply.headers["retry-after"]


HOSTILE = [
    *lists_refused(PATH),
    *put_backs_refused(BACK, PUT_BACK),
    back("event of nobody", NOT_FOUND, f"{PATH}/{MERCHANT}/{NOBODY}/nothing/put-back", PUT_BACK),
    back("event of another merchant", NOT_FOUND,
         f"{PATH}/{RIVAL}/{NOBODY}/ev_a/put-back", PUT_BACK),
    back("another consumer", NOT_FOUND,
         f"{PATH}/{MERCHANT}/platform.relay/ev_a/put-back", PUT_BACK),
    back("event with a path", NOT_FOUND,
         f"{PATH}/{MERCHANT}/{NOBODY}/%2e%2e%2fev_a/put-back", PUT_BACK),
    back("event with NUL", NOT_FOUND, f"{FIRST}%00/put-back", PUT_BACK),
    back("merchant with NUL", NOT_FOUND, f"{PATH}/{MERCHANT}%00/{NOBODY}/ev_a/put-back", PUT_BACK),
    back("event with SQL", NOT_FOUND, f"{FIRST}'%20OR%20'1'='1/put-back", PUT_BACK),
    Case(name="wrong method", expected=(405, "method_not_allowed"), method="DELETE", path=FIRST,
         key=None),
    get("consumer left out", NOT_FOUND, f"{PATH}/{MERCHANT}/ev_a", ONE),
    get("merchant alone", NOT_FOUND, f"{PATH}/{MERCHANT}", ONE),
    get("event of nobody, read", NOT_FOUND, f"{PATH}/{MERCHANT}/{NOBODY}/nothing", ONE),
    get("event not UTF-8", NOT_FOUND, f"{PATH}/{MERCHANT}/{NOBODY}/%ff", ONE),
    get("consumer with a percent sign", NOT_FOUND, f"{PATH}/{MERCHANT}/%25/ev_a", ONE),
]  # fmt: skip


async def test_hostile_input_is_refused_and_puts_nothing_back(
    tmp_path: Path, lasting_url: str
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        await bury_three(api)
        before = await listed(api)
        assert await wrong_outcomes(api, HOSTILE) == {}
        assert await listed(api) == before
