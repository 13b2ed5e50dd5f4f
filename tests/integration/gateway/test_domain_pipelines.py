"""A domain that hangs, is down or is full, seen through a real listener."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs
import httpx
import pytest
import trio

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.points.messages import ACCOUNTS, AccountKey
from actors.points.messages import QUERIES as POINTS_QUERIES
from config.policy_loading import default_policies
from gateway.settings import GatewaySettings
from runtime import Actor, ChildSpec, Entities, RestartChild, TerminateChild
from runtime.policies import BreakerState, ForcedState, Policies, PolicyMetrics
from supervisors.application import DOMAINS
from supervisors.policies import domain_policies
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    RIVAL,
    Api,
    Stub,
    eventually,
    new_key,
    outcome_of,
    patient_settings,
    problem_of,
    running_stubs,
    running_tree,
    stub,
)

pytestmark = pytest.mark.slow

BALANCE = f"/v1/customers/{CUSTOMER}/balance"
RULE = "/v1/points/earn-rule?currency=USD"
ORDER = "/v1/orders/none"
CALLS_TO_OPEN = 20
DEADLINE_S = 0.3
LONG_S = 600.0
NEVER_S = 15.0
"""Later than anything is on a machine that stands still for seconds. Without what is tested it
would take minutes, or never end."""


@attrs.define
class Work:
    """What a stub was asked, and how often its work was cancelled."""

    begun: int = 0
    cancelled: int = 0

    async def hang(self, _actor: Actor, _message: Any) -> None:
        self.begun += 1
        try:
            await trio.sleep_forever()
        finally:
            self.cancelled += 1


async def nothing(_actor: Actor, _message: Any) -> None:
    return None


def accounts(behaviour: Callable[[Actor, Any], Any]) -> ChildSpec:
    return ChildSpec(
        "accounts", lambda: Entities(ACCOUNTS, lambda _key: Stub(behaviour)), name=ACCOUNTS
    )


UNHURRIED = {"deadline_s": LONG_S, "attempt_s": LONG_S}


def policies(**changes: Any) -> Policies:
    """Those of the gateway; `changes` to the settings of points."""
    settings = default_policies()
    settings["points"] = attrs.evolve(settings["points"], **changes)
    return domain_policies(settings, Random(7), PolicyMetrics())


def state(of: Policies, domain: str = "points") -> BreakerState:
    breaker = of[domain].breaker
    assert breaker is not None
    return breaker.state


async def many(count: int, ask: Callable[[], Any]) -> list[httpx.Response]:
    answers: list[httpx.Response] = []

    async def one() -> None:
        answers.append(await ask())

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return answers


async def fastest(count: int, ask: Callable[[], Any]) -> float:
    """Seconds of the fastest of so many requests, one after the other: all of them are bounded, and
    the others measure the machine."""
    times = []
    for _ in range(count):
        began = trio.current_time()
        await ask()
        times.append(trio.current_time() - began)
    return min(times)


async def test_a_domain_that_hangs_is_504_in_time_then_503_at_once_and_others_are_unaffected(
    tmp_path: Path,
) -> None:
    work = Work()
    ours = policies(
        **UNHURRIED, breaker_slow_s=DEADLINE_S / 2, breaker_open_s=LONG_S, breaker_open_max_s=LONG_S
    )
    settings = patient_settings(deadline_s=DEADLINE_S)
    stubs = [accounts(work.hang), stub(CORE_QUERIES, nothing)]
    async with running_stubs(tmp_path, stubs, settings, policies=ours) as api:
        began = trio.current_time()
        while state(ours) is BreakerState.CLOSED:  # some have no time to begin on a busy machine
            for answer in await many(CALLS_TO_OPEN, lambda: api.ask("GET", BALANCE)):
                assert outcome_of(answer)[0] == 504
        assert trio.current_time() - began <= NEVER_S
        assert state(ours) is BreakerState.OPEN
        begun = work.begun
        answer = await api.ask("GET", BALANCE)
        while answer.status_code == 504:  # for the same reason
            answer = await api.ask("GET", BALANCE)
        assert outcome_of(answer) == (503, "domain_unavailable")
        assert LONG_S / 2 <= int(answer.headers["retry-after"]) <= 2 * LONG_S
        unrelated = await fastest(20, lambda: api.ask("GET", "/v1/auth/me"))
        refused = await fastest(20, lambda: api.ask("GET", BALANCE))
        assert refused - unrelated <= DEADLINE_S / 3
        assert work.begun == begun
    async with running_stubs(tmp_path, stubs, policies=ours) as api:
        assert outcome_of(await api.ask("GET", ORDER)) == (404, "not_found")


async def test_no_answer_comes_later_than_the_deadline_and_the_work_ends_with_it(
    tmp_path: Path,
) -> None:
    """With the three seconds that requests have."""
    work = Work()
    stubs = [accounts(work.hang)]
    async with running_stubs(tmp_path, stubs, GatewaySettings(), policies=policies()) as api:
        began = trio.current_time()
        answer = await api.ask("GET", BALANCE)
        assert outcome_of(answer) == (504, "timeout_outcome_unknown")
        assert trio.current_time() - began <= NEVER_S
        await eventually(lambda: _true(work.cancelled == 1))


async def test_a_client_that_goes_away_ends_the_work_on_its_request(tmp_path: Path) -> None:
    work = Work()
    async with unhurried(tmp_path, work) as api:
        for number in range(3):
            stream = await asking(api)
            await eventually(lambda n=number: _true(work.begun == n + 1))  # type: ignore[misc]
            await stream.aclose()
            await eventually(lambda n=number: _true(work.cancelled == n + 1))  # type: ignore[misc]


@asynccontextmanager
async def unhurried(tmp_path: Path, work: Work) -> AsyncIterator[Api]:
    """A domain that hangs, of which nobody gives anything up by himself."""
    stubs, ours = [accounts(work.hang)], policies(**UNHURRIED)
    settings = patient_settings(deadline_s=LONG_S)
    async with running_stubs(tmp_path, stubs, settings, policies=ours) as api:
        yield api


async def asking(api: Api) -> trio.SocketStream:
    """A connection of its own, with a request for the balance."""
    stream = await trio.open_tcp_stream(api.address.host, api.address.port)
    head = f"GET {BALANCE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {api.token()}"
    await stream.send_all(f"{head}\r\n\r\n".encode())
    return stream


async def _true(condition: bool) -> bool:
    return condition


async def test_what_waits_for_a_client_that_went_away_is_never_begun(tmp_path: Path) -> None:
    work = Work()
    async with unhurried(tmp_path, work) as api:
        first = await asking(api)
        await eventually(lambda: _true(work.begun == 1))
        others = [await asking(api) for _ in range(4)]
        cell = api.system.entities(ACCOUNTS).ref(AccountKey(MERCHANT, CUSTOMER)).receiver(None)
        await eventually(lambda: _true(len(cell.items) == len(others)))
        for stream in others:
            await stream.aclose()
        await eventually(lambda: _true(not cell.items))
        await first.aclose()
        await eventually(lambda: _true(work.cancelled == 1))
        assert work.begun == 1


async def test_a_domain_that_is_down_fails_fast_and_is_asked_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    ours = policies()
    async with running_tree(tmp_path, policies=ours) as api:
        await api.system.ref(DOMAINS).ask(TerminateChild("points"))
        await many(CALLS_TO_OPEN, lambda: api.ask("GET", RULE))

        async def turned_away() -> bool:
            """The breaker is open for a second, and tries the domain now and then."""
            found = outcome_of(await api.ask("GET", RULE)), outcome_of(await api.earn())
            return found == ((503, "domain_unavailable"),) * 2  # and no earning can be put off

        await eventually(turned_away)
        assert (await api.ask("GET", "/v1/customers")).status_code == 200
        await api.system.ref(DOMAINS).ask(RestartChild("points"))
        back = trio.current_time()

        async def served() -> bool:
            await trio.sleep(0.05)
            return (await api.ask("GET", RULE)).status_code == 200

        await eventually(served)
        assert trio.current_time() - back <= 2 * NEVER_S
        assert (await api.earn()).status_code == 200


async def test_a_full_domain_is_503_at_once(tmp_path: Path) -> None:
    work = Work()
    ours = policies(**UNHURRIED, running_max=4, waiting_max=0)
    stubs, settings = [stub(POINTS_QUERIES, work.hang)], patient_settings(deadline_s=LONG_S)
    async with (
        running_stubs(tmp_path, stubs, settings, policies=ours) as api,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(api.ask, "GET", RULE)
        nursery.start_soon(api.ask, "GET", RULE)
        await eventually(lambda: _true(_in_use(ours) == 2))
        answer = await api.ask("GET", RULE)
        assert outcome_of(answer) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.elapsed.total_seconds() <= NEVER_S
        rival = api.token(merchant_id=RIVAL)
        nursery.start_soon(lambda: api.ask("GET", RULE, token=rival))
        await eventually(lambda: _true(_in_use(ours) == 3))
        nursery.cancel_scope.cancel()


def _in_use(of: Policies) -> int:
    bulkhead = of["points"].bulkhead
    assert bulkhead is not None
    return bulkhead.statistics().in_use


@asynccontextmanager
async def forced_open(tmp_path: Path) -> AsyncIterator[tuple[Api, Policies]]:
    ours = policies()
    async with running_tree(tmp_path, policies=ours) as api:
        ours.force("points", ForcedState.OPEN)
        yield api, ours


async def test_an_earning_that_the_breaker_turns_away_is_put_off(tmp_path: Path) -> None:
    async with forced_open(tmp_path) as (api, ours):
        answer = await api.earn(70)
        assert answer.status_code == 202, answer.text
        item = {
            "kind": "earn",
            "customer_id": CUSTOMER,
            "amount": 30,
            "reason": "purchase",
            "idempotency_key": new_key(),
        }
        batch = await api.ask("POST", "/v1/points/batch", json={"items": [item]})
        assert [each["status"] for each in batch.json()["items"]] == [202]
        spending = {"customer_id": CUSTOMER, "amount": 1, "reason": "x"}
        spent = await api.ask("POST", "/v1/points/redeem", json=spending, key=new_key())
        assert outcome_of(spent) == (503, "domain_unavailable")
        ours.force("points", None)

        async def posted() -> bool:
            return await api.posted() == 100

        await eventually(posted)


async def test_a_problem_of_a_breaker_says_nothing_about_the_inside(tmp_path: Path) -> None:
    async with forced_open(tmp_path) as (api, _):
        problem = problem_of(await api.ask("GET", RULE))
        assert problem["code"] == "domain_unavailable"
        assert "points" not in problem["detail"]


async def test_a_catalogue_that_is_away_is_told_as_it_was_and_marked(tmp_path: Path) -> None:
    rose = {"sku": "ROSE", "name": "Rose", "kind": "package", "price_minor": 5, "currency": "EUR"}
    async with running_tree(tmp_path) as api:
        assert (await api.ask("PUT", "/v1/products", json={"products": [rose]})).status_code == 200
        for path in ("/v1/products", "/v1/products/ROSE"):
            assert "degraded" not in (await api.ask("GET", path)).json()
        assert (await api.ask("GET", "/v1/products/TULIP")).status_code == 404
        await api.system.ref(DOMAINS).ask(TerminateChild("products"))
        page = (await api.ask("GET", "/v1/products")).json()
        listed = {**rose, "earns_points": True, "source_version": 0}
        assert (page["items"], page["degraded"]) == ([listed], True)
        shown = await api.ask("GET", "/v1/products/ROSE")
        assert shown.json() == {**rose, "degraded": True, **_age_of(shown)}
        assert outcome_of(await api.ask("GET", "/v1/products/TULIP")) == (503, "unavailable")
        assert outcome_of(await api.ask("GET", "/v1/products/IRIS")) == (503, "unavailable")


def _age_of(answer: httpx.Response) -> dict[str, int]:
    """Left out while it rounds to zero."""
    age_s = answer.json().get("age_s", 0)
    assert age_s <= 30
    return {"age_s": age_s} if age_s else {}
