"""Probes and metrics."""

from pathlib import Path
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from actors.auth.messages import Role
from gateway.messages import LISTENER, GetAddress
from gateway.settings import GatewaySettings
from runtime import RestartChild, TerminateChild, host
from runtime.storage import DatabaseHandle
from supervisors.application import DOMAINS
from supervisors.health import HealthBoard
from tests.integration.gateway.helpers import (
    CUSTOMER,
    Api,
    eventually,
    outcome_of,
    running_stubs,
    running_tree,
)
from tests.stores import patient_pipeline

pytestmark = pytest.mark.slow


async def test_everybody_gets_a_word_and_nothing_else(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        for path in ("/health/live", "/health/ready", "/health"):
            answer = await api.client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        owner = await api.ask("GET", "/health", role=Role.OWNER)
        assert (owner.status_code, owner.json()) == (200, {"status": "ok"})


async def test_operators_get_every_part_of_the_tree(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await api.earn(1)
        health = (await api.ask("GET", "/health", role=Role.PLATFORM)).json()
        assert health["version"] == GatewaySettings().version
        (database,) = health["dependencies"]
        assert (database["name"], database["required"]) == ("database", True)
        assert (database["condition"], database["last_error"]) == ("up", None)
        assert database["since"] is not None
        assert {part["condition"] for part in health["domains"]} == {"up"}
        assert {part["name"] for part in health["domains"]} >= {"auth", "core", "points"}
        tree = {part["id"]: part for part in health["tree"]}
        assert list(tree) == ["platform", "domains", "edge"]
        (journal,) = [part for part in tree["platform"]["children"] if part["id"] == "journal"]
        assert (journal["kind"], journal["state"], journal["restarts"]) == ("Journal", "running", 0)
        assert (journal["mailbox_depth"] >= 0, journal["children"]) == (True, None)
        assert journal["handled"] > 0
        points = next(part for part in tree["domains"]["children"] if part["id"] == "points")
        assert "accounts" in {part["id"] for part in points["children"]}


async def test_a_bad_token_is_told_so_and_learns_nothing(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        answer = await api.ask("GET", "/health", token="forged")
        assert outcome_of(answer) == (401, "invalid_token")


async def test_ready_goes_and_comes_back_with_a_required_domain(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:

        async def is_ready() -> bool:
            return (await api.client.get("/health/ready")).status_code == 200

        async def is_unready() -> bool:
            return not await is_ready()

        domains = api.system.ref(DOMAINS)
        await domains.ask(TerminateChild("points"))
        await eventually(is_unready)
        await domains.ask(RestartChild("points"))
        await eventually(is_ready)


async def test_without_a_database_it_lives_but_is_not_ready(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        assert (await api.client.get("/health/live")).status_code == 200
        ready = await api.client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "unready"})


@pytest.mark.trio(run=host.run)
async def test_with_everything_dead_or_hanging_it_lives_and_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for a check that hangs would wait for a second."""
    monkeypatch.setattr("supervisors.health.CHECK_TIMEOUT_S", 1.0)

    class Hanging(DatabaseHandle):
        async def fetch_value(self, sql: str, *values: Any) -> Any:
            await trio.sleep_forever()

    url = "redis://127.0.0.1:1/0"
    async with running_tree(tmp_path, handle=Hanging(patient_pipeline()), redis_url=url) as api:
        await api.system.ref(DOMAINS).ask(TerminateChild("points"))
        took_s = []
        for _ in range(15):
            began = trio.current_time()
            live = await api.client.get("/health/live")
            ready = await api.client.get("/health/ready")
            took_s.append((trio.current_time() - began) / 2)
            assert (live.status_code, live.json()) == (200, {"status": "ok"})
            assert (ready.status_code, ready.json()) == (503, {"status": "unready"})
        assert sorted(took_s)[len(took_s) // 2] < 0.4
        health = (await api.ask("GET", "/health", role=Role.PLATFORM)).json()
        conditions = {part["name"]: part["condition"] for part in health["dependencies"]}
        assert conditions == {"database": "down", "redis": "down"}


async def test_a_process_that_stops_is_unready_at_once(tmp_path: Path) -> None:
    board = HealthBoard()
    async with running_tree(tmp_path, board=board) as api:
        board.stopping = True
        ready = await api.client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "stopping"})
        assert (await api.client.get("/health/live")).status_code == 200
        assert (await api.earn(1)).status_code == 200


async def test_a_hundred_probes_a_second_cause_no_check_of_their_own(tmp_path: Path) -> None:
    asked = 0

    class Counting(DatabaseHandle):
        async def fetch_value(self, sql: str, *values: Any) -> Any:
            nonlocal asked
            asked += sql == "SELECT 1"
            return await super().fetch_value(sql, *values)

    async with running_tree(tmp_path, handle=Counting(patient_pipeline())) as api:
        asked = 0
        began = trio.current_time()
        for _ in range(200):
            assert (await api.client.get("/health/ready")).status_code == 200
        assert asked <= trio.current_time() - began + 1


async def samples(api: Api, name: str) -> dict[tuple[str, ...], float]:
    text = (await api.client.get("/metrics")).text
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


async def test_requests_are_counted_by_route_and_never_by_what_clients_make_up(
    tmp_path: Path,
) -> None:
    async with running_tree(tmp_path) as api:
        for _ in range(3):
            await api.earn(1)
        await api.earn(-1)
        await api.ask("GET", f"/v1/customers/{CUSTOMER}/balance")
        await api.ask("GET", "/v1/nobody-knows-me")
        await api.ask("BREW", "/v1/merchant")
        counted = await samples(api, "loyalnest_http_requests_total")
        assert counted[("200", "points", "POST", "/v1/points/earn")] == 3
        assert counted[("422", "points", "POST", "/v1/points/earn")] == 1
        assert counted[("200", "points", "GET", "/v1/customers/{customer_id}/balance")] == 1
        assert counted[("404", "unmatched", "GET", "unmatched")] == 1
        assert counted[("405", "unmatched", "OTHER", "unmatched")] == 1
        assert CUSTOMER not in str(counted)
        timed = await samples(api, "loyalnest_http_request_duration_seconds_count")
        assert timed[("points", "POST", "/v1/points/earn")] == 4


async def test_a_listener_that_restarts_counts_on(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        await api.client.get("/health/live")
        root = api.system.ref("root")
        await root.ask(TerminateChild("listener"))
        await root.ask(RestartChild("listener"))
        address = await api.system.ref(LISTENER).ask(GetAddress())
        for _ in range(2):
            await api.client.get(f"{address.url}/health/live")
        text = (await api.client.get(f"{address.url}/metrics")).text
        assert (
            'loyalnest_http_requests_total{code="200",domain="operation",method="GET",'
            'route="/health/live"} 3.0' in text
        )
