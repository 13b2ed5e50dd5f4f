"""What browsers are told: who may read answers, and what must not be done with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from tests.integration.gateway.helpers import Api, outcome_of, running_stubs

pytestmark = pytest.mark.slow

SHOP = "https://shop.example"
EVIL = "https://evil.example"
EARN = "/v1/points/earn"
PREFLIGHT = {
    "Origin": SHOP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
}


@asynccontextmanager
async def serving(tmp_path: Path, **settings: Any) -> AsyncIterator[Api]:
    async with running_stubs(tmp_path, (), GatewaySettings(**settings)) as api:
        yield api


def sharing(headers: Any) -> set[str]:
    return {name for name in headers if name.startswith("access-control-")}


async def test_by_default_no_page_of_another_origin_may_use_the_api(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        asked = await api.client.options(EARN, headers=PREFLIGHT)
        assert outcome_of(asked) == (405, "method_not_allowed")
        answer = await api.ask("GET", "/v1/auth/me", headers={"Origin": SHOP})
        assert answer.status_code == 200
        assert not sharing(asked.headers) | sharing(answer.headers)


async def test_a_page_of_a_listed_origin_is_told_what_it_may_send(tmp_path: Path) -> None:
    async with serving(tmp_path, cors_origins=frozenset({SHOP})) as api:
        asked = await api.client.options(EARN, headers=PREFLIGHT)
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["access-control-allow-origin"] == SHOP
        assert asked.headers["access-control-allow-methods"] == "POST"
        allowed = asked.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)
        assert "access-control-allow-credentials" not in asked.headers
        assert asked.headers["vary"] == "origin"


async def test_a_page_of_a_listed_origin_reads_answers_and_errors(tmp_path: Path) -> None:
    async with serving(tmp_path, cors_origins=frozenset({SHOP})) as api:
        for path, status in (("/v1/auth/me", 200), ("/nothing", 404)):
            answer = await api.ask("GET", path, headers={"Origin": SHOP})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == SHOP
            assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin", [EVIL, "null", f"{SHOP}.evil.example", SHOP.upper(), f"{SHOP}:8443", ""]
)
async def test_any_other_origin_is_told_nothing(tmp_path: Path, origin: str) -> None:
    async with serving(tmp_path, cors_origins=frozenset({SHOP})) as api:
        asked = await api.client.options(EARN, headers={**PREFLIGHT, "Origin": origin})
        assert outcome_of(asked) == (403, "origin_not_allowed")
        answer = await api.ask("GET", "/v1/auth/me", headers={"Origin": origin})
        assert not sharing(asked.headers) | sharing(answer.headers)
        assert answer.headers["vary"] == "origin"


async def test_a_preflight_of_no_route_is_not_answered_as_one(tmp_path: Path) -> None:
    async with serving(tmp_path, cors_origins=frozenset({SHOP})) as api:
        asked = await api.client.options("/nothing", headers=PREFLIGHT)
        assert outcome_of(asked) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/auth/me", "/nothing", "/health/live", "/docs", "/"])
async def test_every_answer_forbids_what_browsers_might_do_with_it(
    tmp_path: Path, path: str
) -> None:
    async with serving(tmp_path) as api:
        headers = (await api.client.get(path)).headers
        assert headers.get_list("cache-control") == ["no-store"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        (policy,) = headers.get_list("content-security-policy")
        assert policy.startswith("default-src 'none';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "server" not in headers
        assert "strict-transport-security" not in headers


async def test_only_pages_may_use_a_style_and_only_their_own(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        page = (await api.client.get("/docs")).headers["content-security-policy"]
        data = (await api.client.get("/v1/openapi.json")).headers["content-security-policy"]
        assert "style-src 'sha256-" in page
        assert "style-src" not in data


async def test_browsers_are_told_to_come_by_tls_where_that_is_configured(tmp_path: Path) -> None:
    async with serving(tmp_path, hsts_max_age_s=31_536_000) as api:
        for path in ("/nothing", "/docs"):
            answer = await api.client.get(path)
            assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK"])
async def test_methods_that_echo_or_tunnel_are_off(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as api:
        answer = await api.client.request(method, EARN, headers={"X-Secret": "swordfish"})
        assert outcome_of(answer) == (405, "method_not_allowed")
        assert "swordfish" not in answer.text
