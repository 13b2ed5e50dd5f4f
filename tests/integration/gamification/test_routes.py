"""Gamification over HTTP: what members see, who may define, and a domain in a crash loop."""

from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import trio

from actors.auth.messages import Role
from actors.gamification.intake import Intake
from actors.gamification.messages import INTAKE
from runtime import ChildState, RestartChild, WhichChildren
from supervisors.application import DOMAINS
from supervisors.conditions import Condition
from supervisors.health import HealthBoard
from tests.integration.gateway.helpers import (
    CUSTOMER,
    OTHER_CUSTOMER,
    RIVAL,
    Api,
    eventually,
    new_key,
    outcome_of,
    running_tree,
)

pytestmark = pytest.mark.slow

ME = f"/v1/customers/{CUSTOMER}"
FIRST = {"name": "First order", "badge_id": "first", "metric": "orders", "target": 1}
EARNS = 20


async def sent(api: Api, method: str, path: str, status: int = 200, **options: Any) -> Any:
    reply = await api.ask(method, path, **options)
    assert reply.status_code == status, reply.text
    return reply.json()


async def ordered(api: Api, order_id: str, total_minor: int, customer: str = CUSTOMER) -> None:
    body = {
        "order_id": order_id,
        "customer_id": customer,
        "total_minor": total_minor,
        "currency": "EUR",
        "ordered_at": datetime.now(UTC).isoformat(),
    }
    await sent(api, "POST", "/v1/orders", 201, json=body, key=new_key())


async def badges(api: Api, customer_id: str) -> list[str]:
    page = await sent(api, "GET", f"/v1/customers/{customer_id}/badges")
    return [award["badge_id"] for award in page["items"]]


async def have_badges(api: Api) -> bool:
    """Both: the players are judged at the same time, whoever ordered first."""
    mine, theirs = await badges(api, CUSTOMER), await badges(api, OTHER_CUSTOMER)
    return mine == theirs == ["first"]


async def define(api: Api) -> None:
    await sent(api, "PUT", "/v1/badges/first", json={"name": "First"})
    await sent(api, "PUT", "/v1/achievements/first", json=FIRST)
    board = {"name": "Spenders", "metric": "spend", "currency": "EUR", "cycle": "year"}
    await sent(api, "PUT", "/v1/leaderboards/spenders", json=board)


async def test_a_member_sees_progress_badges_and_the_own_rank(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await define(api)
        before = await sent(api, "GET", f"{ME}/progress", role=Role.CUSTOMER)
        (shown,) = before["achievements"]
        assert (shown["status"], shown["value"], shown["missing"]) == ("in_progress", 0, 1)
        await ordered(api, "2", 2_000, OTHER_CUSTOMER)
        await ordered(api, "1", 900)
        await eventually(lambda: have_badges(api))
        after = await sent(api, "GET", f"{ME}/progress", role=Role.CUSTOMER)
        assert (after["achievements"][0]["status"], after["badges"]) == ("earned", 1)
        score = await sent(api, "GET", f"{ME}/engagement", role=Role.CUSTOMER)
        assert score["score"] == pytest.approx(sum(part["points"] for part in score["parts"]))
        board = await sent(api, "GET", "/v1/leaderboards/spenders", role=Role.CUSTOMER)
        assert [place["customer_id"] for place in board["items"]] == [None, CUSTOMER]
        assert (board["own"]["rank"], board["own"]["score"]) == (2, 900)
        staff = await sent(api, "GET", f"/v1/leaderboards/spenders?customer_id={OTHER_CUSTOMER}")
        assert [place["customer_id"] for place in staff["items"]] == [OTHER_CUSTOMER, CUSTOMER]
        assert staff["own"]["rank"] == 1
        choice = {"listed": False}
        await sent(api, "PUT", f"{ME}/leaderboards", json=choice, role=Role.CUSTOMER)
        assert (await sent(api, "GET", f"{ME}/leaderboards"))["listed"] is False
        board = await sent(api, "GET", "/v1/leaderboards/spenders", role=Role.CUSTOMER)
        assert (board["own"], board["players"]) == (None, 1)


async def test_only_those_who_may_define_and_only_what_holds_together(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await sent(api, "PUT", "/v1/badges/first", 403, json={"name": "x"}, role=Role.SUPPORT)
        await sent(api, "PUT", "/v1/achievements/first", 404, json=FIRST)
        await define(api)
        for wrong in (
            {"metric": "spend"},
            {"sku_pattern": "("},
            {"metric": "items", "sku_pattern": "("},
            {"target": 0},
            {"recurrence": "each_period"},
            {"unknown": 1},
        ):
            await sent(api, "PUT", "/v1/achievements/first", 422, json=FIRST | wrong)
        other = f"/v1/customers/{OTHER_CUSTOMER}"
        for path in ("progress", "badges", "engagement", "leaderboards"):
            await sent(api, "GET", f"{other}/{path}", 404, role=Role.CUSTOMER)
            await sent(api, "GET", f"{ME}/{path}", 404, token=api.token(merchant_id=RIVAL))
        peeking = f"/v1/leaderboards/spenders?customer_id={OTHER_CUSTOMER}"
        await sent(api, "GET", peeking, 404, role=Role.CUSTOMER)
        rival = api.token(merchant_id=RIVAL)
        for path in ("badges/first", "achievements/first", "leaderboards/spenders"):
            await sent(api, "GET", f"/v1/{path}", 404, token=rival)
        assert (await sent(api, "GET", "/v1/badges", token=rival))["items"] == []
        weights = {"terms": [{"signal": "orders", "weight": 1, "cap": 1, "half_life_days": 9}]}
        assert (await sent(api, "GET", "/v1/engagement"))["version"] == 0
        assert (await sent(api, "PUT", "/v1/engagement", json=weights))["version"] == 1
        assert (await sent(api, "GET", "/v1/engagement"))["terms"][0]["within_days"] == 365


async def domain_state(api: Api) -> ChildState:
    children = await api.system.ref(DOMAINS).ask(WhichChildren())
    return next(child.state for child in children if child.id == "gamification")


async def test_a_crash_loop_takes_down_gamification_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is declared down, orders and points go on, and what it missed is made up for."""
    board = HealthBoard()
    async with running_tree(tmp_path, board=board) as api:
        await define(api)
        plain = [(await api.earn(10)).elapsed for _ in range(EARNS)]

        async def crash(_self: Intake) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(Intake, "started", crash)
            api.system.ref(INTAKE).kill()
            answers = [await api.earn(10) for _ in range(EARNS)]
            assert {answer.status_code for answer in answers} == {200}
            await eventually(lambda: is_state(api, ChildState.DOWN))
            await ordered(api, "1", 900)
            assert outcome_of(await api.ask("GET", f"{ME}/progress")) == (503, "unavailable")
            answers += [await api.earn(10) for _ in range(EARNS)]
        assert {answer.status_code for answer in answers} == {200}
        await eventually(lambda: has_points(api, 10 * 3 * EARNS + 9))
        await eventually(lambda: is_declared_down(board))
        usual_s = median(answer.elapsed.total_seconds() for answer in answers)
        assert usual_s <= max(plain).total_seconds() * 3 + 0.1
        await api.system.ref(DOMAINS).ask(RestartChild("gamification"))
        await eventually(lambda: has_badge_at_last(api))


async def has_points(api: Api, points: int) -> bool:
    return await api.posted() == points


async def is_state(api: Api, state: ChildState) -> bool:
    return await domain_state(api) is state


async def is_declared_down(board: HealthBoard) -> bool:
    await trio.lowlevel.checkpoint()
    return board.domains["gamification"].condition == Condition.DOWN.value


async def has_badge_at_last(api: Api) -> bool:
    answer = await api.ask("GET", f"{ME}/badges")
    return answer.status_code == 200 and len(answer.json()["items"]) == 1
