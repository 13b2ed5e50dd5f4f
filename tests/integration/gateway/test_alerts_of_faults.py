"""Each of the real faults is told by the alerts it should be told by, and none stays afterwards.

The real metrics are put before the alert rules. An alert waits for minutes. So what the metrics are
at the moment of a fault, and how much the counters have grown by then, is taken for each minute
that it lasts.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.gamification.messages import DEFINITIONS
from gateway.messages import LISTENER, SwitchShedding
from runtime import RestartChild, TerminateChild, host
from runtime.policies import Priority, SheddingMode
from runtime.storage import StorageUnavailable
from supervisors import health
from supervisors.application import DOMAINS
from tests.integration.gateway.helpers import Api, eventually, running_tree
from tests.integration.gateway.test_deferrals import Outage
from tests.prometheus import RULES, Prometheus
from tests.promql import Labels, Vector, labels_of
from tests.servers import RedisServer, running, unhurried_redis

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

MINUTE_S = 60.0
LASTS = 20
OF_THE_MACHINE = {"LoyalNestLoopLags"}
"""Tests that run beside this one keep the loop from its work."""

NONE: set[str] = set()
READ_BY_RULES = frozenset(re.findall(r"loyalnest_\w+", RULES.read_text()))
CUMULATIVE = ("_total", "_bucket", "_count", "_sum")


@attrs.define(eq=False)
class Watched:
    """An application under faults, and the Prometheus that watches it."""

    api: Api
    redis: RedisServer
    database: Outage
    prometheus: Prometheus = attrs.field(factory=Prometheus.loaded)
    _seen: Vector = attrs.field(factory=dict)
    _shown: Vector = attrs.field(factory=dict)

    async def metrics(self) -> Vector:
        answer = await self.api.client.get("/metrics")
        assert answer.status_code == 200
        return {
            labels_of(sample.name, instance="a", job="loyalnest", **sample.labels): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name in READ_BY_RULES
        }

    async def alerts(self) -> set[str]:
        """Those that fire after things have been for some minutes as they are now."""
        now = await self.metrics()
        grown = {labels: value - self._seen.get(labels, value) for labels, value in now.items()}
        firing: set[str] = set()
        for _ in range(LASTS):
            self._shown = {
                labels: self._shown.get(labels, value) + grown[labels]
                if _is_cumulative(labels)
                else value
                for labels, value in now.items()
            }
            self.prometheus.scraped(self._shown)
            names = self.prometheus.alerts.keys() - OF_THE_MACHINE
            firing = {name for name in names if self.prometheus.fires(name)}
            self.prometheus.time += MINUTE_S
        self._seen = now
        return firing

    async def alerts_since_nothing_grows(self) -> set[str]:
        """Those that are left once all that has happened has happened."""
        self._seen = await self.metrics()
        return await self.alerts()

    async def domain(self, name: str, value: float) -> None:
        wanted = f'loyalnest_domain_up{{domain="{name}"}} {value}'
        await eventually(lambda: self.shows(wanted))

    async def dependency(self, name: str, value: float) -> None:
        wanted = f'loyalnest_dependency_up{{dependency="{name}"}} {value}'
        await eventually(lambda: self.shows(wanted))

    async def shows(self, line: str) -> bool:
        return line in (await self.api.client.get("/metrics")).text

    async def ready(self, value: float) -> None:
        await eventually(lambda: self.shows(f"loyalnest_ready {value}"))


def _is_cumulative(labels: Labels) -> bool:
    return dict(labels)["__name__"].endswith(CUMULATIVE)


@asynccontextmanager
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    database = Outage()
    with running(RedisServer) as redis:
        async with running_tree(tmp_path, handle=database, redis_url=redis.url) as api:
            here = Watched(api, redis, database)
            await here.dependency("redis", 1.0)
            await here.ready(1.0)
            yield here
            database.heal()


@pytest.fixture(autouse=True)
def _quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_EVERY_S", 0.1)
    unhurried_redis(monkeypatch)


async def test_faults_of_domains(tmp_path: Path) -> None:
    async with watched(tmp_path) as here:
        api, domains = here.api, here.api.system.ref(DOMAINS)
        assert await here.alerts_since_nothing_grows() == NONE

        await domains.ask(TerminateChild("campaign"))
        await here.domain("campaign", 0.0)
        assert await here.alerts() == {"LoyalNestDomainDown"}
        assert (await api.earn(1)).status_code == 200
        await domains.ask(RestartChild("campaign"))
        await here.domain("campaign", 1.0)
        assert await here.alerts_since_nothing_grows() == NONE

        await domains.ask(TerminateChild("points"))
        await here.domain("points", 0.0)
        await here.ready(0.0)
        assert await here.alerts() == {"LoyalNestDomainDown", "LoyalNestNotReady"}
        assert (await api.ask("GET", "/v1/merchant")).status_code == 200
        await domains.ask(RestartChild("points"))
        await here.ready(1.0)
        assert await here.alerts_since_nothing_grows() == NONE


async def test_a_domain_that_crashes_again_and_again(tmp_path: Path) -> None:
    async with watched(tmp_path) as here:
        assert await here.alerts_since_nothing_grows() == NONE

        async def is_down() -> bool:
            here.api.system.ref(DEFINITIONS).kill()
            return await here.shows('loyalnest_domain_up{domain="gamification"} 0.0')

        await eventually(is_down)
        assert await here.alerts() == {"LoyalNestDomainDown", "LoyalNestRestarts"}
        assert (await here.api.earn(1)).status_code == 200
        await here.api.system.ref(DOMAINS).ask(RestartChild("gamification"))
        await here.domain("gamification", 1.0)
        assert await here.alerts_since_nothing_grows() == NONE


async def test_faults_of_stores(tmp_path: Path) -> None:
    async with watched(tmp_path) as here:
        assert await here.alerts_since_nothing_grows() == NONE

        here.redis.kill()
        await here.dependency("redis", 0.0)
        assert await here.alerts() == {"LoyalNestDependencyDown"}
        assert (await here.api.earn(1)).status_code == 200
        here.redis.start()
        await here.dependency("redis", 1.0)
        assert await here.alerts_since_nothing_grows() == NONE

        here.database.error = StorageUnavailable
        await here.ready(0.0)
        assert await here.alerts() == {"LoyalNestDependencyDown", "LoyalNestNotReady"}
        assert (await here.api.client.get("/health/live")).status_code == 200
        here.database.heal()
        await here.ready(1.0)
        assert await here.alerts_since_nothing_grows() == NONE


async def test_load_that_is_turned_away(tmp_path: Path) -> None:
    async with watched(tmp_path) as here:
        assert await here.alerts_since_nothing_grows() == NONE
        listener = here.api.system.ref(LISTENER)
        await listener.ask(SwitchShedding(SheddingMode.AUTOMATIC, frozenset({Priority.READS})))
        answers = [await here.api.ask("GET", "/v1/merchant") for _ in range(80)]
        assert {answer.status_code for answer in answers} == {503}
        assert await here.alerts() == {"LoyalNestShedsLoad"}
        assert (await here.api.earn(1)).status_code == 200
        await listener.ask(SwitchShedding(SheddingMode.AUTOMATIC))
        assert (await here.api.ask("GET", "/v1/merchant")).status_code == 200
        assert await here.alerts_since_nothing_grows() == NONE
