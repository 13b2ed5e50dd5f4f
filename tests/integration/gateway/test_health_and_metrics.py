"""Probes and metrics."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.messages import LISTENER, GetAddress
from runtime import RestartChild, TerminateChild
from supervisors.application import DOMAINS
from supervisors.platform import DATABASE
from tests.integration.gateway.helpers import CUSTOMER, Api, running_stubs, running_tree

pytestmark = pytest.mark.slow


async def test_all_is_well(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        live = await api.client.get("/health/live")
        ready = await api.client.get("/health/ready")
        summary = (await api.client.get("/health")).json()
        assert (live.status_code, ready.status_code) == (200, 200)
        assert summary["status"] == "ok"
        assert summary["database"] == "up"
        assert set(summary["domains"]) >= {"auth", "core", "products", "points"}
        assert set(summary["domains"].values()) == {"up"}


async def test_ready_comes_back_with_the_domain(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        domains = api.system.ref(DOMAINS)
        await domains.ask(TerminateChild("products"))
        assert (await api.client.get("/health/ready")).status_code == 503
        await domains.ask(RestartChild("products"))
        assert (await api.client.get("/health/ready")).status_code == 200


async def test_without_a_database_it_lives_but_is_not_ready(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        assert (await api.client.get("/health/live")).status_code == 200
        ready = await api.client.get("/health/ready")
        assert (ready.status_code, ready.json()["database"]) == (503, "down")
        assert DATABASE not in ready.text


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
        assert timed[("/v1/points/earn",)] == 4


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
