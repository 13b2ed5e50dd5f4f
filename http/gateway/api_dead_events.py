"""The platform's routes to dead events: those that a consumer failed on for good."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from actors.paging import decode_cursor, page
from actors.vocabulary import Page
from gateway.auditing import audited
from gateway.bodies import Id, PageQuery
from gateway.problems import Problem, not_found
from gateway.putting_back import TAG, Intervention, PutBackBody
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer
from runtime import outbox
from runtime.outbox import RELAY, GetDeadEvent, ListDeadEvents, PutBackEvent
from runtime.tracing import trace_id_of

PATH: Final = "/v1/admin/dead-events"
ONE: Final = PATH + "/{merchant_id}/{consumer}/{event_id}"

OLDEST: Final = ("", "")


class DeadEvent(msgspec.Struct, frozen=True, kw_only=True):
    """`error` is that of the last attempt."""

    merchant_id: str
    consumer: str
    event_id: str
    topic: str
    key: str
    attempts: int
    created_at: datetime
    died_at: datetime
    trace_id: str | None
    error: str | None


class FailedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    error: str


class EventDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An event with everything that is known about it. `payload` is as it was published.

    `attempts` are those since it was last put back. `errors` and `history` are in the order of
    time, and hold the last 50 together.
    """

    merchant_id: str
    consumer: str
    event_id: str
    topic: str
    key: str
    attempts: int
    created_at: datetime
    died_at: datetime
    trace_id: str | None
    payload: Any
    errors: tuple[FailedDelivery, ...]
    history: tuple[Intervention, ...]


def dead_event(dead: outbox.DeadEvent) -> DeadEvent:
    errors = tuple(_errors(dead))
    return DeadEvent(
        merchant_id=dead.event.merchant_id,
        consumer=dead.consumer,
        event_id=dead.event.event_id,
        topic=dead.event.topic,
        key=dead.event.key,
        attempts=dead.attempts,
        created_at=dead.event.created_at,
        died_at=dead.dead_at,
        trace_id=trace_id_of(dead.event.trace_id),
        error=errors[-1].error if errors else None,
    )


def details(dead: outbox.DeadEvent) -> EventDetails:
    return EventDetails(
        merchant_id=dead.event.merchant_id,
        consumer=dead.consumer,
        event_id=dead.event.event_id,
        topic=dead.event.topic,
        key=dead.event.key,
        attempts=dead.attempts,
        created_at=dead.event.created_at,
        died_at=dead.dead_at,
        trace_id=trace_id_of(dead.event.trace_id),
        payload=dead.event.payload,
        errors=tuple(_errors(dead)),
        history=tuple(_interventions(dead)),
    )


def _errors(dead: outbox.DeadEvent) -> Iterator[FailedDelivery]:
    for record in dead.history:
        if record["what"] == "failed":
            yield FailedDelivery(at=datetime.fromisoformat(record["at"]), error=record["error"])


def _interventions(dead: outbox.DeadEvent) -> Iterator[Intervention]:
    for record in dead.history:
        if record["what"] == "put back":
            yield Intervention(
                at=datetime.fromisoformat(record["at"]),
                action="put_back",
                by=record["who"],
                reason=record["why"],
            )


def _position(dead: outbox.DeadEvent) -> tuple[str, str]:
    return dead.event.event_id, dead.consumer


def _no_such_event() -> Problem:
    return not_found("there is no such dead event")


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    after = accepted(decode_cursor(query.cursor, tuple[Id, Id], OLDEST))
    events = await request.ask(RELAY, ListDeadEvents(query.limit + 1, after))
    return answer(page(events, query.limit, dead_event, _position))


async def show(request: ApiRequest) -> Answer:
    dead = await request.ask(RELAY, GetDeadEvent(**request.path))
    if dead is None:
        raise _no_such_event()
    return answer(details(dead))


async def put_back(request: ApiRequest) -> Answer:
    body: PutBackBody = request.body
    audit = audited(
        request,
        "dead_event.put_back",
        f"{request.path['consumer']}/{request.path['event_id']}",
        before={"state": "dead"},
        after={"state": "late"},
        reason=body.reason,
        merchant_id=request.path["merchant_id"],
    )
    command = PutBackEvent(
        **request.path, who=request.caller.subject, why=body.reason, publishes=(audit,)
    )
    event = await request.ask(RELAY, command)
    if event is None:
        raise _no_such_event()
    return answer(details(event))


ROUTES: Final = (
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="Events that a consumer failed on for good, of all merchants, the oldest first",
        tag=TAG,
        roles=OPERATORS,
        query=PageQuery,
        responses={200: Response("One page of dead events", Page[DeadEvent])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show,
        summary="One dead event, with its payload, its errors, and who put it back before",
        tag=TAG,
        roles=OPERATORS,
        responses={200: Response("The dead event", EventDetails)},
    ),
    Route(
        method="POST",
        path=f"{ONE}/put-back",
        handler=put_back,
        summary="Give a dead event all its attempts again, before what waits behind it",
        tag=TAG,
        roles=OPERATORS,
        body=PutBackBody,
        responses={200: Response("The event as it waits now", EventDetails)},
    ),
)
