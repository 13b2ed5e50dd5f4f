"""Workers: concurrency with a bound, deadlines, failures, stop."""

from typing import Any, ClassVar

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    ActorDown,
    AskCycle,
    AskTimeout,
    ChildSpec,
    Expired,
    Outcome,
    Workers,
    request_context,
)
from runtime.context import current
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import Add, Crash, Note, Probe, Run, Wait, probe, running, settle


class Pool(Workers):
    concurrency: ClassVar[int] = 3

    def __init__(self, diary: list[str] | None = None) -> None:
        super().__init__()
        self.diary = diary if diary is not None else []
        self.busy = self.busiest = 0

    async def receive(self, message: Any) -> object:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            return await self.handle(message)
        finally:
            self.busy -= 1

    async def handle(self, message: Any) -> object:
        match message:
            case Add():
                self.diary.append(f"add {message.amount}")
                return message.amount
            case Note():
                self.diary.append(message.text)
                await trio.sleep(1)
                return None
            case Wait():
                await trio.sleep(message.delay_s or 0)
                return "waited"
            case Crash():
                raise RuntimeError(message.text)
            case Run():
                return await message.function(self)
        return await super().receive(message)


def spec(pool: Pool, **options: Any) -> ChildSpec:
    return ChildSpec("pool", lambda: pool, name="pool", **options)


async def test_messages_are_handled_at_the_same_time_up_to_the_bound(
    autojump_clock: MockClock,
) -> None:
    """Clause W1."""
    pool = Pool()
    async with running([spec(pool)]) as system:
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(9):
                nursery.start_soon(system.ref("pool").ask, Wait(1))
        assert trio.current_time() - start == pytest.approx(3)
        assert pool.busiest == 3


async def test_messages_start_in_the_order_of_arrival(autojump_clock: MockClock) -> None:
    """Clauses M1, W1."""
    pool = Pool()
    async with running([spec(pool)]) as system:
        for number in range(200):
            system.ref("pool").tell(Note(str(number)))
        await trio.sleep(100)
    assert pool.diary == [str(number) for number in range(200)]


async def test_task_ends_at_the_deadline_of_its_asker(autojump_clock: MockClock) -> None:
    """Clause W2."""
    pool = Pool()
    async with running([spec(pool)]) as system:
        with pytest.raises(AskTimeout) as caught:
            await system.ref("pool").ask(Wait(60), timeout_s=1)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert trio.current_time() == pytest.approx(1, abs=0.01)
        assert pool.busy == 0


async def test_task_is_cancelled_when_its_asker_goes(autojump_clock: MockClock) -> None:
    """Clauses D6, W2."""
    pool = Pool()
    async with running([spec(pool)]) as system:
        with trio.move_on_after(1):
            await system.ref("pool").ask(Wait(60), timeout_s=100)
        await settle()
        assert pool.busy == 0


async def test_message_that_expires_before_its_turn_is_never_started(
    autojump_clock: MockClock,
) -> None:
    """Clauses D2, W2."""
    pool = Pool()
    async with running([spec(pool)]) as system, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(system.ref("pool").ask, Wait(3))
        await settle()
        with pytest.raises(Expired) as caught:
            await system.ref("pool").ask(Add(1), timeout_s=1)
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        with trio.move_on_after(1):
            await system.ref("pool").ask(Add(2))
        await trio.sleep(5)
        assert await system.ref("pool").ask(Add(3)) == 3
        assert pool.diary == ["add 3"]
        assert system.dead_letters.counts[DeadReason.EXPIRED] == 1
        assert system.dead_letters.counts[DeadReason.WITHDRAWN] == 1


async def test_failure_answers_its_asker_and_leaves_the_others(
    autojump_clock: MockClock, logs: list[dict[str, Any]]
) -> None:
    """Clause W3."""
    pool = Pool()
    async with running([spec(pool)]) as system, trio.open_nursery() as nursery:
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await system.ref("pool").ask(Wait(1)))

        nursery.start_soon(ask)
        await settle()
        for _ in range(10):
            with pytest.raises(ActorDown, match="RuntimeError") as caught:
                await system.ref("pool").ask(Crash())
            assert caught.value.outcome is Outcome.UNKNOWN
        system.ref("pool").tell(Crash())
        await trio.sleep(2)
        assert answers == ["waited"]
        assert await system.ref("pool").ask(Add(1)) == 1
        assert [entry["event"] for entry in logs].count("worker_failed") == 11


async def test_failure_that_is_passed_on_reaches_the_asker_itself() -> None:
    """Clause W3."""

    class Dependent(Pool):
        passes_on: ClassVar[tuple[type[Exception], ...]] = (RuntimeError,)

    async with running([spec(Dependent())]) as system:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="as told"):
                await system.ref("pool").ask(Crash("as told"))
        assert await system.ref("pool").ask(Add(1)) == 1


async def test_work_inherits_deadline_and_trace() -> None:
    """Clause D4."""
    seen: list[object] = []

    async def look(_: Pool) -> None:
        ambient = current.get()
        assert ambient is not None
        seen.extend((ambient.deadline, ambient.trace_id))

    async with running([spec(Pool())]) as system:
        deadline = trio.current_time() + 2
        with request_context(deadline=deadline, trace_id="t1"):
            await system.ref("pool").ask(Run(look))
        assert seen == [deadline, "t1"]


async def test_worker_may_ask_its_own_pool_but_not_back_to_its_asker() -> None:
    """Clause D5."""

    async def ask_pool(pool: Pool) -> int:
        return await pool.ref.ask(Add(4))

    async with running([spec(Pool()), probe("a")]) as system:

        async def ask_back(_: Pool) -> str:
            try:
                await system.ref("a").ask(Add(1))
            except AskCycle:
                return "cycle"
            return "no cycle"

        async def relay(_: Probe) -> object:
            return await system.ref("pool").ask(Run(ask_back))

        assert await system.ref("pool").ask(Run(ask_pool)) == 4
        assert await system.ref("a").ask(Run(relay)) == "cycle"


async def test_stop_cancels_what_runs_and_answers_everyone(autojump_clock: MockClock) -> None:
    """Clauses A4, W4."""
    outcomes: list[Outcome] = []
    pool = Pool()
    async with trio.open_nursery() as nursery:
        async with running([spec(pool)]) as system:

            async def ask() -> None:
                with pytest.raises(ActorDown) as caught:
                    await system.ref("pool").ask(Wait(60), timeout_s=100)
                outcomes.append(caught.value.outcome)

            for _ in range(3):
                nursery.start_soon(ask)
            await settle()
            start = trio.current_time()
        assert trio.current_time() == start
    assert outcomes == [Outcome.UNKNOWN] * 3


async def test_stop_waits_until_the_batch_has_found_places(autojump_clock: MockClock) -> None:
    """Clause W4."""
    pool = Pool()
    async with running([spec(pool, shutdown_s=60)]) as system:
        for number in range(6):
            system.ref("pool").tell(Note(str(number)))
        await settle()
        assert len(pool.diary) == 3
    assert trio.current_time() == pytest.approx(1)
    assert len(pool.diary) == 6
