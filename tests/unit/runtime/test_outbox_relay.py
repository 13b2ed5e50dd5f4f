"""The relay: order, isolation of what fails, dead events, and what it costs."""

from collections.abc import MutableMapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    DEFERRED,
    Actor,
    ActorDown,
    AskTimeout,
    ChildSpec,
    Expired,
    MailboxFull,
    Outcome,
    RestartChild,
    TerminateChild,
)
from runtime.context import request_context
from runtime.journal import JOURNAL, Append
from runtime.lateness import MAX_ATTEMPTS, Ledger
from runtime.outbox import (
    RELAY,
    Deliver,
    GetDeadEvent,
    ListDeadEvents,
    Nudge,
    OutboxEvent,
    PutBackEvent,
)
from runtime.outbox_lookout import LOOK_S
from runtime.outbox_relay import POLL_S
from runtime.outbox_store import PAGE
from runtime.outbox_upkeep import DEAD_RETENTION, MEASURE_S
from runtime.ownership import Ownership
from runtime.ports import VirtualClock
from runtime.storage import CommitUnknown, StorageError, StorageFull, StorageUnavailable
from runtime.storage.inbox import inbox_write
from runtime.storage.late_deliveries import late_write, record_write
from tests.unit.runtime.helpers import START
from tests.unit.runtime.relaying import (
    Consumer,
    event,
    numbers,
    poison,
    quiet,
    relaying,
)

Logs = list[MutableMapping[str, Any]]
IDLE_S = 60.0


# Delivery


async def test_events_reach_every_subscriber_in_order_and_are_deleted(
    autojump_clock: MockClock,
) -> None:
    """Clause J4."""
    one, two = Consumer("one"), Consumer("two")
    async with relaying(one, two) as world:
        for number in (3, 1, 2):
            await world.publish(event(number))
        await quiet()
        assert await world.backlog() == 0
        assert sorted(one.got) == sorted(two.got) == [1, 2, 3]
        assert world.metric("outbox_events_total", topic="topic", outcome="delivered") == 6


async def test_backlog_is_delivered_in_the_order_of_the_ids(autojump_clock: MockClock) -> None:
    """Clauses J4 and J6."""
    one = Consumer("one")
    async with relaying(one) as world:
        await world.publish(*(event(number) for number in (4, 2, 5, 1, 3)))
        await quiet()
        assert one.asked == [[1, 2, 3, 4, 5]]


async def test_an_event_comes_under_the_trace_of_who_published_it(
    autojump_clock: MockClock,
) -> None:
    """Clause J4, also of events that come late; those of several traces under none."""
    failing = iter([ValueError("not now")])
    one = Consumer("one", lambda _: next(failing, None))
    async with relaying(one) as world:
        with request_context(trace_id="first"):
            late = event(1)
        await world.publish(late)
        await trio.sleep(2)
        with request_context(trace_id="second"):
            again = event(2, key="a")
        await world.publish(again, event(3, key="b"))
        await quiet()
        assert one.got == [1, 2, 3]
        assert one.traces == [("first", "first")] * 2 + [(None, "second", None)]


async def test_event_without_a_subscriber_is_deleted(autojump_clock: MockClock) -> None:
    """Clause J4."""
    async with relaying() as world:
        await world.publish(event(1, "other"))
        await quiet()
        assert await world.backlog() == 0
        assert world.metric("outbox_events_total", topic="other", outcome="unsubscribed") == 1


async def test_lost_nudge_costs_two_seconds(autojump_clock: MockClock) -> None:
    """Clause J4."""
    one = Consumer("one")
    async with relaying(one) as world:
        await quiet()
        await world.database.append([(event(1),)])
        await quiet()
        assert one.got == []
        await trio.sleep(2.1)
        assert one.got == [1]


async def test_what_another_process_left_late_is_found_within_half_a_minute(
    autojump_clock: MockClock,
) -> None:
    """Clause J4: it may have written until this one took over, after this one's first look."""
    one = Consumer("one")
    async with relaying(one) as world:
        await quiet()
        theirs = OutboxEvent("m", "e00001", "topic", "k", {"number": 1}, START)
        ledger = Ledger("one", START, world.system.random)
        ledger.postpone((theirs,))
        await world.database.append([tuple(ledger.writes)])
        await trio.sleep(LOOK_S + 1)
        assert one.got == [1]
        assert await world.backlog() == 0


async def test_a_relay_of_a_process_that_has_the_store_to_itself_waits_for_nudges(
    autojump_clock: MockClock,
) -> None:
    """Of all commits of events, whatever their writers say of them."""
    one = Consumer("one")
    async with relaying(one, ownership=Ownership()) as world:
        await world.publish(event(1))
        await trio.sleep(IDLE_S)
        assert one.got == [1]
        before = world.store.reads
        await trio.sleep(IDLE_S)
        assert world.store.reads - before <= IDLE_S / MEASURE_S + IDLE_S / LOOK_S
        now = trio.current_time()
        assert await world.system.ref(JOURNAL).ask(Append((event(2),))) is None
        await quiet()
        assert (one.got, trio.current_time()) == ([1, 2], now)


async def test_events_that_nobody_nudged_for_are_delivered_when_they_are_measured(
    autojump_clock: MockClock,
) -> None:
    one = Consumer("one")
    async with relaying(one, ownership=Ownership()) as world:
        await world.publish(event(1))
        await trio.sleep(IDLE_S + 1)
        await world.database.append([(event(2),)])
        await trio.sleep(MEASURE_S)
        assert one.got == [1, 2]


async def test_where_others_write_it_looks_by_itself(autojump_clock: MockClock) -> None:
    one = Consumer("one")
    async with relaying(one, ownership=Ownership("shard")) as world:
        await world.publish(event(1))
        for number in range(2, 9):
            await world.database.append([(event(number),)])
            await trio.sleep(POLL_S + 0.01)
            assert one.got[-1] == number


async def test_event_is_delivered_again_when_its_deletion_failed(autojump_clock: MockClock) -> None:
    """Clause J4: at least once, and the consumer recognises it."""
    one = Consumer("one")
    async with relaying(one) as world:
        await world.database.append([(event(1),)])
        world.store.failures.append(StorageError("lost"))
        world.system.ref(RELAY).tell(Nudge())
        await trio.sleep(5)
        assert one.got == [1, 1]
        assert await world.backlog() == 0


@pytest.mark.parametrize("away", [StorageUnavailable("x"), StorageFull("x"), CommitUnknown("x")])
async def test_relay_outlives_a_store_that_is_away(
    away: StorageError, autojump_clock: MockClock
) -> None:
    """Clause J4."""
    one = Consumer("one")
    async with relaying(one) as world:
        database = world.database
        world.store.detach()
        with pytest.raises(StorageUnavailable):
            await world.backlog()
        await trio.sleep(30)
        world.store.attach(database)
        world.store.failures.append(away)
        await world.publish_at_once([event(1)])
        await trio.sleep(15)  # the wait that is under way, and one more: 5 s ± 20% each
        assert set(one.got) == {1}
        assert await world.backlog() == 0
        assert (await world.system.ref(RELAY).inspect()).incarnation == 1


# Isolation


async def test_a_consumer_that_hangs_holds_up_no_other(autojump_clock: MockClock) -> None:
    """Clause J6."""
    silent, one = Consumer("silent", lambda _: DEFERRED), Consumer("one")
    async with relaying(silent, one) as world:
        for number in range(20):
            await world.publish(event(number))
            await trio.sleep(0.1)
        await trio.sleep(1)
        assert one.got == list(range(20))
        assert await world.backlog() == 20


async def test_a_consumer_that_takes_long_is_not_asked_twice_for_the_same(
    autojump_clock: MockClock,
) -> None:
    """Clauses J4 and J6."""

    class Slow(Consumer):
        async def receive(self, message: Any) -> object:
            await trio.sleep(3)
            return await super().receive(message)

    asked: list[list[int]] = []

    def start() -> Actor:
        slow = Slow("slow")
        slow.asked = asked
        return slow

    async with relaying(ChildSpec("slow", start, name="slow")) as world:
        await world.publish(event(1), event(2))
        await trio.sleep(1.5)
        await world.publish(event(3))
        await trio.sleep(10)
        assert asked == [[1, 2], [3]]
        assert await world.backlog() == 0


async def test_an_absent_consumer_gets_everything_in_order_when_it_is_back(
    autojump_clock: MockClock,
) -> None:
    """Clauses J6 and J7."""
    one, two = Consumer("one"), Consumer("two")
    async with relaying(one, two) as world:
        root = world.system.ref("root")
        await root.ask(TerminateChild("one"))
        for number in range(1_200):
            await world.publish(event(number, key=f"k{number % 7}"))
            if number % 100 == 0:
                await trio.sleep(1)
        await trio.sleep(600)
        assert two.got == list(range(1_200))
        assert await world.dead() == ()
        await root.ask(RestartChild("one"))
        await trio.sleep(10)
        assert sorted(one.got) == list(range(1_200))
        for key in range(7):
            of_key = [number for number in one.got if number % 7 == key]
            assert of_key == sorted(of_key)
        assert await world.backlog() == 0


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailable("no database"),
        StorageFull("no space"),
        CommitUnknown("cut off"),
        ActorDown("x", None),
        MailboxFull("x", None, "full"),
        Expired("x", None, "late"),
        ActorDown("x", Append(()), outcome=Outcome.UNKNOWN),
    ],
)
async def test_what_says_nothing_about_the_event_is_no_attempt(
    error: Exception, autojump_clock: MockClock
) -> None:
    """Clause J7."""
    answers: list[Exception] = [error] * 12
    one = Consumer("one", lambda _: answers.pop() if answers else None)
    async with relaying(one) as world:
        await world.publish(event(1))
        await quiet()
        await world.publish(event(2))
        await trio.sleep(400)
        assert one.got == [1, 2]
        assert len(one.asked) in (13, 14)
        assert world.metric("outbox_dead_total") == 0


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [10_000, 1])
async def test_ten_thousand_stuck_events_at_the_head_hold_nobody_up(
    lanes: int, autojump_clock: MockClock
) -> None:
    """Clause J6: in lanes of their own, or all in one."""
    stuck, healthy = 10_000, 300
    bad = set(range(stuck)) if lanes > 1 else {0}
    one = Consumer("one", lambda events: ValueError("x") if bad & set(numbers(events)) else None)
    async with relaying(one) as world:
        events = [event(number, key=f"bad{number % lanes}") for number in range(stuck)]
        events += [event(stuck + number, key=f"k{number % 9}") for number in range(healthy)]
        await world.publish_at_once(events)
        await trio.sleep(0.5)
        assert sorted(one.got) == list(range(stuck, stuck + healthy))
        pages = -(-(stuck + healthy) // PAGE)
        assert world.store.reads <= 6 * pages + 20
        assert world.store.entries <= 2 * pages
        before = world.store.reads
        await world.publish(event(20_000, key="new"))
        await quiet()
        assert one.got[-1] == 20_000
        assert world.store.reads - before <= 10


async def test_lane_that_got_stuck_goes_on_in_order_once_its_head_is_dead(
    autojump_clock: MockClock,
) -> None:
    """Clauses J6 and J8."""
    one = Consumer("one", poison(0))
    async with relaying(one) as world:
        await world.publish_at_once([event(number) for number in range(2_000)])
        await trio.sleep(60)
        assert one.got == list(range(1, 2_000))
        assert await world.backlog() == 0
        assert numbers(dead.event for dead in await world.dead()) == [0]


async def test_order_holds_when_the_relay_starts_anew_with_a_stuck_lane(
    autojump_clock: MockClock,
) -> None:
    """Clause J6."""
    failing = [True]
    one = Consumer(
        "one", lambda events: MailboxFull("x", None, "full") if failing and events else None
    )
    async with relaying(one) as world:
        await world.publish(event(1), event(2))
        await trio.sleep(2)
        root = world.system.ref("root")
        await root.ask(TerminateChild("relay"))
        await world.database.append([(event(3), event(4, key="other"))])
        await root.ask(RestartChild("relay"))
        failing.clear()
        await trio.sleep(60)
        assert [number for number in one.got if number != 4] == [1, 2, 3]
        assert one.got[0] == 4


# Dead events


@pytest.mark.parametrize(
    "error",
    [ValueError("bad"), StorageError("bad"), AskTimeout("x", None, "slow"), DEFERRED],
)
async def test_poison_is_dead_after_exactly_five_attempts_and_frees_its_lane(
    error: object, logs: Logs, autojump_clock: MockClock
) -> None:
    """Clause J8."""
    one, two = Consumer("one", poison(1, error=error)), Consumer("two")
    async with relaying(one, two) as world:
        await world.publish(event(1))
        await quiet()
        await world.publish(event(2), event(3, key="other"))
        await trio.sleep(90)
        assert one.asked.count([1]) == MAX_ATTEMPTS
        assert [number for number in one.got if number != 3] == [2]
        assert sorted(two.got) == [1, 2, 3]
        (dead,) = await world.dead()
        assert (dead.event.event_id, dead.consumer, dead.attempts) == ("e00001", "one", 5)
        assert [record["what"] for record in dead.history] == ["failed"] * 5
        assert world.metric("outbox_dead_total") == 1
        assert world.metric("outbox_events_total", topic="topic", outcome="dead") == 1
        assert [entry["event"] for entry in logs].count("event_dead") == 1
        assert await world.backlog() == 0


@pytest.mark.parametrize("text", ["\ud800", "\0", "\ud800" * 2_000])
async def test_what_a_consumer_says_of_its_failure_holds_nobody_up(
    text: str, autojump_clock: MockClock
) -> None:
    """Clause J8: however little a store can keep of it."""
    failing = Consumer("failing", poison(1, error=ValueError(text)))
    other = Consumer("other")
    async with relaying(failing, other) as world:
        await world.publish(event(1, key="bad"), event(2))
        await trio.sleep(100)
        assert failing.got == [2]
        assert other.got == [1, 2]
        (dead,) = await world.dead()
        assert len(dead.history) == 5


async def test_a_clock_that_was_set_back_makes_no_lane_wait_longer(
    autojump_clock: MockClock,
) -> None:
    """Clause J8: waits are short, whatever the times in the table say."""
    failures = [ValueError("not yet")] * 3
    flaky = Consumer("flaky", lambda _events: failures.pop() if failures else None)
    async with relaying(flaky) as world:
        clock = world.system.clock
        assert isinstance(clock, VirtualClock)
        clock.start += timedelta(days=1)
        await world.publish(event(1), event(2))
        await quiet()
        assert flaky.got == []
        failures.clear()
        clock.start -= timedelta(days=1)
        await trio.sleep(60)
        assert flaky.got == [1, 2]


async def test_waits_of_a_failing_lane_grow_and_are_spread(autojump_clock: MockClock) -> None:
    """Clause J8."""
    times: list[float] = []

    def fail(_: object) -> Exception:
        times.append(trio.current_time())
        return ValueError("bad")

    async with relaying(Consumer("one", fail)) as world:
        await world.publish(event(1))
        await trio.sleep(60)
        waits = [after - before for before, after in pairwise(times)]
        for wait, expected in zip(waits, (1, 2, 4, 8), strict=True):
            assert expected * 0.8 <= wait <= expected * 1.2 + 0.1
            assert wait != expected


async def test_culprit_among_many_is_found_by_splitting_and_its_neighbours_are_taken(
    autojump_clock: MockClock,
) -> None:
    """Clause J8."""
    one = Consumer("one", poison(40))
    async with relaying(one) as world:
        await world.publish_at_once([event(number, key=f"k{number}") for number in range(100)])
        await quiet()
        assert sorted(one.got) == [number for number in range(100) if number != 40]
        assert world.metric("outbox_events_total", topic="topic", outcome="failed") == 1


async def test_event_that_crashes_its_consumer_is_found_before_the_supervisor_gives_up(
    autojump_clock: MockClock,
) -> None:
    """Clause J8."""
    got: list[int] = []
    crashes: list[float] = []

    class Fragile(Actor):
        async def receive(self, message: Any) -> object:
            assert isinstance(message, Deliver)
            if 5 in numbers(message.events):
                crashes.append(trio.current_time())
                raise RuntimeError("cannot stand this one")
            got.extend(numbers(message.events))
            return None

    async with relaying(ChildSpec("fragile", Fragile, name="fragile")) as world:
        await world.publish_at_once([event(number, key=f"k{number % 4}") for number in range(12)])
        await trio.sleep(40)
        assert set(got) == {0, 1, 2, 3, 4, 6, 7, 8, 10, 11}
        await trio.sleep(160)
        assert sorted(got) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
        assert numbers(dead.event for dead in await world.dead()) == [5]
        assert len(crashes) <= 9
        assert all(later - first > 30 for first, later in zip(crashes, crashes[5:], strict=False))


async def test_dead_event_is_put_back_by_name_and_its_history_says_so(
    autojump_clock: MockClock,
) -> None:
    """Clause J9."""
    bad = [True]
    one = Consumer("one", lambda events: ValueError("bad") if bad and events else None)
    async with relaying(one) as world:
        relay = world.system.ref(RELAY)
        await world.publish(event(1))
        await trio.sleep(60)
        put_back = PutBackEvent("m", "one", "e00001", "ann@shop", "mapping repaired")
        assert await relay.ask(put_back)
        assert await world.dead() == ()
        await trio.sleep(60)
        dead = await relay.ask(GetDeadEvent("m", "one", "e00001"))
        assert dead is not None
        what = [record["what"] for record in dead.history]
        assert what == ["failed"] * 5 + ["put back"] + ["failed"] * 5
        assert (dead.history[5]["who"], dead.history[5]["why"]) == ("ann@shop", "mapping repaired")
        bad.clear()
        assert await relay.ask(put_back)
        await quiet()
        assert one.got == [1]
        assert await relay.ask(GetDeadEvent("m", "one", "e00001")) is None
        assert not await relay.ask(put_back)
        assert world.metric("outbox_events_total", topic="topic", outcome="put back") == 2


async def test_event_that_was_put_back_goes_before_what_waits_in_its_lane(
    autojump_clock: MockClock,
) -> None:
    """Clause J9."""
    bad = {1, 2}
    one = Consumer("one", lambda events: ValueError("x") if bad & set(numbers(events)) else None)
    async with relaying(one) as world:
        await world.publish(event(1))
        await trio.sleep(30)
        await world.publish(event(2), event(3))
        await trio.sleep(2)
        bad.clear()
        assert await world.system.ref(RELAY).ask(PutBackEvent("m", "one", "e00001", "ann", "ok"))
        await trio.sleep(60)
        assert one.got == [1, 2, 3]


async def test_dead_events_are_listed_in_pages(autojump_clock: MockClock) -> None:
    """Clause J9."""
    one, two = Consumer("one", lambda _: ValueError("x")), Consumer("two", lambda _: ValueError())
    async with relaying(one, two) as world:
        await world.publish(*(event(number, key=f"k{number}") for number in range(3)))
        await trio.sleep(60)
        found: list[tuple[str, str]] = []
        after = ("", "")
        while page := await world.system.ref(RELAY).ask(ListDeadEvents(4, after)):
            found += [(dead.event.event_id, dead.consumer) for dead in page]
            after = found[-1]
        assert found == [(f"e{n:05}", name) for n in range(3) for name in ("one", "two")]


# Measuring and pruning


async def test_backlog_and_lag_are_measured_and_dead_events_are_not_part_of_them(
    autojump_clock: MockClock,
) -> None:
    """Clause J8."""
    one = Consumer("one", poison(1))
    async with relaying(one) as world:
        await world.publish(event(1), event(2))
        await trio.sleep(11)
        assert world.metric("outbox_backlog") == 2
        assert world.metric("outbox_lag_seconds") == pytest.approx(10, abs=1)
        await trio.sleep(60)
        assert world.metric("outbox_backlog") == world.metric("outbox_lag_seconds") == 0


async def test_relay_prunes_what_the_inbox_has_kept_for_a_week(autojump_clock: MockClock) -> None:
    """Clause J11."""
    async with relaying(Consumer("one")) as world:
        await quiet()
        ages = {"old": timedelta(days=8), "young": timedelta(days=6), "waits": timedelta(days=9)}
        writes = [
            inbox_write(merchant_id="m", consumer="one", event_id=id_, recorded_at=START - age)
            for id_, age in ages.items()
        ]
        await world.database.append([tuple(writes)])
        await world.database.execute(
            "UPDATE inbox SET event_id = 'e00001' WHERE event_id = 'waits'"
        )
        await world.system.ref("root").ask(TerminateChild("one"))
        await world.publish(event(1))
        await trio.sleep(130)
        rows = await world.database.fetch("SELECT event_id FROM inbox ORDER BY event_id")
        assert [row[0] for row in rows] == ["e00001", "young"]
        assert world.metric("inbox_pruned_total") == 1


async def test_pruning_takes_many_small_steps(autojump_clock: MockClock) -> None:
    """Clause J11."""
    async with relaying() as world:
        old = START - timedelta(days=30)
        for start in range(0, 3_500, 500):
            await world.database.append(
                [
                    tuple(
                        inbox_write(
                            merchant_id="m",
                            consumer="one",
                            event_id=f"e{number}",
                            recorded_at=old,
                        )
                        for number in range(start, start + 500)
                    )
                ]
            )
        await trio.sleep(62)
        assert world.metric("inbox_pruned_total") == 3_500


async def test_events_dead_for_half_a_year_are_given_up(autojump_clock: MockClock) -> None:
    """Clause J11."""
    async with relaying() as world:
        ages = {"old": DEAD_RETENTION + timedelta(hours=1), "young": timedelta(days=179)}
        for event_id, age in ages.items():
            dead = OutboxEvent("m", event_id, "t", "k", {}, START - age)
            await world.database.append([(late_write(dead, "one", 5, []),)])
            await world.database.append([(record_write(dead, "one", 5, [], START - age),)])
        await trio.sleep(62)
        rows = await world.database.fetch("SELECT event_id FROM late_deliveries")
        assert [row[0] for row in rows] == ["young"]
