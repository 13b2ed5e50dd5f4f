"""Rate limits of the gateway: who is counted as whom, and what is told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio
from structlog.testing import capture_logs

from actors.auth.messages import Role
from gateway.addresses import proxies
from gateway.rate_limits import RateLimitSettings
from gateway.settings import GatewaySettings
from runtime import host
from runtime.cache import open_cache
from supervisors.application import Outside
from tests.integration.gateway.helpers import (
    MERCHANT,
    PATIENCE_S,
    RIVAL,
    Api,
    outcome_of,
    patient_settings,
    problem_of,
    running_stubs,
    running_tree,
)
from tests.servers import RedisServer
from tests.stores import patient_redis

pytestmark = pytest.mark.slow

ME = "/v1/auth/me"
MERCHANT_PATH = "/v1/merchant"
START_S = 1_000.0
LIMITED = (429, "rate_limited")
LOOPBACK_PROXY = proxies(["127.0.0.0/8"])


limits_without_time = pytest.mark.usefixtures("_limits_without_time")


@pytest.fixture
def _limits_without_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used up stays so, however long the requests take."""
    for module in ("runtime.policies.limiters", "runtime.cache.handle"):
        monkeypatch.setattr(f"{module}.monotonic", lambda: START_S)


def limited(**limits: Any) -> GatewaySettings:
    return patient_settings(rate_limits=RateLimitSettings(**limits))


async def statuses(api: Api, paths: Sequence[str], **options: Any) -> list[int]:
    return [(await api.ask("GET", path, **options)).status_code for path in paths]


@asynccontextmanager
async def serving(tmp_path: Path, **limits: Any) -> AsyncIterator[Api]:
    async with running_stubs(tmp_path, (), limited(**limits)) as api:
        yield api


@limits_without_time
async def test_the_eleventh_on_a_route_is_429_and_the_hundred_and_first_in_all(
    tmp_path: Path,
) -> None:
    routes = {f"GET {ME}": 10}
    async with serving(tmp_path, merchant_per_minute=100, routes=routes) as api:
        token = api.token()
        assert await statuses(api, [ME] * 11, token=token) == [200] * 10 + [429]
        mix = await statuses(api, ["/v1/points/verify", MERCHANT_PATH] * 60, token=token)
        assert [status == 429 for status in mix] == [False] * 90 + [True] * 30


@limits_without_time
async def test_nobody_uses_up_what_others_need_for_their_own_account(tmp_path: Path) -> None:
    async with serving(tmp_path, routes={f"GET {ME}": 3}) as api:
        for customer in ("cust-1", "cust-2"):
            token = api.token(Role.CUSTOMER, customer_id=customer)
            assert await statuses(api, [ME] * 4, token=token) == [200] * 3 + [429]


async def test_retry_after_is_true(tmp_path: Path) -> None:
    async with serving(tmp_path, merchant_per_minute=60) as api:
        token = api.token()
        for _ in range(500):
            refused = await api.ask("GET", ME, token=token)
            if refused.status_code != 200:
                break
        assert outcome_of(refused) == LIMITED
        wait_s = int(refused.headers["retry-after"])
        assert wait_s == 1
        await trio.sleep(wait_s)
        assert (await api.ask("GET", ME, token=token)).status_code == 200


@limits_without_time
async def test_what_is_left_is_told_when_it_is_little(tmp_path: Path) -> None:
    async with serving(tmp_path, merchant_per_minute=20) as api:
        token = api.token()
        answers = [await api.ask("GET", ME, token=token) for _ in range(21)]
        told = [answer.headers.get("ratelimit") for answer in answers]
        assert told[:18] == [None] * 18
        assert told[18:] == ['"merchant";r=1;t=3', '"merchant";r=0;t=3', '"merchant";r=0;t=3']
        assert answers[-1].headers["ratelimit-policy"] == '"merchant";q=20;w=60'


@limits_without_time
async def test_merchants_behind_one_address_do_not_starve_each_other(tmp_path: Path) -> None:
    async with serving(tmp_path, merchant_per_minute=5, address_per_minute=3) as api:
        greedy = api.token(merchant_id=RIVAL)
        assert await statuses(api, [ME] * 50, token=greedy) == [200] * 5 + [429] * 45
        for _ in range(10):
            wrong = await api.client.get(ME, headers={"Authorization": "Bearer nonsense"})
        assert outcome_of(wrong) == LIMITED
        for number in range(50):
            token = api.token(merchant_id=f"merchant-{number}")
            assert await statuses(api, [ME] * 5, token=token) == [200] * 5


@limits_without_time
async def test_only_a_verified_token_says_which_merchant_is_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, merchant_per_minute=5) as api:
        token = api.token()
        head, body, _ = token.split(".")
        forged = f"{head}.{body}.{'A' * 86}"
        assert await statuses(api, [ME] * 20, token=forged) == [401] * 20
        assert await statuses(api, [ME] * 5, token=token) == [200] * 5


@limits_without_time
async def test_a_customer_does_not_use_up_what_the_merchant_has(tmp_path: Path) -> None:
    async with serving(tmp_path, merchant_per_minute=100, customer_per_minute=3) as api:
        ada = api.token(Role.CUSTOMER)
        bob = api.token(Role.CUSTOMER, customer_id="bob")
        assert await statuses(api, [ME] * 20, token=ada) == [200] * 3 + [429] * 17
        assert await statuses(api, [ME] * 3, token=bob) == [200] * 3
        assert await statuses(api, [ME] * 20, token=api.token()) == [200] * 20


@limits_without_time
async def test_those_without_a_merchant_are_counted_by_their_name(tmp_path: Path) -> None:
    async with serving(tmp_path, merchant_per_minute=2) as api:
        assert await statuses(api, [ME] * 3, role=Role.PLATFORM) == [200, 200, 429]
        assert await statuses(api, [ME], token=api.token()) == [200]


@limits_without_time
async def test_requests_without_a_token_count_against_their_address(tmp_path: Path) -> None:
    async with serving(tmp_path, address_per_minute=4) as api:
        for path in ("/docs", "/v1/openapi.json", "/nothing", "/"):
            assert (await api.client.get(path)).status_code != 429
        for path in ("/docs", "/nothing"):
            assert outcome_of(await api.client.get(path)) == LIMITED
        assert await statuses(api, [ME], token=api.token()) == [200]


@limits_without_time
async def test_health_and_metrics_are_never_limited_and_refusals_are_counted(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, address_per_minute=1, merchant_per_minute=1) as api:
        for _ in range(20):
            assert (await api.client.get("/health/live")).status_code == 200
        await api.client.get("/docs")
        await api.client.get("/docs")
        await statuses(api, [ME] * 3, token=api.token())
        text = (await api.client.get("/metrics")).text
        assert 'loyalnest_ratelimit_rejections_total{scope="address"} 1.0' in text
        assert 'loyalnest_ratelimit_rejections_total{scope="merchant"} 2.0' in text


async def test_zero_means_no_limit(tmp_path: Path) -> None:
    none = {"merchant_per_minute": 0, "address_per_minute": 0, "customer_per_minute": 0}
    async with serving(tmp_path, **none) as api:
        assert set(await statuses(api, [ME] * 30, role=Role.CUSTOMER)) == {200}
        assert (await api.client.get("/docs")).status_code == 200


@limits_without_time
async def test_a_forged_address_changes_nothing_and_is_not_in_the_log(tmp_path: Path) -> None:
    async with serving(tmp_path, address_per_minute=3) as api:
        with capture_logs() as logs:
            answers = [await from_(api, f"6.6.6.{number}") for number in range(5)]
        assert [answer.status_code for answer in answers] == [404] * 3 + [429] * 2
        assert {line["client"] for line in logs if line["event"] == "request"} == {"127.0.0.1"}


@limits_without_time
async def test_behind_a_proxy_each_client_is_counted_for_itself(tmp_path: Path) -> None:
    settings = attrs.evolve(limited(address_per_minute=2), trusted_proxies=LOOPBACK_PROXY)
    async with running_stubs(tmp_path, (), settings) as api:
        with capture_logs() as logs:
            one = [await from_(api, "6.6.6.6, 192.0.2.1") for _ in range(3)]
            other = await from_(api, "192.0.2.2")
            site = [await from_(api, f"2001:db8::{number}") for number in range(1, 4)]
        assert [answer.status_code for answer in one] == [404, 404, 429]
        assert other.status_code == 404
        assert [answer.status_code for answer in site] == [404, 404, 429]
        clients = [line["client"] for line in logs if line["event"] == "request"]
        assert clients[:4] == ["192.0.2.1"] * 3 + ["192.0.2.2"]
        assert clients[-1] == "2001:db8::3"


async def from_(api: Api, forwarded_for: str) -> httpx.Response:
    return await api.client.get("/nothing", headers={"X-Forwarded-For": forwarded_for})


@limits_without_time
async def test_a_refused_call_reaches_no_domain(tmp_path: Path) -> None:
    settings = limited(routes={"POST /v1/points/earn": 2})
    async with running_tree(tmp_path, settings) as api:
        answers = [await api.earn(10) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert "nothing was changed" in problem_of(answers[-1])["detail"]
        assert await api.posted() == 20


@pytest.mark.trio(run=host.run)
async def test_two_servers_over_one_redis_share_a_limit_and_go_on_without_it(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = limited(merchant_per_minute=50)
    outside = Outside(open_cache=partial(open_cache, pipeline=patient_redis(PATIENCE_S)))
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    async with (
        running_tree(
            tmp_path / "one", settings, redis_url=redis_server.url, outside=outside
        ) as one,
        running_tree(
            tmp_path / "other", settings, redis_url=redis_server.url, outside=outside
        ) as other,
    ):
        merchant = f"shared-{MERCHANT}"
        admitted, began = 0, trio.current_time()
        for number in range(80):
            api = (one, other)[number % 2]
            (status,) = await statuses(api, [ME], token=api.token(merchant_id=merchant))
            admitted += status == 200
        assert 50 <= admitted <= 51 + (trio.current_time() - began) * 50 / 60
