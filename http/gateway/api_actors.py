"""Looking at actors while they run: statistics, state, suspension and traces."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Final

import msgspec
import trio
from msgspec import Meta

from actors.vocabulary import Page
from gateway.api_controls import LiftQuery
from gateway.bodies import TEXT_PATTERN, Body, Text
from gateway.introspection_messages import (
    INTROSPECTION,
    NOT_SUSPENDED,
    EndTrace,
    GetActorState,
    GetHeldUp,
    GetStatistics,
    GetSuspension,
    GetTrace,
    Hold,
    LetGo,
    ReplaceActorState,
    ResumeActor,
    SuspendActor,
    TraceActor,
)
from gateway.putting_back import TAG
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer
from gateway.switch_messages import Order
from runtime.message_trace import EVENTS_MAX, MessageTrace, TraceEnd, TraceEvent
from runtime.parking import monotonic
from runtime.policies import Priority
from runtime.system_messages import (
    SUSPENSION_MAX_S,
    SUSPENSION_S,
    TRACE_EVENTS,
    TRACE_MAX_S,
    TRACE_S,
    ActorState,
    ActorStatistics,
)

ACTORS: Final = "/v1/admin/actors"
STATISTICS: Final = f"{ACTORS}/statistics"
STATE: Final = f"{ACTORS}/state"
SUSPENSION: Final = f"{ACTORS}/suspension"
TRACE: Final = f"{ACTORS}/trace"

WAIT_MAX_S: Final = 2.0
"""Well within the deadline of a request."""

ActorName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        pattern=TEXT_PATTERN,
        description="its address in the tree, its name, or region/key of an entity",
    ),
]
Wait = Annotated[float, Meta(ge=0, le=WAIT_MAX_S, description="wait so long for news")]
Holding = Annotated[
    bool,
    Meta(description="end it when a request that waits is broken off, or none comes for 10 s"),
]
Changes = Annotated[dict[str, Any], Meta(min_length=1, max_length=50)]


class ActorQuery(Body, frozen=True, kw_only=True):
    actor: ActorName


class SuspensionQuery(ActorQuery, frozen=True, kw_only=True):
    wait_s: Wait = 0.0


class TraceQuery(SuspensionQuery, frozen=True, kw_only=True):
    """`after` is the number of the last event that is known."""

    after: Annotated[int, Meta(ge=0, le=EVENTS_MAX)] = 0


class EndQuery(LiftQuery, frozen=True, kw_only=True):
    actor: ActorName


class StateBody(Body, frozen=True, kw_only=True):
    """`changes` by the names that the state shows as replaceable."""

    actor: ActorName
    changes: Changes
    reason: Text


class SuspensionBody(Body, frozen=True, kw_only=True):
    actor: ActorName
    for_s: Annotated[float, Meta(gt=0, le=SUSPENSION_MAX_S)] = SUSPENSION_S
    hold: Holding = False
    reason: Text


class TraceBody(Body, frozen=True, kw_only=True):
    """It ends after so many `events`, too."""

    actor: ActorName
    for_s: Annotated[float, Meta(gt=0, le=TRACE_MAX_S)] = TRACE_S
    events: Annotated[int, Meta(ge=1, le=EVENTS_MAX)] = TRACE_EVENTS
    hold: Holding = False
    reason: Text


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """`events` are those behind the one that was asked for; `missed` of them are not kept any more.

    `count` is the number of the last one. `end` is why it is over; null: it is not, and will be
    in `left_s` at the latest.
    """

    actor: str
    events: tuple[TraceEvent, ...]
    missed: int
    count: int
    end: TraceEnd | None
    left_s: float


async def held_up(request: ApiRequest) -> Answer:
    return answer(Page(await request.ask(INTROSPECTION, GetHeldUp()), None))


async def statistics(request: ApiRequest) -> Answer:
    return answer(accepted(await request.ask(INTROSPECTION, GetStatistics(request.query.actor))))


async def state(request: ApiRequest) -> Answer:
    return answer(accepted(await request.ask(INTROSPECTION, GetActorState(request.query.actor))))


async def replace_state(request: ApiRequest) -> Answer:
    body: StateBody = request.body
    message = ReplaceActorState(body.actor, body.changes, _order(request, body.reason))
    return answer(accepted(await request.ask(INTROSPECTION, message)))


async def suspension(request: ApiRequest) -> Answer:
    query: SuspensionQuery = request.query
    with _letting_go(request, Hold.SUSPENSION):
        found = await request.ask(INTROSPECTION, GetSuspension(query.actor))
        if found != NOT_SUSPENDED:
            await _wait(request, accepted(found).over.wait)
        return await statistics(request)


async def suspend(request: ApiRequest) -> Answer:
    body: SuspensionBody = request.body
    order = _order(request, body.reason, body.for_s)
    message = SuspendActor(body.actor, order, body.hold)
    return answer(accepted(await request.ask(INTROSPECTION, message)))


async def resume(request: ApiRequest) -> Answer:
    query: EndQuery = request.query
    message = ResumeActor(query.actor, _order(request, query.reason))
    return answer(accepted(await request.ask(INTROSPECTION, message)))


async def trace(request: ApiRequest) -> Answer:
    query: TraceQuery = request.query
    with _letting_go(request, Hold.TRACE):
        found = accepted(await request.ask(INTROSPECTION, GetTrace(query.actor)))
        await _wait(request, partial(found.wait, query.after))
    return answer(_trace(found, query.after))


async def start_trace(request: ApiRequest) -> Answer:
    body: TraceBody = request.body
    order = _order(request, body.reason, body.for_s)
    message = TraceActor(body.actor, body.events, order, body.hold)
    return answer(_trace(accepted(await request.ask(INTROSPECTION, message))))


async def end_trace(request: ApiRequest) -> Answer:
    query: EndQuery = request.query
    message = EndTrace(query.actor, _order(request, query.reason))
    return answer(_trace(accepted(await request.ask(INTROSPECTION, message))))


async def _wait(request: ApiRequest, news: Callable[[], Awaitable[object]]) -> None:
    """Wait for news as long as the query says."""
    with trio.move_on_after(request.query.wait_s):
        await news()


@contextmanager
def _letting_go(request: ApiRequest, what: Hold) -> Iterator[None]:
    """Who goes away meanwhile lets go of the actor."""
    try:
        yield
    except trio.Cancelled:
        request.domains.notify(INTROSPECTION, LetGo(request.query.actor, what))
        raise


def _trace(found: MessageTrace, after: int = 0) -> Trace:
    events = found.after(after)
    return Trace(
        actor=found.address,
        events=events,
        missed=max(0, found.count - after - len(events)),
        count=found.count,
        end=found.end,
        left_s=max(0.0, found.ends_at - monotonic()) if found.end is None else 0.0,
    )


def _order(request: ApiRequest, reason: str, for_s: float | None = None) -> Order:
    return Order(
        subject=request.caller.subject,
        role=request.caller.role.value,
        reason=reason,
        trace_id=request.trace_id,
        for_s=for_s,
    )


def _route(method: str, path: str, type_: Any, description: str, **rest: Any) -> Route:
    """Operators get through whatever else is turned away."""
    return Route(
        method=method,
        path=path,
        tag=TAG,
        roles=OPERATORS,
        priority=Priority.PROBES,
        responses={200: Response(description, type_)},
        **rest,
    )


ROUTES: Final = (
    _route(
        "GET",
        ACTORS,
        Page[ActorStatistics],
        "The actors",
        handler=held_up,
        summary="Actors that are suspended or traced at present",
    ),
    _route(
        "GET",
        STATISTICS,
        ActorStatistics,
        "Its statistics",
        handler=statistics,
        summary="What is known of an actor, also of one that does not answer",
        query=ActorQuery,
        problems=(404,),
    ),
    _route(
        "GET",
        STATE,
        ActorState,
        "Its state",
        handler=state,
        summary="The state of an actor between two messages, without what nobody is to see",
        query=ActorQuery,
        problems=(404,),
    ),
    _route(
        "PUT",
        STATE,
        ActorState,
        "Its state then",
        handler=replace_state,
        summary="Put other values into the state of an actor that allows it",
        body=StateBody,
        problems=(404,),
    ),
    _route(
        "GET",
        SUSPENSION,
        ActorStatistics,
        "Its statistics then",
        handler=suspension,
        summary="Whether an actor is suspended; waits for the end of it, and holds what is held",
        query=SuspensionQuery,
        problems=(404,),
    ),
    _route(
        "PUT",
        SUSPENSION,
        ActorStatistics,
        "Its statistics then",
        handler=suspend,
        summary="Have an actor leave its messages unread for a time",
        body=SuspensionBody,
        problems=(404, 409),
    ),
    _route(
        "DELETE",
        SUSPENSION,
        ActorStatistics,
        "Its statistics then",
        handler=resume,
        summary="Let a suspended actor go on",
        query=EndQuery,
        problems=(404,),
    ),
    _route(
        "GET",
        TRACE,
        Trace,
        "What is new in it",
        handler=trace,
        summary="Read the trace of an actor; waits for news, and holds what is held",
        query=TraceQuery,
        problems=(404,),
    ),
    _route(
        "PUT",
        TRACE,
        Trace,
        "The trace",
        handler=start_trace,
        summary="Take down which messages an actor gets and sends, for a time",
        body=TraceBody,
        problems=(404, 409),
    ),
    _route(
        "DELETE",
        TRACE,
        Trace,
        "The trace",
        handler=end_trace,
        summary="End the trace of an actor",
        query=EndQuery,
        problems=(404,),
    ),
)
