"""What is refused for its form alone is refused by the gateway: no domain hears of it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actors.auth.messages import Role
from actors.core.messages import CUSTOMERS, MERCHANTS, ORDERS
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.points.messages import ACCOUNTS, DEFERRALS, INTAKE
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.products.messages import CATALOGUE
from actors.products.messages import QUERIES as PRODUCT_QUERIES
from gateway.rate_limits import RateLimitSettings
from gateway.settings import GatewaySettings
from runtime import Actor
from tests.integration.gateway.helpers import Api, running_stubs, stub
from tests.integration.gateway.test_hostile_input import TABLES, ask
from tests.integration.hostile.test_requests import AMBIGUOUS, OVERSIZED

pytestmark = pytest.mark.slow

DOMAINS = (
    MERCHANTS,
    CUSTOMERS,
    ORDERS,
    CORE_QUERIES,
    ACCOUNTS,
    INTAKE,
    DEFERRALS,
    POINTS_QUERIES,
    CATALOGUE,
    PRODUCT_QUERIES,
)
OF_FORM = {
    "malformed_json",
    "malformed_query",
    "validation_failed",
    "unknown_field",
    "unsupported_media_type",
    "idempotency_key_required",
    "idempotency_key_invalid",
    "method_not_allowed",
}
"""Codes for which nobody has to be asked."""

NOTHING_HEARD: Counter[str] = Counter()


def counting(heard: Counter[str]) -> list[Any]:
    """Domains that count what they are asked, and never answer."""

    def domain(name: str) -> Any:
        async def hear(_actor: Actor, _message: object) -> object:
            heard[name] += 1
            raise AssertionError(f"{name} was asked")

        return stub(name, hear)

    return [domain(name) for name in DOMAINS]


async def test_the_domains_would_count(tmp_path: Path) -> None:
    heard: Counter[str] = Counter()
    async with running_stubs(tmp_path, counting(heard)) as api:
        for path in ("/v1/merchant", "/v1/customers/ada", "/v1/orders/one", "/v1/products/A-1"):
            await api.ask("GET", path)
        body = {"customer_id": "ada", "amount": 1, "reason": "x"}
        await api.ask("POST", "/v1/points/earn", json=body, key="k")
    assert sum(heard.values()) >= 5


@pytest.mark.parametrize("table", TABLES)
async def test_what_is_wrong_in_form_is_told_by_the_gateway(tmp_path: Path, table: str) -> None:
    cases = [case for case in TABLES[table] if case.expected[1] in OF_FORM]
    heard: Counter[str] = Counter()
    async with running_stubs(tmp_path, counting(heard)) as api:
        token = api.token()
        for case in cases:
            assert (await ask(api, case, token)).status_code == case.expected[0], case.name
    assert heard == NOTHING_HEARD


async def test_what_is_no_request_is_told_by_the_connection(tmp_path: Path) -> None:
    heard: Counter[str] = Counter()
    async with running_stubs(tmp_path, counting(heard)) as api:
        for bad in (*OVERSIZED, *AMBIGUOUS):
            assert await api.raw(bad.data)
    assert heard == NOTHING_HEARD


async def refused(api: Api, **how: Any) -> int:
    body = {"customer_id": "ada", "amount": 1, "reason": "x"}
    options = {"json": body, "key": "k"} | how
    return (await api.ask("POST", "/v1/points/earn", **options)).status_code


async def test_who_may_not_or_too_often_is_told_by_the_gateway(tmp_path: Path) -> None:
    heard: Counter[str] = Counter()
    settings = GatewaySettings(rate_limits=RateLimitSettings(routes={"POST /v1/points/earn": 1}))
    async with running_stubs(tmp_path, counting(heard), settings) as api:
        assert await refused(api, token="nonsense") == 401
        assert await refused(api, role=Role.CUSTOMER) == 403
        assert await refused(api) == 429
        assert (
            await refused(
                api, headers={"Content-Encoding": "gzip"}, token=api.token(merchant_id="other")
            )
            == 415
        )
    assert heard == NOTHING_HEARD
