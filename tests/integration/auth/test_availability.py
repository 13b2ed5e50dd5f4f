"""Logging in needs nobody but the domain for it, and the database."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from gateway.rate_limits import RateLimitSettings
from gateway.settings import GatewaySettings
from runtime import RestartChild, TerminateChild, WhichChildren, host
from runtime.jobs import JOBS
from runtime.policies import SheddingMode
from supervisors.application import DOMAINS, ROOT, Outside
from supervisors.simulation.hashing import quick_hashing
from tests.integration.auth.test_routes import created, refreshed, try_login
from tests.integration.gateway.helpers import Api, running_tree
from tests.servers import RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

QUEUE = ("scheduler", "job_runner", "jobs")

AT_ONCE, EACH = 4, 21
"""So many people, and so many logins of each of them around every fault."""

FAILED_MAX = 0.001

AS_MANY_AS_COME = GatewaySettings(
    deadline_s=60.0,
    keys_timeout_s=60.0,
    shedding_mode=SheddingMode.DISABLED,
    rate_limits=RateLimitSettings(address_per_minute=0, routes={"POST /v1/auth/login": 0}),
)
"""And as long as the machine stands still meanwhile."""


@attrs.define
class People:
    """Log in and go on, and count how that ends."""

    api: Api
    outcomes: Counter[int] = attrs.field(factory=Counter)
    begun: trio.Event = attrs.field(factory=trio.Event)

    @asynccontextmanager
    async def logging_in(self) -> AsyncIterator[None]:
        """While the block runs, and until all of them have."""
        self.begun = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(self._one)
            await self.begun.wait()
            yield

    async def _one(self) -> None:
        for _ in range(EACH):
            login = await try_login(self.api)
            self.outcomes[login.status_code] += 1
            self.begun.set()
        again = await refreshed(self.api, login.json()["refresh_token"])
        assert again.status_code == 200, again.text
        mine = await self.api.ask("GET", "/v1/auth/me", token=again.json()["access_token"])
        assert mine.status_code == 200, mine.text


async def test_people_log_in_whatever_else_is_killed_and_stays_down(tmp_path: Path) -> None:
    """Every other domain in turn, then Redis, then the queue as well: the moment at which it goes
    is among the logins."""
    outside = Outside(start_hashing=quick_hashing)
    with running(RedisServer) as server:
        async with running_tree(
            tmp_path, AS_MANY_AS_COME, redis_url=server.url, outside=outside
        ) as api:
            await created(api)
            people = People(api)
            domains = api.system.ref(DOMAINS)
            others = [child for child in await domains.ask(WhichChildren()) if child.id != "auth"]
            assert len(others) >= 10
            for child in others:
                async with people.logging_in():
                    assert child.ref.kill()
                    await domains.ask(TerminateChild(child.id))
                await domains.ask(RestartChild(child.id))
            async with people.logging_in():
                server.kill()
            platform, *_ = await api.system.ref(ROOT).ask(WhichChildren())
            async with people.logging_in():
                for id_ in QUEUE:
                    assert await platform.ref.ask(TerminateChild(id_)) is None
            assert not api.system.ref(JOBS).alive
    asked = people.outcomes.total()
    assert asked >= 1_000
    assert asked - people.outcomes[200] <= FAILED_MAX * asked, people.outcomes
