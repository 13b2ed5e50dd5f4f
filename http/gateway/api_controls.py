"""The platform's switches: breakers, faults on purpose, load shedding."""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.vocabulary import Page, Refusal
from gateway.bodies import Body, Text
from gateway.problems import not_found
from gateway.putting_back import TAG
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer
from gateway.switch_messages import (
    SWITCHBOARD,
    GetPolicies,
    GetShedding,
    GetSwitches,
    Order,
    SwitchBreaker,
    SwitchChaos,
    SwitchShedding,
)
from runtime.message import Call
from runtime.policies import (
    BreakerState,
    ChaosSpec,
    Fault,
    ForcedState,
    PipelineStatistics,
    Priority,
    SheddingMode,
    SheddingStatistics,
)
from supervisors.switches import Switched, SwitchKind

POLICIES: Final = "/v1/admin/policies"
BREAKER: Final = POLICIES + "/{name}/breaker"
CHAOS: Final = POLICIES + "/{name}/chaos"
SHEDDING: Final = "/v1/admin/shedding"
SWITCHES: Final = "/v1/admin/switches"

FOR_MAX_S: Final = 7 * 86_400

Seconds = Annotated[float, Meta(gt=0, le=FOR_MAX_S, description="then it goes by itself again")]
Share = Annotated[float, Meta(ge=0, le=1)]
Delay = Annotated[float, Meta(ge=0, le=3_600)]


class SwitchBody(Body, frozen=True, kw_only=True):
    """`reason` is kept in the audit log, beside the caller's name."""

    reason: Text
    for_s: Seconds | None = None


class BreakerSwitch(Enum):
    """`automatic` lets it go by itself."""

    AUTOMATIC = "automatic"
    FORCED_OPEN = "forced_open"
    METRICS_ONLY = "metrics_only"
    DISABLED = "disabled"


class Sheddable(Enum):
    """Probes, and the routes of operators, are never turned away by hand."""

    WEBHOOKS = "webhooks"
    WRITES = "writes"
    READS = "reads"
    DASHBOARDS = "dashboards"


class BreakerBody(SwitchBody, frozen=True, kw_only=True):
    state: BreakerSwitch


class ChaosBody(SwitchBody, frozen=True, kw_only=True):
    """`fault` for a `share` of the calls; a delay takes `delay_s` ± `spread_s`."""

    fault: Fault
    share: Share = 1.0
    delay_s: Delay = 0.0
    spread_s: Delay = 0.0


class SheddingBody(SwitchBody, frozen=True, kw_only=True):
    """`shed` are turned away in any case, for as long as this lasts."""

    mode: SheddingMode = SheddingMode.AUTOMATIC
    shed: Annotated[tuple[Sheddable, ...], Meta(max_length=4)] = ()


class LiftQuery(Body, frozen=True):
    reason: Text


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """`calls`, `failures` and `slow` of its window; `rejected` since the start."""

    state: BreakerState
    calls: int
    failures: int
    slow: int
    rejected: int
    retry_after_s: float


class Bulkhead(msgspec.Struct, frozen=True, kw_only=True):
    limit: int
    in_use: int
    waiting: int
    rejected: int


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """`calls` and `retries` of its window, `denied` by the budget since the start."""

    calls: int
    retries: int
    denied: int


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    fault: Fault
    share: float
    delay_s: float
    spread_s: float


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline of one dependency. Null is what it does without."""

    name: str
    deadline_s: float | None
    attempt_s: float | None
    breaker: Breaker | None
    bulkhead: Bulkhead | None
    retries: Retries | None
    chaos: Faults | None


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an operator has switched, until it goes by itself again, if it does."""

    kind: SwitchKind
    target: str
    state: dict[str, Any]
    by: str
    reason: str
    since: datetime
    until: datetime | None


class Shedding(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` requests may run at once; `shed` and `admitted` by priority, since the start."""

    mode: SheddingMode
    shed_by_hand: tuple[Priority, ...]
    limit: int
    in_flight: int
    waiting: int
    admitted: dict[str, int]
    shed: dict[str, int]


def switch_of(switched: Switched) -> Switch:
    return Switch(
        kind=switched.kind,
        target=switched.target,
        state=switched.state,
        by=switched.by,
        reason=switched.reason,
        since=switched.since,
        until=switched.until,
    )


def policy_of(found: PipelineStatistics) -> Policy:
    return Policy(
        name=found.name,
        deadline_s=found.deadline_s,
        attempt_s=found.attempt_s,
        breaker=_like(found.breaker, Breaker),
        bulkhead=_like(found.bulkhead, Bulkhead),
        retries=_like(found.retry, Retries),
        chaos=_like(found.chaos, Faults),
    )


def _like(value: object, type_: type[Any]) -> Any:
    """Those fields of a value that a type has, as a value of it."""
    if value is None:
        return None
    return type_(**{name: getattr(value, name) for name in type_.__struct_fields__})


def _shedding(found: SheddingStatistics) -> Shedding:
    by_hand = sorted(found.shed_by_hand, key=lambda priority: priority.value)
    return Shedding(
        mode=found.mode,
        shed_by_hand=tuple(by_hand),
        limit=found.limit,
        in_flight=found.in_flight,
        waiting=found.waiting,
        admitted={priority.value: count for priority, count in found.admitted.items()},
        shed={priority.value: count for priority, count in found.shed.items()},
    )


async def policies(request: ApiRequest) -> Answer:
    return _page(map(policy_of, await request.ask(SWITCHBOARD, GetPolicies())))


async def switches(request: ApiRequest) -> Answer:
    return _page(map(switch_of, await request.ask(SWITCHBOARD, GetSwitches())))


async def shedding(request: ApiRequest) -> Answer:
    return answer(_shedding(await request.ask(SWITCHBOARD, GetShedding())))


def _page(items: Iterable[Any]) -> Answer:
    return answer(Page(tuple(items), None))


async def switch_breaker(request: ApiRequest) -> Answer:
    body: BreakerBody = request.body
    automatic = body.state is BreakerSwitch.AUTOMATIC
    state = None if automatic else ForcedState(body.state.value)
    name = request.path["name"]
    return await _switch_policy(request, name, SwitchBreaker(name, state, _order(request, body)))


async def switch_chaos(request: ApiRequest) -> Answer:
    body: ChaosBody = request.body
    spec = ChaosSpec(
        fault=body.fault, share=body.share, delay_s=body.delay_s, spread_s=body.spread_s
    )
    name = request.path["name"]
    return await _switch_policy(request, name, SwitchChaos(name, spec, _order(request, body)))


async def lift_chaos(request: ApiRequest) -> Answer:
    name = request.path["name"]
    return await _switch_policy(
        request, name, SwitchChaos(name, None, _order(request, request.query))
    )


async def switch_shedding(request: ApiRequest) -> Answer:
    body: SheddingBody = request.body
    order = _order(request, body)
    shed = frozenset(Priority(each.value) for each in body.shed)
    await request.ask(SWITCHBOARD, SwitchShedding(body.mode, shed, order))
    return await shedding(request)


async def _switch_policy(request: ApiRequest, name: str, command: Call[Refusal | None]) -> Answer:
    """Answered with the policy as it is then."""
    accepted(await request.ask(SWITCHBOARD, command))
    for found in await request.ask(SWITCHBOARD, GetPolicies()):
        if found.name == name:
            return answer(policy_of(found))
    raise not_found()


def _order(request: ApiRequest, body: Any) -> Order:
    return Order(
        subject=request.caller.subject,
        role=request.caller.role.value,
        reason=body.reason,
        trace_id=request.trace_id,
        for_s=getattr(body, "for_s", None),
    )


def _route(method: str, path: str, **rest: Any) -> Route:
    """Operators get through whatever else is turned away."""
    return Route(
        method=method,
        path=path,
        tag=TAG,
        roles=OPERATORS,
        priority=Priority.PROBES,
        **rest,
    )


ROUTES: Final = (
    _route(
        "GET",
        POLICIES,
        handler=policies,
        summary="Every dependency with its policies, as they are now",
        responses={200: Response("The dependencies", Page[Policy])},
    ),
    _route(
        "PUT",
        BREAKER,
        handler=switch_breaker,
        summary="Hold the breaker of a dependency in a state, or let it go by itself again",
        body=BreakerBody,
        responses={200: Response("The dependency's policies", Policy)},
        problems=(409,),
    ),
    _route(
        "PUT",
        CHAOS,
        handler=switch_chaos,
        summary="Make faults on purpose, where the settings allow it",
        body=ChaosBody,
        responses={200: Response("The dependency's policies", Policy)},
        problems=(409,),
    ),
    _route(
        "DELETE",
        CHAOS,
        handler=lift_chaos,
        summary="Make no faults any more",
        query=LiftQuery,
        responses={200: Response("The dependency's policies", Policy)},
        problems=(409,),
    ),
    _route(
        "GET",
        SHEDDING,
        handler=shedding,
        summary="Load shedding, as it is now",
        responses={200: Response("Load shedding", Shedding)},
    ),
    _route(
        "PUT",
        SHEDDING,
        handler=switch_shedding,
        summary="Turn requests away by their priority, or let it go by itself again",
        body=SheddingBody,
        responses={200: Response("Load shedding", Shedding)},
    ),
    _route(
        "GET",
        SWITCHES,
        handler=switches,
        summary="What operators have switched, and until when",
        responses={200: Response("The switches", Page[Switch])},
    ),
)
