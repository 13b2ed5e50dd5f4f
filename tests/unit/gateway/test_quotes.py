"""Prices to sell at: from the catalogue, or as they were a moment ago, and never from long ago."""

from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.auth.messages import Principal, Role
from actors.products.messages import QUERIES, Product, ProductKind
from config.policy_loading import default_policies
from gateway.api_plans import QUOTED_AGE_MAX_S, QuoteBody, quote
from gateway.domains import Domains
from gateway.problems import Problem
from gateway.routes import ApiRequest
from runtime import Actor, ActorDown, ActorSystem, ChildSpec, TerminateChild, request_context
from runtime.policies import PolicyMetrics
from supervisors.policies import domain_policies
from tests.unit.runtime.helpers import running

ROSES = Product("ROSES-12", "Roses", ProductKind.PACKAGE, 2_500, "EUR")
OWNER = Principal("tester", Role.OWNER, "flora", None, 0.0, "token")
FALLBACK_MAX_S = 900.0


class Catalogue(Actor):
    async def receive(self, message: Any) -> object:
        return (ROSES,)


def request(system: ActorSystem) -> ApiRequest:
    policies = domain_policies(default_policies(), Random(7), PolicyMetrics())
    return ApiRequest(
        system=system,
        domains=Domains(system, policies),
        principal=OWNER,
        path={},
        body=QuoteBody(skus=("ROSES-12",)),
        query=None,
        idempotency=None,
        trace_id="trace",
        safe=True,
    )


async def test_no_price_is_told_that_is_older_than_five_minutes(autojump_clock: MockClock) -> None:
    assert QUOTED_AGE_MAX_S == 300
    async with running([ChildSpec("prices", Catalogue, name=QUERIES)]) as system:
        asked = request(system)

        async def told() -> bytes:
            with request_context(deadline=trio.current_time() + 3):
                return (await quote(asked)).body

        assert b"2500" in await told()
        await system.ref("root").ask(TerminateChild("prices"))
        began = trio.current_time()
        assert b"2500" in await told()
        await trio.sleep_until(began + QUOTED_AGE_MAX_S - 1)
        assert b'"age_s":299' in await told()
        await trio.sleep_until(began + QUOTED_AGE_MAX_S + 1)
        with pytest.raises(Problem) as refused:
            await told()
        assert (refused.value.status, refused.value.code) == (503, "price_too_old")
        await trio.sleep_until(began + FALLBACK_MAX_S + 1)
        with pytest.raises(ActorDown):
            await told()
