"""The SQL of late deliveries and of the inbox, on every database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime import host
from runtime.outbox import Lane, OutboxEvent
from runtime.storage import ConstraintViolation, Database, Superseded, Write
from runtime.storage import late_deliveries as late
from runtime.storage.inbox import PRUNE, find_seen, inbox_write
from runtime.storage.outbox import FETCH_EVENTS, SELECT_BACKLOG, outbox_write

pytestmark = pytest.mark.trio(run=host.run)

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=3)
CONSUMER = "points"
LANE = Lane("m", "t", "k")
OTHER = Lane("m", "t", "l")


def event(number: int, lane: Lane = LANE) -> OutboxEvent:
    merchant_id, topic, key = lane
    return OutboxEvent(merchant_id, f"e{number:02}", topic, key, {"n": number}, NOW)


async def put(database: Database, *numbers: int, lane: Lane = LANE) -> None:
    writes = [late.late_write(event(number, lane), CONSUMER, 0, []) for number in numbers]
    await database.append([tuple(writes)])


async def write(database: Database, *writes: Write) -> None:
    await database.append([writes])


async def due(database: Database, at: datetime = NOW, *, again: bool = False) -> list[str]:
    sql, values = late.due_query(CONSUMER, at, 100, again=again)
    return [row["event_id"] for row in await database.fetch(sql, *values)]


async def test_nothing_is_due_before_its_lane_was_started(database: Database) -> None:
    await put(database, 1, 2)
    assert await due(database) == []
    await write(database, late.ensure_started_write(LANE, CONSUMER, NOW, 0))
    assert await due(database) == ["e01"]


async def test_started_lane_is_not_started_again_by_what_comes_behind(database: Database) -> None:
    await put(database, 1, 2)
    await write(database, *late.restart_writes(LANE, CONSUMER, SOON, failures=2))
    await write(database, late.ensure_started_write(LANE, CONSUMER, NOW, 0))
    assert await due(database, again=True) == []
    assert await due(database, SOON, again=True) == ["e01"]
    assert await due(database, SOON) == []


async def backlog(database: Database) -> tuple[object, ...]:
    """Fresh events, late deliveries, and when the oldest of each was published."""
    row = await database.fetch_row(SELECT_BACKLOG)
    assert row is not None
    return tuple(row)


async def test_restart_frees_the_first_rows_of_one_lane_in_order(database: Database) -> None:
    await put(database, 5, 1, 3)
    await put(database, 2, 4, lane=OTHER)
    await write(
        database,
        *late.restart_writes(LANE, CONSUMER, NOW, rows=2),
        *late.restart_writes(OTHER, CONSUMER, NOW - timedelta(seconds=1)),
    )
    assert await due(database) == ["e02", "e01", "e03"]
    await write(database, *late.restart_writes(LANE, CONSUMER, SOON, rows=1, failures=1))
    assert await due(database, SOON) == ["e02"]
    assert await due(database, SOON, again=True) == ["e01"]


async def test_same_delivery_can_be_late_only_once(database: Database) -> None:
    await put(database, 1)
    await put(database, 1)
    assert await backlog(database) == (0, 1, None, NOW)


async def test_taken_delivery_is_gone_and_the_next_follows(database: Database) -> None:
    await put(database, 1, 2)
    await write(
        database,
        late.taken_write(event(1), CONSUMER),
        *late.restart_writes(LANE, CONSUMER, NOW, rows=10),
    )
    assert await due(database) == ["e02"]


async def test_dead_delivery_leaves_its_lane_and_comes_back_in_front(database: Database) -> None:
    history = [{"what": "failed"}]
    await put(database, 1, 2)
    await write(
        database,
        late.record_write(event(1), CONSUMER, 5, history, NOW),
        *late.restart_writes(LANE, CONSUMER, SOON, failures=3),
    )
    assert await due(database, SOON, again=True) == ["e02"]
    assert await backlog(database) == (0, 1, None, NOW)
    row = await database.fetch_row(late.SELECT_ONE_DEAD, "m", CONSUMER, "e01")
    assert row is not None
    assert (row["attempts"], row["history"], row["dead_at"]) == (5, history, NOW)
    await write(database, *late.revive_writes(LANE, CONSUMER, "e01", history, NOW))
    assert await due(database) == ["e01"]
    assert await due(database, SOON, again=True) == []
    assert await database.fetch_row(late.SELECT_ONE_DEAD, "m", CONSUMER, "e01") is None


async def test_only_a_dead_delivery_can_be_put_back(database: Database) -> None:
    await put(database, 1)
    for event_id in ("e01", "e02"):
        with pytest.raises(Superseded):
            await write(database, *late.revive_writes(LANE, CONSUMER, event_id, [], NOW))


async def test_dead_deliveries_are_listed_page_by_page(database: Database) -> None:
    await put(database, 1, 2, 3, 4)
    dead = [late.record_write(event(number), CONSUMER, 5, [], NOW) for number in (1, 2, 4)]
    await write(database, *dead)
    found: list[str] = []
    after = ("", "")
    while rows := await database.fetch(late.SELECT_DEAD, *after, 2):
        found += [row["event_id"] for row in rows]
        after = (rows[-1]["event_id"], rows[-1]["consumer"])
    assert found == ["e01", "e02", "e04"]


async def test_long_dead_deliveries_are_given_up_the_oldest_first(database: Database) -> None:
    await put(database, 1, 2, 3, 4)
    for number in (1, 2, 3):
        died = NOW - timedelta(days=number)
        await write(database, late.record_write(event(number), CONSUMER, 5, [], died))

    async def given_up(before: datetime, rows: int) -> list[str]:
        return sorted(row[0] for row in await database.execute(late.PRUNE_DEAD, before, rows))

    assert await given_up(NOW - timedelta(days=1), 1) == ["e03"]
    assert await given_up(NOW - timedelta(days=1), 9) == ["e02"]
    left = await database.fetch("SELECT event_id FROM late_deliveries ORDER BY event_id")
    assert [row[0] for row in left] == ["e01", "e04"]


async def test_next_due_is_the_earliest_of_its_kind(database: Database) -> None:
    await put(database, 1)
    await put(database, 2, lane=OTHER)
    await write(
        database,
        *late.restart_writes(LANE, CONSUMER, SOON),
        *late.restart_writes(OTHER, CONSUMER, NOW, failures=1),
    )
    assert await database.fetch_value(late.SELECT_NEXT, CONSUMER) == SOON
    assert await database.fetch_value(late.SELECT_NEXT_AGAIN, CONSUMER) == NOW
    assert await database.fetch_value(late.SELECT_NEXT, "nobody") is None
    assert await backlog(database) == (0, 2, None, NOW)


def published(number: int, lane: Lane = LANE) -> Write:
    each = event(number, lane)
    return outbox_write(
        merchant_id=each.merchant_id,
        event_id=each.event_id,
        topic=each.topic,
        key=each.key,
        payload=each.payload,
        created_at=each.created_at,
    )


async def test_fresh_events_behind_living_late_ones_are_found(database: Database) -> None:
    await put(database, 1)
    await put(database, 2, lane=OTHER)
    await write(database, late.record_write(event(2, OTHER), CONSUMER, 5, [], NOW))
    await write(database, published(3), published(4, OTHER), published(5))
    rows = await database.fetch(late.SELECT_BEHIND, 10, CONSUMER)
    assert {Lane(*row) for row in rows} == {LANE}
    assert len(await database.fetch(late.SELECT_BEHIND, 2, CONSUMER)) == 1
    assert await database.fetch(late.SELECT_BEHIND, 10, "nobody") == []
    (first, *_) = await database.fetch(FETCH_EVENTS, 10)
    assert OutboxEvent(*first) == event(3)
    assert await backlog(database) == (3, 1, NOW, NOW)


# The inbox


def seen(number: int, recorded_at: datetime = NOW, consumer: str = CONSUMER) -> Write:
    return inbox_write(
        merchant_id="m", consumer=consumer, event_id=f"e{number:02}", recorded_at=recorded_at
    )


async def test_event_is_recorded_once_by_each_consumer(database: Database) -> None:
    await write(database, seen(1), seen(1, consumer="badges"))
    with pytest.raises(ConstraintViolation):
        await write(database, seen(2), seen(1))
    assert await find_seen(database, "m", CONSUMER, ["e01", "e02"]) == {"e01"}
    assert await find_seen(database, "other", CONSUMER, ["e01"]) == frozenset()
    assert await find_seen(database, "m", CONSUMER, []) == frozenset()


async def prune(database: Database, before: datetime, rows: int) -> Sequence[Any]:
    return sorted(row[0] for row in await database.execute(PRUNE, before, rows))


async def test_inbox_forgets_the_old_but_nothing_that_may_come_again(database: Database) -> None:
    old = NOW - timedelta(days=8)
    await write(database, *(seen(number, old + timedelta(number)) for number in range(1, 5)))
    await write(database, published(1))
    await put(database, 2)
    assert await prune(database, NOW, 10) == ["e03", "e04"]
    assert await find_seen(database, "m", CONSUMER, ["e01", "e02"]) == {"e01", "e02"}


async def test_inbox_forgets_in_bounded_steps_the_oldest_first(database: Database) -> None:
    await write(database, *(seen(n, NOW - timedelta(hours=n)) for n in range(5)))
    assert await prune(database, NOW, 2) == ["e03", "e04"]
    assert await prune(database, NOW, 10) == ["e01", "e02"]
