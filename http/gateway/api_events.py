"""The event routes: taking events without waiting, and reading what was stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from trio.lowlevel import checkpoint

from actors.event_tracking.messages import (
    MAX_BATCH_BYTES,
    MAX_EVENT_BYTES,
    QUERIES,
    TRACKER,
    Accepted,
    CountEvents,
    GetTotals,
    HourCount,
    ListEvents,
    Parcel,
    StoredEvent,
    Totals,
    Track,
)
from actors.event_tracking.packing import TooLarge, pack
from actors.event_tracking.scrubbing import DEPTH_MAX, TooDeep
from actors.vocabulary import Page
from gateway.bodies import Body, Cursor, Id, Instant, Limit, utc_or_none
from gateway.problems import Problem
from gateway.routes import (
    STAFF,
    WRITERS,
    Answer,
    ApiRequest,
    Response,
    Route,
    accepted,
    answer,
)
from gateway.settings import GatewaySettings
from runtime.policies import Priority

TAG: Final = "Events"

SLICE_EVENTS: Final = 200
"""Packed at once: about 2 ms, after which others get their turn."""


class EventBody(Body, frozen=True, kw_only=True, gc=False):
    """`message_id` is what an event is recognised by when it comes again. What `properties` say of
    a person is removed. Events of the least `importance` are dropped first, where there is no room
    for all."""

    message_id: Id
    type: Id
    customer_id: Id | None = None
    occurred_at: Instant
    properties: dict[str, Any] = msgspec.field(default_factory=dict)
    importance: Literal["low", "normal", "high"] = "normal"


class EventsBody(Body, frozen=True):
    """All of the events are taken, or none. Each may have up to 32 KiB."""

    events: Annotated[list[EventBody], Meta(min_length=1)]


class EventsQuery(Body, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """`from` is included, `to` is not; both are about `occurred_at`."""

    type: Id | None = None
    customer_id: Id | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class CountsQuery(Body, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """`from` is included, `to` is not; both are about the beginning of the hour."""

    type: Id | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """`received_at` is when it was taken."""

    message_id: str
    type: str
    customer_id: str | None
    occurred_at: datetime
    received_at: datetime
    properties: dict[str, Any]


class EncodedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An `EventView` whose properties are JSON already."""

    message_id: str
    type: str
    customer_id: str | None
    occurred_at: datetime
    received_at: datetime
    properties: msgspec.Raw


async def track_one(request: ApiRequest) -> Answer:
    return await _track(request, (request.body,))


async def track(request: ApiRequest) -> Answer:
    return await _track(request, request.body.events)


async def _track(request: ApiRequest, events: Sequence[EventBody]) -> Answer:
    """Pack them in slices, so that others get their turn in between, and hand them over at once."""
    now = request.system.clock.now()
    parcels: list[Parcel] = []
    for start in range(0, len(events), SLICE_EVENTS):
        if start:
            await checkpoint()
        parcels += _packed(request.merchant_id, events, start, now)
    return answer(await request.ask(TRACKER, Track(tuple(parcels))), 202)


def _packed(
    merchant_id: str, events: Sequence[EventBody], start: int, now: datetime
) -> list[Parcel]:
    """Raises `Problem`."""
    some = events[start : start + SLICE_EVENTS]
    try:
        return pack(merchant_id, some, now)
    except TooDeep:
        detail = f"properties may be at most {DEPTH_MAX} deep"
    except TooLarge as error:
        detail = f"an event may have at most {MAX_EVENT_BYTES} bytes: {error.message_id}"
    except OverflowError:
        detail = "time out of range - at `$.occurred_at`"
    raise Problem(422, "validation_failed", detail)


async def list_(request: ApiRequest) -> Answer:
    query: EventsQuery = request.query
    question = ListEvents(
        merchant_id=request.merchant_id,
        type=query.type,
        customer_id=query.customer_id,
        since=utc_or_none(query.since, "from"),
        until=utc_or_none(query.until, "to"),
        limit=query.limit,
        cursor=query.cursor,
    )
    found = accepted(await request.ask(QUERIES, question))
    return answer(Page(tuple(map(_encoded, found.items)), found.next_cursor))


def _encoded(event: StoredEvent) -> EncodedEvent:
    return EncodedEvent(
        message_id=event.message_id,
        type=event.type,
        customer_id=event.customer_id,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        properties=msgspec.Raw(event.properties),
    )


def view_of(event: StoredEvent) -> EventView:
    return EventView(
        message_id=event.message_id,
        type=event.type,
        customer_id=event.customer_id,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        properties=msgspec.json.decode(event.properties),
    )


async def count(request: ApiRequest) -> Answer:
    query: CountsQuery = request.query
    question = CountEvents(
        merchant_id=request.merchant_id,
        type=query.type,
        since=utc_or_none(query.since, "from"),
        until=utc_or_none(query.until, "to"),
        limit=query.limit,
        cursor=query.cursor,
    )
    return answer(accepted(await request.ask(QUERIES, question)))


async def totals(request: ApiRequest) -> Answer:
    return answer(await request.ask(QUERIES, GetTotals(request.merchant_id)))


def event_routes(settings: GatewaySettings) -> tuple[Route, ...]:
    """All routes of this area."""
    return (*_taking(settings), *READING)


def _taking(settings: GatewaySettings) -> tuple[Route, ...]:
    return (
        Route(
            method="POST",
            path="/v1/events",
            handler=track_one,
            summary="Take an event, without waiting until it is stored",
            tag=TAG,
            roles=WRITERS,
            body=EventBody,
            body_max_bytes=MAX_EVENT_BYTES,
            priority=Priority.READS,
            responses={202: Response("It was taken, or dropped for want of room", Accepted)},
        ),
        Route(
            method="POST",
            path="/v1/events/batch",
            handler=track,
            summary="Take up to 500 KiB of events, without waiting until they are stored",
            tag=TAG,
            roles=WRITERS,
            body=EventsBody,
            body_max_bytes=min(MAX_BATCH_BYTES, settings.batch_body_max_bytes),
            priority=Priority.READS,
            responses={202: Response("How many were taken, and dropped of those", Accepted)},
        ),
    )


READING: Final = (
    Route(
        method="GET",
        path="/v1/events",
        handler=list_,
        summary="Stored events, in the order in which they occurred",
        tag=TAG,
        roles=STAFF,
        query=EventsQuery,
        responses={200: Response("One page of events", Page[EventView])},
    ),
    Route(
        method="GET",
        path="/v1/events/counts",
        handler=count,
        summary="Stored events by hour and type",
        tag=TAG,
        roles=STAFF,
        query=CountsQuery,
        priority=Priority.DASHBOARDS,
        responses={200: Response("One page of counts", Page[HourCount])},
    ),
    Route(
        method="GET",
        path="/v1/events/totals",
        handler=totals,
        summary="What became of all events that were taken",
        tag=TAG,
        roles=STAFF,
        priority=Priority.DASHBOARDS,
        responses={200: Response("The counters", Totals)},
    ),
)
