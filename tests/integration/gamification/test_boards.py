"""Leaderboards over a real store: ranks, ties, one's own, and cycles that are frozen."""

from datetime import timedelta

import pytest
import trio

from actors.gamification import closing
from actors.gamification.enqueueing import CLOSE_CYCLES
from actors.gamification.jobs import gamification_jobs
from actors.gamification.messages import (
    BOARDS,
    PLAYERS,
    SCORE,
    BoardTerms,
    Calendar,
    CycleState,
    Engagement,
    GetBoard,
    GetEngagement,
    GetListing,
    Metric,
    PlayerKey,
    ScoreTerm,
    ScoreTerms,
    SetListing,
    Signal,
)
from actors.vocabulary import Refusal
from runtime import host
from runtime.jobs import Job, JobState
from tests.integration.gamification.playing import (
    board,
    cancel,
    days_ago,
    ordered,
    put,
    ranks,
    record,
    refund,
    run_now,
    spenders,
)
from tests.trees import MERCHANT, START, Tree, running_tree
from tests.virtual import run_virtually

pytestmark = pytest.mark.slow

FEBRUARY = days_ago(10)


async def fill(tree: Tree) -> None:
    await tree.create("ann", "bob", "cyd", "dan")
    await put(tree, "spenders", spenders())
    await record(
        tree,
        ordered("1", 500, customer="bob", at=FEBRUARY + timedelta(hours=2)),
        ordered("2", 500, customer="ann", at=FEBRUARY + timedelta(hours=3)),
        ordered("3", 500, customer="cyd", at=FEBRUARY + timedelta(hours=2)),
        ordered("4", 900, customer="dan", at=FEBRUARY),
        ordered("5", 100, customer="ann", at=START),
    )


@pytest.mark.trio(run=host.run)
async def test_ranks_follow_the_score_then_the_time_then_the_id(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await fill(tree)
        page = await board(tree, "spenders", "2026-02", own="ann")
        assert ranks(page) == [(1, "dan", 900), (2, "bob", 500), (3, "cyd", 500), (4, "ann", 500)]
        assert page.own is not None
        assert (page.own.rank, page.players) == (4, 4)
        assert "reached first" in page.tie_rule
        first = await board(tree, "spenders", "2026-02", limit=3)
        rest = await board(tree, "spenders", "2026-02", limit=3, cursor=first.next_cursor)
        assert ranks(rest) == [(4, "ann", 500)]
        running = await board(tree, "spenders")
        assert (ranks(running), running.cycle, running.state) == (
            [(1, "ann", 100)],
            "2026-03",
            CycleState.OPEN,
        )
        await refund(tree, "4", 500)
        await cancel(tree, "3")
        changed = await board(tree, "spenders", "2026-02", own="cyd")
        assert ranks(changed) == [(1, "bob", 500), (2, "ann", 500), (3, "dan", 400)]
        assert changed.own is None


@pytest.mark.trio(run=host.run)
async def test_who_does_not_want_to_be_on_it_is_not() -> None:
    async with running_tree() as tree:
        await fill(tree)
        boards = tree.system.ref(BOARDS)
        assert await boards.ask(GetListing(MERCHANT, "bob"))
        assert await boards.ask(SetListing(MERCHANT, "bob", False)) is False
        assert await boards.ask(SetListing(MERCHANT, "bob", False)) is False
        assert not await boards.ask(GetListing(MERCHANT, "bob"))
        page = await board(tree, "spenders", "2026-02", own="bob")
        assert ranks(page) == [(1, "dan", 900), (2, "cyd", 500), (3, "ann", 500)]
        assert (page.own, page.players) == (None, 3)
        assert await boards.ask(SetListing(MERCHANT, "bob", True)) is True
        assert len((await board(tree, "spenders", "2026-02")).items) == 4
        assert isinstance(await boards.ask(GetListing(MERCHANT, "nobody")), Refusal)
        for board_id, cycle in (("none", None), ("spenders", "2026-W01")):
            assert isinstance(await boards.ask(GetBoard(MERCHANT, board_id, cycle)), Refusal)


@pytest.mark.trio(run=host.run)
async def test_a_closed_cycle_never_changes(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by late events nor by refunds; whoever leaves is hidden, and nobody moves up."""
    monkeypatch.setattr(closing, "PLAYERS_AT_ONCE", 2)
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob", "cyd", "dan")
        await put(tree, "spenders", spenders(closes_after_hours=48))
        await record(
            tree,
            ordered("1", 300, customer="bob", at=days_ago(1)),
            ordered("2", 200, customer="ann", at=days_ago(1)),
            ordered("3", 100, customer="cyd", at=days_ago(1)),
        )
        assert (await board(tree, "spenders", "2026-02")).state is CycleState.CLOSING
        await close(tree)
        assert (await board(tree, "spenders", "2026-02")).state is CycleState.CLOSING
        await put(tree, "spenders", spenders(closes_after_hours=0))
        await close(tree)
        await close(tree)
        page = await board(tree, "spenders", "2026-02", own="cyd")
        assert page.state is CycleState.CLOSED
        assert (page.players, page.closed_at is not None) == (3, True)
        await record(tree, ordered("4", 999, customer="dan", at=days_ago(1)))
        await refund(tree, "1", 300)
        again = await board(tree, "spenders", "2026-02", own="cyd")
        assert ranks(again) == ranks(page) == [(1, "bob", 300), (2, "ann", 200), (3, "cyd", 100)]
        assert again.own == page.own == page.items[2]
        await tree.system.ref(BOARDS).ask(SetListing(MERCHANT, "ann", False))
        hidden = await board(tree, "spenders", "2026-02", limit=1)
        assert ranks(hidden) == [(1, "bob", 300)]
        rest = await board(tree, "spenders", "2026-02", cursor=hidden.next_cursor)
        assert ranks(rest) == [(3, "cyd", 100)]


async def close(tree: Tree) -> None:
    handler = gamification_jobs(tree.database).handlers[CLOSE_CYCLES]
    assert await handler(any_job(), tree.system) == ()


def any_job() -> Job:
    return Job(
        merchant_id="-",
        job_id="job",
        queue="scheduled",
        name=CLOSE_CYCLES,
        key=None,
        unique_key=None,
        priority=0,
        payload={},
        trace_id=None,
        state=JobState.RUNNING,
        attempt=1,
        due_at=START,
        run_at=START,
        created_at=START,
        lease=1,
        worker=None,
        leased_until=None,
        finished_at=None,
        errors=(),
        history=(),
    )


@pytest.mark.trio(run=run_virtually)
async def test_cycles_are_closed_by_the_clock_and_new_boards_look_back() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await put(tree, "orders", BoardTerms(name="Orders", metric=Metric.ORDERS, cycle=None))
        await record(tree, ordered("1", 300), ordered("2", 300, at=days_ago(400)))
        daily = spenders(cycle=Calendar.DAY, closes_after_hours=0)
        await put(tree, "daily", daily)
        await trio.sleep(30)
        assert ranks(await board(tree, "orders", "always")) == [(1, "ann", 2)]
        assert ranks(await board(tree, "daily")) == [(1, "ann", 300)]
        await run_now(tree, CLOSE_CYCLES)
        assert (await board(tree, "daily", "2026-03-01")).state is CycleState.OPEN
        late = timedelta(hours=12, minutes=10)
        tree.system.clock.start += late  # type: ignore[attr-defined]
        await run_now(tree, CLOSE_CYCLES)
        closed = await board(tree, "daily", "2026-03-01")
        assert (closed.state, ranks(closed)) == (CycleState.CLOSED, [(1, "ann", 300)])
        assert ranks(await board(tree, "orders", "always")) == [(1, "ann", 2)]


@pytest.mark.trio(run=run_virtually)
async def test_the_score_is_explained_by_the_weights_in_force() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        term = ScoreTerm(signal=Signal.ORDERS, weight=2, cap=4, half_life_days=10)
        await put(tree, SCORE, ScoreTerms(terms=(term,)))
        await record(tree, ordered("1", at=days_ago(10)), ordered("2", at=days_ago(20)))
        player = tree.system.entities(PLAYERS).ref(PlayerKey(MERCHANT, "ann"))
        told = await player.ask(GetEngagement())
        assert isinstance(told, Engagement)
        assert (told.score, told.version, told.parts[0].decay) == (25.0, 1, 0.5)
        nobody = tree.system.entities(PLAYERS).ref(PlayerKey(MERCHANT, "nobody"))
        assert isinstance(await nobody.ask(GetEngagement()), Refusal)
