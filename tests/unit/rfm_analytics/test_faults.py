"""Interrupted runs, in virtual time: at every step, for ever, and by a store that is away."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio

from actors.rfm_analytics import publishing, runs, scoring, steps
from actors.rfm_analytics.beginning import append
from actors.rfm_analytics.messages import (
    QUERIES,
    RUNS,
    ListRuns,
    PutConfig,
    RfmConfig,
    RfmTerms,
    Rhythm,
    Run,
    RunSchedule,
    RunState,
    SegmentChange,
    SegmentsChanged,
    StartedBy,
)
from actors.rfm_analytics.runs import AWAY, LOOK_S, NOT_RUNNING
from actors.rfm_analytics.steps import Steps
from actors.vocabulary import Page
from runtime.ports import seeded_ports
from runtime.storage import Entry
from runtime.storage.outbox import INSERT_EVENT
from tests.integration.rfm_analytics.shops import (
    as_expected,
    ended,
    everybody,
    open_shop,
    publish,
    segments,
    start,
)
from tests.trees import MERCHANT, START, Tree, order, running_tree
from tests.virtual import run_virtually

pytestmark = [pytest.mark.trio(run=run_virtually), pytest.mark.slow]

CUSTOMERS = 7
SLICE = 2
STEPS = 2 * 4 + 2
"""Slices are collected and scored, the cut points come in between, and the attempt begins first."""

LOOKS = timedelta(seconds=2 * LOOK_S)


class Interruptions:
    """Fails once, at the `at`-th write of a run: before it, or when it is durable."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.seen = at, after, 0

    async def append(self, system: Any, entry: Entry, **options: bool) -> None:
        self.seen += 1
        if self.seen == self.at and not self.after:
            raise RuntimeError("fails on purpose")
        await append(system, entry, **options)
        if self.seen == self.at:
            raise RuntimeError("fails on purpose")


@pytest.mark.parametrize("after", [False, True])
async def test_a_run_goes_on_where_it_failed_whichever_step_that_was(
    monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    async with running_tree(rfm_slice=SLICE) as tree:
        shop = await open_shop(tree, 1, CUSTOMERS + 1, 20)
        right = shop.expected(START)
        for step in range(1, STEPS + 1):
            interruptions = Interruptions(step, after=after)
            for module in (steps, scoring):
                monkeypatch.setattr(module, "append", interruptions.append)
            run = await publish(tree, START)
            assert run.attempts == 2
            repeated = step > 1 and not after
            assert interruptions.seen == STEPS + 1 + repeated
            found = {name: as_expected(each) for name, each in (await everybody(tree)).items()}
            assert found == right
            assert run.customers == CUSTOMERS


async def test_a_run_that_always_fails_is_given_up_after_five_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_tree(rfm_slice=1) as tree:
        await tree.create("ann", "bob")
        before = await publish(tree)

        async def fail(_self: Steps, _place: object) -> None:
            raise RuntimeError("fails on purpose")

        with monkeypatch.context() as patch:
            patch.setattr(Steps, "_score", fail)
            run = await ended(tree, await start(tree))
        assert (run.state, run.attempts) == (RunState.FAILED, 5)
        assert run.reason == "given up after 5 attempts: RuntimeError: fails on purpose"
        assert (await segments(tree)).run_id == before.run_id
        assert (await publish(tree)).attempts == 1


async def hang(_self: Steps, _place: object) -> None:
    await trio.sleep_forever()


async def test_a_run_whose_job_is_dead_does_not_keep_others_from_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who was killed with every attempt could not say that the run has failed."""
    async with running_tree(rfm_slice=1) as tree:
        await tree.create("ann")
        with monkeypatch.context() as patch:
            patch.setattr(Steps, "advance", hang)
            killed = await start(tree)
            await trio.sleep(1.0)
            dead = (
                "UPDATE jobs SET state = 'dead', attempt = 5, worker = NULL, leased_until = NULL,"
                " finished_at = $2 WHERE merchant_id = $1 AND queue = 'rfm_analytics'"
            )
            await tree.database.execute(dead, MERCHANT, START)
        run = await publish(tree)
        assert run.run_id != killed.run_id
        failed = await ended(tree, killed)
        assert (failed.state, failed.reason) == (
            RunState.FAILED,
            "given up after 5 attempts: its job has ended",
        )


def away_at(
    tree: Tree, step: int, away_s: float, nursery: trio.Nursery
) -> Callable[..., Awaitable[Any]]:
    """The store is away for so long from a step on."""
    advance, seen = Steps.advance, 0

    async def advance_then(self: Steps, place: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == step:
            store = tree.database._attached
            tree.database.detach()

            async def come_back() -> None:
                await trio.sleep(away_s)
                tree.database.attach(store)

            nursery.start_soon(come_back)
        return await advance(self, place)

    return advance_then


@pytest.mark.parametrize(
    ("away_s", "state"),
    [(5.0, RunState.PUBLISHED), (25.0, RunState.SKIPPED), (120.0, RunState.SKIPPED)],
)
async def test_a_run_that_finds_the_store_away_is_skipped_and_the_next_one_catches_up(
    monkeypatch: pytest.MonkeyPatch, away_s: float, state: RunState
) -> None:
    """One that is soon back is waited for."""
    async with running_tree(rfm_slice=1) as tree, trio.open_nursery() as nursery:
        await tree.create("ann", "bob", "cyd")
        before = await publish(tree)
        served = await segments(tree)
        await tree.record([order("1", 1_000)])
        with monkeypatch.context() as patch:
            patch.setattr(Steps, "advance", away_at(tree, 2, away_s, nursery))
            run = await start(tree)
            await trio.sleep(away_s + 60.0)
            run = await ended(tree, run)
        assert run.state is state
        if state is RunState.SKIPPED:
            assert run.reason is not None
            assert run.reason.startswith("the database was not available: ")
            assert await segments(tree) == served
            assert served.as_of == before.as_of
            await publish(tree)
        assert {each.name: each.customers for each in (await segments(tree)).segments}[
            "hibernating"
        ] == 1


async def runs_of(tree: Tree) -> tuple[Run, ...]:
    found = await tree.system.ref(QUERIES).ask(ListRuns(MERCHANT))
    assert isinstance(found, Page)
    return found.items


async def schedule(tree: Tree, schedule: RunSchedule) -> None:
    terms = RfmTerms(schedule=schedule)
    assert isinstance(await tree.system.ref(RUNS).ask(PutConfig(MERCHANT, terms)), RfmConfig)


async def test_a_schedule_begins_runs_until_it_is_switched_off() -> None:
    async with running_tree(rfm_slice=10) as tree:
        await tree.create("ann")
        await schedule(tree, RunSchedule(rhythm=Rhythm.HOURLY, minute=1))
        await trio.sleep(90.0)
        (run,) = await runs_of(tree)
        assert (run.started_by, run.state) == (StartedBy.SCHEDULE, RunState.PUBLISHED)
        assert run.as_of - START - timedelta(minutes=1) < timedelta(seconds=1)
        await schedule(tree, RunSchedule(rhythm=Rhythm.HOURLY, minute=3))
        await schedule(tree, RunSchedule(rhythm=Rhythm.OFF))
        await trio.sleep(120.0)
        assert await runs_of(tree) == (run,)


async def test_a_run_that_the_store_was_away_for_is_skipped_and_caught_up() -> None:
    async with running_tree(rfm_slice=10) as tree:
        await tree.create("ann")
        await schedule(tree, RunSchedule(rhythm=Rhythm.HOURLY, minute=1))
        store = tree.database._attached
        tree.database.detach()
        await trio.sleep(400.0)
        tree.database.attach(store)
        await trio.sleep(60.0)
        caught_up, skipped = await runs_of(tree)
        assert (skipped.state, skipped.reason) == (RunState.SKIPPED, AWAY)
        assert skipped.as_of == START + timedelta(minutes=1)
        assert (caught_up.started_by, caught_up.state) == (StartedBy.CATCH_UP, RunState.PUBLISHED)
        back = START + timedelta(seconds=400)
        assert back <= caught_up.as_of <= back + LOOKS


async def test_of_all_runs_missed_while_nothing_ran_one_is_caught_up() -> None:
    async with running_tree(rfm_slice=10) as tree:
        await tree.create("ann")
        await schedule(tree, RunSchedule(rhythm=Rhythm.HOURLY, minute=59))
        due = START - timedelta(hours=3, minutes=1)
        sql = "UPDATE rfm_schedules SET next_at = $2 WHERE merchant_id = $1"
        await tree.database.execute(sql, MERCHANT, due)
        await trio.sleep(60.0)
        caught_up, *skipped = await runs_of(tree)
        assert (caught_up.started_by, caught_up.state) == (StartedBy.CATCH_UP, RunState.PUBLISHED)
        assert [each.as_of for each in reversed(skipped)] == [
            due + timedelta(hours=hours) for hours in range(3)
        ]
        assert {(each.state, each.reason) for each in skipped} == {(RunState.SKIPPED, NOT_RUNNING)}


async def test_merchants_who_never_chose_are_scored_daily(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "ENROL_EVERY_S", 10.0)
    ports = seeded_ports(1, START.replace(hour=2, minute=59))
    async with running_tree(ports=ports, rfm_slice=10) as tree:
        await tree.create("ann")
        await trio.sleep(120.0)
        (run,) = await runs_of(tree)
        assert (run.config_version, run.as_of.hour, run.as_of.minute) == (0, 3, 0)


async def test_changes_of_segment_are_told_once_and_not_with_the_first_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[SegmentsChanged] = []

    async def watched(system: Any, entry: Entry, **options: bool) -> None:
        await append(system, entry, **options)
        for write in entry:
            if write.statement is INSERT_EVENT:
                changes = tuple(SegmentChange(**each) for each in write.row[4]["changes"])
                told.append(SegmentsChanged(write.row[4]["run_id"], START, changes))

    monkeypatch.setattr(publishing, "append", watched)
    monkeypatch.setattr(publishing, "TOLD_AT_ONCE", 1)
    async with running_tree(rfm_slice=1) as tree:
        await tree.create("ann", "bob", "cyd")
        await publish(tree)
        await trio.sleep(10)
        assert told == []
        await tree.record([order("1", 1_000, "bob"), order("2", 1_000, "dan")])
        run = await publish(tree)
        await trio.sleep(10)
        changes = [change for event in told for change in event.changes]
        assert changes == [
            SegmentChange("bob", "prospect", "hibernating"),
            SegmentChange("dan", None, "hibernating"),
        ]
        assert {event.run_id for event in told} == {run.run_id}


async def test_old_runs_are_let_go_and_the_history_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "KEPT_FOR", timedelta(0))
    monkeypatch.setattr(publishing, "DELETED_AT_ONCE", 2)
    async with running_tree(rfm_slice=2) as tree:
        await tree.create("ann", "bob", "cyd")
        first = await publish(tree)
        await tree.record([order("1", 1_000)])
        for _ in range(publishing.KEPT_RUNS):
            await trio.sleep(1)
            await publish(tree)
        await trio.sleep(10)
        rows = await tree.database.fetch(
            "SELECT run, count(*) AS customers FROM rfm_scores WHERE merchant_id = $1"
            " GROUP BY run ORDER BY run",
            MERCHANT,
        )
        assert [tuple(row) for row in rows] == [(number, 3) for number in range(2, 6)]
        kept = await tree.database.fetch(
            "SELECT run FROM rfm_history WHERE merchant_id = $1 AND customer_id = 'ann'"
            " ORDER BY run",
            MERCHANT,
        )
        assert [row[0] for row in kept] == [1, 2]
        assert attrs.evolve(first) == (await runs_of(tree))[-1]
