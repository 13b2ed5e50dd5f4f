"""What clients are told while the database is away: 202 for earnings, 503 for all else."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio

from actors.auth.messages import Role
from gateway.settings import GatewaySettings
from runtime import RestartChild, TerminateChild
from runtime.storage import (
    AnyEntry,
    Database,
    DatabaseHandle,
    StorageFull,
    StorageUnavailable,
    TakenOver,
)
from supervisors.application import DEFERRED
from tests.integration.gateway.helpers import (
    CUSTOMER,
    RIVAL,
    Api,
    eventually,
    new_key,
    outcome_of,
    patient_settings,
    problem_of,
    running_tree,
)
from tests.stores import patient_pipeline

pytestmark = pytest.mark.slow


@attrs.define(eq=False)
class Outage(DatabaseHandle):
    """A handle whose database can go away: reads and writes fail, or hang until it heals."""

    error: type[Exception] | None = None
    _healed: trio.Event | None = None

    def __attrs_pre_init__(self) -> None:
        super().__init__(patient_pipeline())

    def hang(self) -> None:
        self._healed = trio.Event()

    def heal(self) -> None:
        self.error = None
        if self._healed is not None:
            self._healed.set()
            self._healed = None

    def attach(self, database: Database) -> None:
        interrupted: Any = Interrupted(database, self)
        super().attach(interrupted)

    async def check(self) -> None:
        if self._healed is not None:
            await self._healed.wait()
            raise StorageUnavailable("the database did not answer (a test)")
        if self.error is not None:
            raise self.error("the database is away (a test)")


@attrs.frozen(eq=False)
class Interrupted:
    """Passes on to the store while that is there."""

    _database: Database
    _outage: Outage

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        await self._outage.check()
        return await self._database.fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Any:
        await self._outage.check()
        return await self._database.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        await self._outage.check()
        return await self._database.fetch_value(sql, *values)

    async def fetch_many(self, queries: Sequence[Any]) -> list[list[Any]]:
        await self._outage.check()
        return await self._database.fetch_many(queries)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        await self._outage.check()
        await self._database.append(entries, synchronous=synchronous)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@attrs.frozen
class Away:
    """A running application, and the switch of its database."""

    api: Api
    database: Outage

    async def earn(self, key: str | None = None, **fields: Any) -> httpx.Response:
        return await self.api.earn(key=key, **fields)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.api.ask("POST", path, json=body, key=new_key())

    async def batch(self, *items: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.api.ask("POST", "/v1/points/batch", json={"items": items})
        assert answer.status_code == 207, answer.text
        told: list[dict[str, Any]] = answer.json()["items"]
        return told

    async def status(self, url: str, **options: Any) -> httpx.Response:
        return await self.api.ask("GET", url, **options)

    async def ended(self, url: str) -> dict[str, Any]:
        """The deferral, once it has come to its end."""
        found: dict[str, Any] = {}

        async def done() -> bool:
            found.update((await self.status(url)).json())
            return bool(found["status"] != "queued")

        await eventually(done)
        return found


@asynccontextmanager
async def running(tmp_path: Path, settings: GatewaySettings | None = None) -> AsyncIterator[Away]:
    database = Outage()
    async with running_tree(tmp_path, settings, handle=database) as api:
        try:
            yield Away(api, database)
        finally:
            database.heal()


def earn_item(key: str, amount: int = 5, customer_id: str = CUSTOMER) -> dict[str, Any]:
    return {
        "kind": "earn",
        "idempotency_key": key,
        "customer_id": customer_id,
        "amount": amount,
        "reason": "x",
    }


async def test_an_earning_is_202_and_can_be_followed_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        away.database.error = StorageUnavailable
        answer = await away.earn("key-a")
        assert answer.status_code == 202, answer.text
        told = answer.json()
        url = answer.headers["location"]
        assert told == {"status": "queued", "deferral_id": told["deferral_id"], "status_url": url}
        assert url == f"/v1/points/deferrals/{told['deferral_id']}"
        waiting = (await away.status(url)).json()
        assert (waiting["status"], waiting["customer_id"]) == ("queued", CUSTOMER)
        assert "result" not in waiting
        again = await away.earn("key-a")
        assert (again.status_code, again.json(), again.headers["location"]) == (202, told, url)
        other = await away.earn("key-a", amount=7)
        assert outcome_of(other) == (422, "idempotency_key_reused")
        away.database.heal()
        ended = await away.ended(url)
        assert (ended["status"], ended["result"]["amount"]) == ("applied", 100)
        replay = await away.earn("key-a")
        assert (replay.status_code, replay.json()) == (200, ended["result"])
        assert replay.headers["idempotency-replayed"] == "true"
        assert await away.api.posted() == 100


async def test_what_was_applied_is_told_while_the_database_is_away_again(tmp_path: Path) -> None:
    """Putting it off once more would promise what is done, and be work for nothing."""
    async with running(tmp_path) as away:
        away.database.error = StorageUnavailable
        url = (await away.earn("key-a")).headers["location"]
        item = earn_item("item-1")
        (first,) = await away.batch(item)
        away.database.heal()
        ended = await away.ended(url)
        in_batch = await away.ended(first["deferred"]["status_url"])
        away.database.error = StorageUnavailable
        again = await away.earn("key-a")
        assert (again.status_code, again.json()) == (200, ended["result"])
        assert again.headers["idempotency-replayed"] == "true"
        other = await away.earn("key-a", amount=7)
        assert outcome_of(other) == (422, "idempotency_key_reused")
        (told,) = await away.batch(item)
        assert (told["status"], told["replayed"]) == (200, True)
        assert told["result"] == in_batch["result"]


async def test_nothing_but_earnings_is_put_off(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        earned = (await away.earn()).json()
        away.database.error = StorageUnavailable
        on_customer = {"customer_id": CUSTOMER, "amount": 1, "reason": "x"}
        expires_at = "2999-01-01T00:00:00Z"
        answers = [
            await away.post("/v1/points/redeem", **on_customer),
            await away.post("/v1/points/adjust", **on_customer),
            await away.post("/v1/points/reverse", transaction_id=earned["transaction_id"]),
            await away.post("/v1/points/holds", **on_customer, expires_at=expires_at),
            await away.post("/v1/points/holds/hold_1/capture"),
            await away.post(
                "/v1/orders",
                order_id="o-1",
                customer_id=CUSTOMER,
                ordered_at="2026-01-01T00:00:00Z",
                currency="EUR",
                total_minor=100,
            ),
        ]
        assert {outcome_of(answer) for answer in answers} == {(503, "storage_unavailable")}
        assert all(answer.headers["retry-after"] == "1" for answer in answers)
        assert metric(away.api, "points_deferred_total", outcome="queued") is None


def metric(api: Api, name: str, **labels: str) -> float | None:
    return api.system.metrics.registry.get_sample_value(f"loyalnest_{name}", labels)


@pytest.mark.parametrize(
    ("error", "code"), [(StorageFull, "storage_full"), (TakenOver, "taken_over")]
)
async def test_a_store_that_is_full_or_somebody_elses_is_not_away(
    tmp_path: Path, error: type[Exception], code: str
) -> None:
    async with running(tmp_path) as away:
        away.database.error = error
        assert outcome_of(await away.earn()) == (503, code)
        assert metric(away.api, "points_deferred_backlog") == 0


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> GatewaySettings:
    """Of the time that a request has the account gets little, and the disk so much that none stalls
    as long."""
    monkeypatch.setattr("gateway.deferring.PATIENCE", 0.01)
    return patient_settings()


async def test_a_store_that_does_not_answer_leaves_time_for_the_disk(
    tmp_path: Path, patience: GatewaySettings
) -> None:
    async with running(tmp_path, patience) as away:
        away.database.hang()
        began = trio.current_time()
        answer = await away.earn()
        assert answer.status_code == 202, answer.text
        assert trio.current_time() - began < patience.deadline_s
        away.database.heal()
        assert (await away.ended(answer.headers["location"]))["status"] == "applied"


async def test_an_earning_for_a_customer_nobody_knows_is_refused_later(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        away.database.error = StorageUnavailable
        answer = await away.earn(customer_id="nobody")
        assert answer.status_code == 202
        away.database.heal()
        ended = await away.ended(answer.headers["location"])
        assert ended["status"] == "refused"
        assert (ended["problem"]["status"], ended["problem"]["code"]) == (404, "customer_unknown")
        assert "result" not in ended


async def test_times_that_cannot_be_are_refused_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        away.database.error = StorageUnavailable
        answer = await away.earn(effective_at="2999-01-01T00:00:00Z")
        assert answer.status_code == 422


async def test_another_merchants_deferral_does_not_exist(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        away.database.error = StorageUnavailable
        url = (await away.earn()).headers["location"]
        rival = away.api.token(Role.OWNER, RIVAL)
        away.database.heal()
        for _ in range(2):
            assert outcome_of(await away.status(url, token=rival)) == (404, "not_found")
            assert (await away.ended(url))["status"] == "applied"
        customer = await away.status(url, role=Role.CUSTOMER)
        assert outcome_of(customer) == (403, "role_not_allowed")
        unknown = await away.status("/v1/points/deferrals/def_0")
        assert outcome_of(unknown) == (404, "not_found")


async def test_items_of_a_batch_are_put_off_like_single_earnings(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        redeem = earn_item("item-2") | {"kind": "redeem"}
        items = (earn_item("item-1"), redeem, earn_item("item-3", amount=7), {"kind": "earn"})
        away.database.error = StorageUnavailable
        single = await away.earn("item-3", amount=7, reason="x")
        assert single.status_code == 202
        first = await away.batch(*items)
        assert [item["status"] for item in first] == [202, 503, 202, 422]
        assert first[1]["problem"]["code"] == "storage_outcome_unknown"
        assert first[2]["deferred"] == single.json(), "a batch item is a retry of the single one"
        again = await away.batch(*items, earn_item("item-1", amount=6))
        assert [item["status"] for item in again] == [202, 503, 202, 422, 422]
        assert [item.get("deferred") for item in again[:3]] == [
            item.get("deferred") for item in first[:3]
        ]
        away.database.heal()
        for item in (first[0], first[2]):
            ended = await away.ended(item["deferred"]["status_url"])
            assert ended["status"] == "applied"
        last = await away.batch(*items[:3])
        assert [(item["status"], item.get("replayed", False)) for item in last] == [
            (200, True),
            (200, False),
            (200, True),
        ]
        assert await away.api.posted() == 5 + 7 - 5


async def test_a_batch_that_hangs_is_put_off_in_time(
    tmp_path: Path, patience: GatewaySettings
) -> None:
    async with running(tmp_path, patience) as away:
        away.database.hang()
        told = await away.batch(earn_item("item-1"), earn_item("item-2") | {"kind": "redeem"})
        assert [item["status"] for item in told] == [202, 503]


async def test_the_outcome_is_told_after_a_restart_from_the_database(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        away.database.error = StorageUnavailable
        url = (await away.earn()).headers["location"]
        away.database.heal()
        before = await away.ended(url)
        points = away.api.system.ref("domain.points")
        await points.ask(TerminateChild("deferrals"))
        assert (await away.status(url)).json() == before
        assert (await away.earn()).status_code == 200, "earning does not need them"
        away.database.error = StorageUnavailable
        assert outcome_of(await away.earn()) == (503, "storage_unavailable")
        assert outcome_of(await away.status(url)) == (503, "storage_unavailable")
        away.database.heal()
        await points.ask(RestartChild("deferrals"))
        assert (await away.status(url)).json() == before


async def test_a_folder_that_cannot_be_used_is_503_as_before(tmp_path: Path) -> None:
    (tmp_path / DEFERRED).write_text("a file in the way")
    async with running(tmp_path) as away:
        assert (await away.earn()).status_code == 200
        away.database.error = StorageUnavailable
        answer = await away.earn()
        problem = problem_of(answer)
        assert (problem["status"], problem["code"]) == (503, "deferrals_unavailable")
        assert answer.headers["retry-after"] == "1"


async def test_while_the_keeper_is_gone_earnings_wait(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        platform = away.api.system.ref("loyalnest")
        await platform.ask(TerminateChild("platform"))
        answer = await away.earn()
        assert answer.status_code == 202, answer.text
        assert (
            outcome_of(
                await away.post("/v1/points/redeem", customer_id=CUSTOMER, amount=1, reason="x")
            )[0]
            == 503
        )
        await platform.ask(RestartChild("platform"))
        assert (await away.ended(answer.headers["location"]))["status"] == "applied"


async def test_an_account_that_breaks_is_no_reason_to_put_an_earning_off(tmp_path: Path) -> None:
    async with running(tmp_path) as away:
        await away.api.system.ref("domain.points").ask(TerminateChild("accounts"))
        assert outcome_of(await away.earn()) == (503, "unavailable")
