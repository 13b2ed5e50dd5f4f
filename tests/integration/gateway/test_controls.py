"""Operators' switches over HTTP: what they do to requests, and that the audit log has them."""

from pathlib import Path
from typing import Any

import pytest

from actors.auth.messages import Role
from tests.integration.gateway.helpers import Api, eventually, outcome_of, running_tree
from tests.integration.gateway.putting_back import wrong_outcomes
from tests.integration.gateway.test_audit import has
from tests.integration.gateway.test_hostile_input import (
    INVALID,
    JSON,
    MALFORMED,
    NOT_FOUND,
    UNKNOWN_FIELD,
    Case,
    get,
)

pytestmark = pytest.mark.slow

POLICIES = "/v1/admin/policies"
BREAKER = f"{POLICIES}/points/breaker"
CHAOS = f"{POLICIES}/points/chaos"
SHEDDING = "/v1/admin/shedding"
SWITCHES = "/v1/admin/switches"
WHY: dict[str, Any] = {"reason": "a drill"}


async def put(api: Api, path: str, **body: Any) -> Any:
    reply = await api.ask("PUT", path, role=Role.PLATFORM, json=WHY | body)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def seen(api: Api, path: str) -> Any:
    reply = await api.ask("GET", path, role=Role.PLATFORM)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_breaker_that_is_forced_open_refuses_and_one_that_is_let_go_does_not(
    tmp_path: Path,
) -> None:
    async with running_tree(tmp_path) as api:
        assert (await put(api, BREAKER, state="forced_open"))["breaker"]["state"] == "forced_open"
        refused = await api.ask("GET", "/v1/points/verify")
        assert refused.status_code == 503
        assert (await api.ask("GET", "/v1/merchant")).status_code == 200
        (switch,) = (await seen(api, SWITCHES))["items"]
        assert (switch["kind"], switch["target"], switch["by"], switch["until"]) == (
            "breaker", "points", "tester", None,
        )  # fmt: skip
        assert (await seen(api, "/health"))["switches"] == [switch]
        assert "switches" not in (await api.client.get("/health")).json()
        await put(api, BREAKER, state="automatic")
        assert (await api.ask("GET", "/v1/points/verify")).status_code == 200
        assert (await seen(api, SWITCHES))["items"] == []
        entries = await has(api, 2, "?platform=true")
        assert [entry["after"]["state"] for entry in entries] == ["automatic", "forced_open"]
        assert {entry["action"] for entry in entries} == {"breaker.switch"}


async def test_a_switch_with_a_time_goes_back_by_itself(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await put(api, BREAKER, state="forced_open", for_s=0.2)

        async def serves() -> bool:
            return (await api.ask("GET", "/v1/points/verify")).status_code == 200

        await eventually(serves)
        entries = await has(api, 2, "?platform=true")
        assert entries[0]["subject"] == "system"


async def test_priorities_that_are_shed_by_hand_get_503_and_operators_get_through(
    tmp_path: Path,
) -> None:
    async with running_tree(tmp_path) as api:
        await put(api, SHEDDING, shed=["reads", "writes", "webhooks", "dashboards"])
        assert (await api.ask("GET", "/v1/merchant")).status_code == 503
        assert (await api.earn()).status_code == 503
        assert (await api.client.get("/health/live")).status_code == 200
        assert (await seen(api, SHEDDING))["shed"]["reads"] >= 1
        assert (await put(api, SHEDDING))["shed_by_hand"] == []
        assert (await api.earn()).status_code == 200


async def test_chaos_is_refused_where_the_settings_do_not_allow_it(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        body = WHY | {"fault": "error"}
        reply = await api.ask("PUT", CHAOS, role=Role.PLATFORM, json=body)
        assert outcome_of(reply) == (409, "chaos_not_allowed")
        lifted = await api.ask("DELETE", f"{CHAOS}?reason=x", role=Role.PLATFORM)
        assert lifted.status_code == 200


async def test_everybody_sees_only_what_is_theirs(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        for role in (role for role in Role if role is not Role.PLATFORM):
            token = api.token(role)
            for method, path in (
                ("GET", POLICIES),
                ("GET", SHEDDING),
                ("GET", SWITCHES),
                ("PUT", BREAKER),
                ("PUT", CHAOS),
                ("DELETE", CHAOS),
                ("PUT", SHEDDING),
            ):
                reply = await api.ask(method, path, token=token, json=WHY)
                assert outcome_of(reply) == (403, "role_not_allowed"), (role, path)
                assert (await api.client.request(method, path)).status_code == 401
        policies = (await seen(api, POLICIES))["items"]
        assert "points" in {policy["name"] for policy in policies}
        assert all(policy["breaker"]["state"] == "closed" for policy in policies)


def case(name: str, expected: tuple[int, str], path: str, template: str, body: Any) -> Case:
    return Case(name=name, expected=expected, method="PUT", path=path, template=template,
                json=body, key=None)  # fmt: skip


OF_BREAKER, OF_CHAOS = f"{POLICIES}/{{name}}/breaker", f"{POLICIES}/{{name}}/chaos"
OPEN = WHY | {"state": "forced_open"}
HOSTILE = [
    case("no reason", INVALID, BREAKER, OF_BREAKER, {"state": "forced_open"}),
    case("no state", INVALID, BREAKER, OF_BREAKER, WHY),
    case("a state nobody knows", INVALID, BREAKER, OF_BREAKER, WHY | {"state": "half_open"}),
    case("no time at all", INVALID, BREAKER, OF_BREAKER, OPEN | {"for_s": 0}),
    case("for ever and a day", INVALID, BREAKER, OF_BREAKER, OPEN | {"for_s": 1e9}),
    case("somebody else's name", UNKNOWN_FIELD, BREAKER, OF_BREAKER, OPEN | {"by": "bob"}),
    case("nobody's breaker", NOT_FOUND, f"{POLICIES}/nobody/breaker", OF_BREAKER, OPEN),
    case("own breaker", (409, "would_lock_out"), f"{POLICIES}/controls/breaker", OF_BREAKER, OPEN),
    case("SQL for a name", NOT_FOUND, f"{POLICIES}/a'%20OR%201/breaker", OF_BREAKER, OPEN),
    case("a fault nobody knows", INVALID, CHAOS, OF_CHAOS, WHY | {"fault": "explode"}),
    case("more than all calls", INVALID, CHAOS, OF_CHAOS, WHY | {"fault": "hang", "share": 2}),
    case("a negative delay", INVALID, CHAOS, OF_CHAOS, WHY | {"fault": "delay", "delay_s": -1}),
    case("probes shed", INVALID, SHEDDING, SHEDDING, WHY | {"shed": ["probes"]}),
    case("too many priorities", INVALID, SHEDDING, SHEDDING, WHY | {"shed": ["reads"] * 5}),
    case("a mode nobody knows", INVALID, SHEDDING, SHEDDING, WHY | {"mode": "off"}),
    Case(name="not JSON", expected=MALFORMED, method="PUT", content=b"{", headers=JSON,
         path=SHEDDING, template=SHEDDING, key=None),
    Case(name="lifted without a reason", expected=INVALID, method="DELETE", path=CHAOS,
         template=OF_CHAOS, key=None),
    get("a query nobody knows", UNKNOWN_FIELD, f"{POLICIES}?x=1", POLICIES),
]  # fmt: skip


async def test_hostile_input_is_refused_and_switches_nothing(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        assert await wrong_outcomes(api, HOSTILE) == {}
        assert (await seen(api, SWITCHES))["items"] == []
