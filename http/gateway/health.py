"""Health for probes and people."""

from enum import Enum
from typing import Final

import attrs
import msgspec

from gateway.routes import Answer, ApiRequest, Response, Route, answer
from runtime.policies import Priority
from supervisors.health import Condition, TreeHealth

TAG: Final = "Operation"


class Status(Enum):
    OK = "ok"
    DEGRADED = "degraded"


class Alive(msgspec.Struct, frozen=True):
    status: Status


class Health(msgspec.Struct, frozen=True):
    """`domains` by name: up, restarting or down. Empty while all of them restart.

    `cache` is up, down or in process. It changes neither `status` nor readiness.
    """

    status: Status
    domains: dict[str, str]
    database: str
    cache: str


@attrs.frozen
class HealthRoutes:
    """Handlers that ask the supervisors, the database and the cache."""

    _tree: TreeHealth

    async def live(self, request: ApiRequest) -> Answer:
        """That this is answered at all is the point."""
        return answer(Alive(Status.OK))

    async def ready(self, request: ApiRequest) -> Answer:
        health = await self._health()
        return answer(health, 200 if health.status is Status.OK else 503)

    async def summary(self, request: ApiRequest) -> Answer:
        return answer(await self._health())

    async def _health(self) -> Health:
        database_up = await self._tree.database()
        domains = await self._tree.domains()
        up = database_up and bool(domains) and set(domains.values()) == {Condition.UP.value}
        return Health(
            Status.OK if up else Status.DEGRADED,
            domains,
            self._tree.describe(database_up),
            self._tree.cache(),
        )


def health_routes(tree: TreeHealth) -> tuple[Route, ...]:
    """All routes of this area."""
    handlers = HealthRoutes(tree)
    return (
        Route(
            method="GET",
            path="/health/live",
            handler=handlers.live,
            summary="Whether the process answers",
            tag=TAG,
            public=True,
            priority=Priority.PROBES,
            responses={200: Response("It does", Alive)},
        ),
        Route(
            method="GET",
            path="/health/ready",
            handler=handlers.ready,
            summary="Whether database and domains can serve requests",
            tag=TAG,
            public=True,
            priority=Priority.PROBES,
            responses={
                200: Response("They can", Health),
                503: Response("They cannot, or not all of them", Health),
            },
        ),
        Route(
            method="GET",
            path="/health",
            handler=handlers.summary,
            summary="Every domain, the database and the cache",
            tag=TAG,
            public=True,
            priority=Priority.PROBES,
            responses={200: Response("How they are", Health)},
        ),
    )
