"""Health for probes, for everybody, and for operators."""

from datetime import datetime
from typing import Final

import attrs
import msgspec

from actors.auth.messages import Principal
from gateway.api_controls import Switch, switch_of
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, answer
from runtime import ActorSystem
from runtime.policies import Priority
from runtime.system_messages import Timing
from runtime.tree import TreeNode, read_tree
from supervisors.health import HealthBoard, Part, Status

TAG: Final = "Operation"

OKAY: Final = frozenset({Status.OK, Status.DEGRADED})


class Word(msgspec.Struct, frozen=True):
    """All that is told to those who did not say who they are."""

    status: Status


class Dependency(msgspec.Struct, frozen=True):
    """`since` is when `condition` began, `last_error` the kind of the last failure, if any."""

    name: str
    required: bool
    condition: str
    since: datetime | None
    last_error: str | None


class TreeActor(msgspec.Struct, frozen=True):
    """One actor of the supervision tree.

    `mailbox_depth` messages are unread; `handled` were read since the start, and `failed` of them
    failed. `queue_wait_s` and `service_s` are means of the messages that were timed since `since`,
    when it was started last. `children` is null for a worker; `hidden` of them are not shown.
    """

    id: str
    address: str
    kind: str
    state: str
    restarts: int
    last_exit: str | None
    mailbox_depth: int
    mailbox_capacity: int
    handled: int
    failed: int = 0
    queue_wait_s: float | None = None
    service_s: float | None = None
    since: datetime | None = None
    suspended: bool = False
    traced: bool = False
    children: "tuple[TreeActor, ...] | None" = None
    hidden: int = 0


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """`status` is for everybody, the rest for operators."""

    status: Status
    version: str | None = None
    dependencies: tuple[Dependency, ...] = ()
    domains: tuple[Dependency, ...] = ()
    switches: tuple[Switch, ...] = ()
    tree: tuple[TreeActor, ...] = ()


@attrs.frozen
class HealthRoutes:
    """Handlers that read the board; only an operator's question looks at the tree."""

    _system: ActorSystem
    _board: HealthBoard
    _version: str

    async def live(self, request: ApiRequest) -> Answer:
        return _word(self._board.liveness)

    async def ready(self, request: ApiRequest) -> Answer:
        return _word(self._board.readiness)

    async def summary(self, request: ApiRequest) -> Answer:
        status = self._board.readiness
        if not _is_operator(request.principal):
            return answer(Word(status))
        return answer(
            Health(
                status,
                version=self._version,
                dependencies=_parts(self._board.dependencies),
                domains=_parts(self._board.domains),
                switches=tuple(map(switch_of, self._board.switches)),
                tree=tuple(map(_actor, read_tree(self._system))),
            )
        )


def _word(status: Status) -> Answer:
    return answer(Word(status), 200 if status in OKAY else 503)


def _is_operator(principal: Principal | None) -> bool:
    return principal is not None and principal.role in OPERATORS


def _parts(parts: dict[str, Part]) -> tuple[Dependency, ...]:
    return tuple(
        Dependency(part.name, part.required, part.condition, part.since, part.last_error)
        for part in parts.values()
    )


def _actor(node: TreeNode) -> TreeActor:
    status, mailbox, more = node.status, node.mailbox, node.statistics
    return TreeActor(
        id=status.id,
        address=status.address,
        kind=status.kind,
        state=status.state.value,
        restarts=status.restarts,
        last_exit=status.last_exit,
        mailbox_depth=mailbox.depth,
        mailbox_capacity=mailbox.capacity,
        handled=mailbox.handled,
        failed=more.failed if more is not None else 0,
        queue_wait_s=_mean(more.queue_wait) if more is not None else None,
        service_s=_mean(more.service) if more is not None else None,
        since=more.since if more is not None else None,
        suspended=more is not None and more.suspended,
        traced=more is not None and more.traced_for_s is not None,
        children=None if node.children is None else tuple(map(_actor, node.children)),
        hidden=node.hidden,
    )


def _mean(timing: Timing | None) -> float | None:
    return round(timing.mean_s, 6) if timing is not None else None


def health_routes(system: ActorSystem, board: HealthBoard, version: str) -> tuple[Route, ...]:
    """All routes of this area."""
    handlers = HealthRoutes(system, board, version)
    return (
        Route(
            method="GET",
            path="/health/live",
            handler=handlers.live,
            summary="Whether the process lives, whatever it depends on",
            tag=TAG,
            public=True,
            priority=Priority.PROBES,
            unlimited=True,
            responses={
                200: Response("It does", Word),
                503: Response("It has stood still for five seconds", Word),
            },
        ),
        Route(
            method="GET",
            path="/health/ready",
            handler=handlers.ready,
            summary="Whether the process should be sent requests",
            tag=TAG,
            public=True,
            priority=Priority.PROBES,
            unlimited=True,
            responses={
                200: Response("It should", Word),
                503: Response("What it needs is down, or it stops", Word),
            },
        ),
        Route(
            method="GET",
            path="/health",
            handler=handlers.summary,
            summary="How it is in a word; for the role platform, every part of it",
            tag=TAG,
            public=True,
            priority=Priority.PROBES,
            recognises=True,
            unlimited=True,
            responses={200: Response("How it is", Health)},
            problems=(401, 503),
        ),
    )
