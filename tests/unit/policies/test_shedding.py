"""Load shedding: who goes first, who waits, who is turned away, and an operator's word."""

from random import Random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from runtime.policies import PipelineSpec, Policies
from runtime.policies.errors import NotAdmitted, Shed
from runtime.policies.gradient import GradientSpec
from runtime.policies.priority import SHARES, Priority
from runtime.policies.shedding import (
    BY_HAND_RETRY_AFTER_S,
    LoadShedder,
    Permit,
    SheddingMode,
    SheddingSpec,
)
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

LIMIT = 10
FIXED = GradientSpec(limit_min=LIMIT, limit_start=LIMIT, limit_max=LIMIT)


def make(**spec: float) -> LoadShedder:
    """Admits ten at once, and lets four wait."""
    fixed = SheddingSpec(gradient=FIXED, **{"waiting_max": 4} | spec)  # type: ignore[arg-type]
    return LoadShedder("edge", fixed, Random(1))


def fill(shedder: LoadShedder, priority: Priority) -> list[Permit]:
    """Take all the room there is for a priority."""
    permits = []
    while (permit := shedder.try_admit(priority)) is not None:
        permits.append(permit)
    return permits


class Waiting:
    """Somebody in the queue."""

    def __init__(self) -> None:
        self.permit: Permit | None = None
        self.error: Shed | None = None

    def admitted(self, permit: Permit) -> None:
        self.permit = permit

    def shed(self, error: Shed) -> None:
        self.error = error


def enter(shedder: LoadShedder, priority: Priority) -> Waiting:
    waiting = Waiting()
    assert shedder.enter(priority, waiting) is None
    return waiting


async def test_each_priority_gets_its_share_of_the_limit() -> None:
    for priority, share in SHARES.items():
        assert len(fill(make(), priority)) == LIMIT * share or priority is Priority.READS
    assert len(fill(make(), Priority.READS)) == 8


async def test_where_the_less_important_is_full_the_more_important_still_finds_room() -> None:
    shedder = make()
    order = (Priority.DASHBOARDS, Priority.READS, Priority.WRITES, Priority.WEBHOOKS)
    assert [len(fill(shedder, priority)) for priority in order] == [4, 4, 1, 1]


async def test_one_group_leaves_room_for_the_others() -> None:
    shedder = make(group_share=0.7)
    points = [shedder.try_admit(Priority.WRITES, "points") for _ in range(10)]
    assert sum(permit is not None for permit in points) == 7
    assert shedder.try_admit(Priority.WRITES, "products") is not None
    for permit in points[:7]:
        assert permit is not None
        permit.release()
    assert shedder.try_admit(Priority.WRITES, "points") is not None


async def test_a_group_that_waits_for_its_own_room_holds_up_no_other() -> None:
    shedder = make(group_share=0.7)
    permits = fill(shedder, Priority.WEBHOOKS)
    points, products = Waiting(), Waiting()
    permits[0].release()
    held = [shedder.try_admit(Priority.WEBHOOKS, "points")]
    for permit in permits[1:7]:
        permit.release()
        held.append(shedder.try_admit(Priority.WEBHOOKS, "points"))
    assert shedder.enter(Priority.WEBHOOKS, points, "points") is None
    assert shedder.enter(Priority.WEBHOOKS, products, "products") is None
    permits[7].release()
    assert points.permit is None
    assert products.permit is not None


async def test_probes_are_admitted_whatever_else_runs_up_to_a_bound_of_their_own() -> None:
    shedder = make(probes_max=3)
    fill(shedder, Priority.WEBHOOKS)
    assert len(fill(shedder, Priority.PROBES)) == 3


async def test_a_permit_that_came_back_is_room_for_the_next() -> None:
    shedder = make()
    permits = fill(shedder, Priority.WEBHOOKS)
    permits[0].release()
    permits[0].release()
    permits[1].abandon()
    assert shedder.statistics().in_flight == LIMIT - 2
    assert len(fill(shedder, Priority.WEBHOOKS)) == 2


async def test_who_finds_no_room_waits_for_it() -> None:
    shedder = make()
    permits = fill(shedder, Priority.WRITES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shedder.admit, Priority.WRITES)
        await wait_all_tasks_blocked()
        assert shedder.statistics().waiting == 1
        permits[0].release()
    assert shedder.statistics().in_flight == len(permits)


async def test_who_waits_too_long_is_turned_away_and_told_when_to_come_back() -> None:
    shedder = make(wait_s=0.1, retry_after_s=2.0)
    fill(shedder, Priority.WRITES)
    began = trio.current_time()
    with pytest.raises(Shed, match="edge: too much at once, no room for writes") as caught:
        await shedder.admit(Priority.WRITES)
    assert trio.current_time() - began == pytest.approx(0.1)
    assert caught.value.retry_after_s == 2.0
    assert isinstance(caught.value, NotAdmitted)
    assert shedder.statistics().waiting == 0


async def test_a_full_queue_turns_away_at_once() -> None:
    shedder = make()
    fill(shedder, Priority.WRITES)
    for _ in range(4):
        enter(shedder, Priority.WRITES)
    began = trio.current_time()
    with pytest.raises(Shed):
        await shedder.admit(Priority.WRITES)
    with pytest.raises(Shed):
        shedder.check(Priority.WRITES)
    assert trio.current_time() == began


async def test_in_a_full_queue_the_least_important_makes_room_for_the_more_important() -> None:
    shedder = make()
    fill(shedder, Priority.WEBHOOKS)
    first, *others = [enter(shedder, Priority.READS) for _ in range(4)]
    shedder.check(Priority.WRITES)
    enter(shedder, Priority.WRITES)
    assert first.error is not None
    assert all(other.error is None for other in others)
    with pytest.raises(Shed):
        shedder.check(Priority.DASHBOARDS)


async def test_room_goes_to_the_most_important_who_waits() -> None:
    shedder = make()
    permits = fill(shedder, Priority.WEBHOOKS)
    read = enter(shedder, Priority.READS)
    write = enter(shedder, Priority.WRITES)
    for permit in permits[:2]:
        permit.release()
    assert write.permit is not None
    assert read.permit is None


async def test_in_a_burst_the_first_goes_first_and_under_lasting_overload_the_last() -> None:
    shedder = make(wait_s=1.0, standing_s=0.2)
    permits = fill(shedder, Priority.WEBHOOKS)
    burst = [enter(shedder, Priority.WEBHOOKS) for _ in range(3)]
    permits[0].release()
    assert [each.permit is not None for each in burst] == [True, False, False]
    await trio.sleep(0.2)
    last = enter(shedder, Priority.WEBHOOKS)
    permits[1].release()
    assert last.permit is not None
    assert [each.permit is not None for each in burst] == [True, False, False]


async def test_a_queue_that_was_empty_in_between_is_a_burst_again() -> None:
    shedder = make(wait_s=1.0, standing_s=0.2)
    permits = fill(shedder, Priority.WEBHOOKS)
    enter(shedder, Priority.WEBHOOKS)
    await trio.sleep(0.3)
    assert shedder.statistics().standing
    permits[0].release()
    enter(shedder, Priority.WEBHOOKS)
    assert not shedder.statistics().standing


async def test_who_withdraws_gets_nothing_and_hears_nothing() -> None:
    shedder = make()
    permits = fill(shedder, Priority.WEBHOOKS)
    gone, stays = enter(shedder, Priority.WRITES), enter(shedder, Priority.WRITES)
    shedder.withdraw(gone)
    shedder.withdraw(gone)
    for permit in permits[:3]:
        permit.release()
    assert gone.permit is None
    assert gone.error is None
    assert stays.permit is not None


async def test_a_cancelled_caller_leaves_the_queue() -> None:
    shedder = make()
    permits = fill(shedder, Priority.WRITES)
    with trio.move_on_after(0.05):
        await shedder.admit(Priority.WRITES)
    assert shedder.statistics().waiting == 0
    permits[0].release()
    assert shedder.statistics().in_flight == len(permits) - 1


async def test_a_caller_cancelled_as_it_is_admitted_keeps_no_permit() -> None:
    shedder = make()
    permits = fill(shedder, Priority.WRITES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shedder.admit, Priority.WRITES)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        permits[0].release()
    left = shedder.statistics()
    assert (left.in_flight, left.waiting) in {(len(permits) - 1, 0), (len(permits), 0)}
    for permit in permits[1:]:
        permit.release()
    assert shedder.statistics().in_flight <= 1


async def test_expire_turns_away_those_whose_time_is_over_and_says_when_the_next_is() -> None:
    shedder = make(wait_s=0.1)
    fill(shedder, Priority.WRITES)
    assert shedder.expire() == float("inf")
    first = enter(shedder, Priority.WRITES)
    await trio.sleep(0.06)
    second = enter(shedder, Priority.READS)
    assert shedder.expire() == pytest.approx(trio.current_time() + 0.04)
    await trio.sleep(0.05)
    shedder.expire()
    assert first.error is not None
    assert second.error is None


async def test_a_loop_that_lags_lowers_the_limit_until_it_has_caught_up() -> None:
    shedder = make(lag_max_s=0.2)
    for _ in range(20):
        shedder.lagged(0.3)
    assert shedder.statistics().limit == 2
    assert len(fill(shedder, Priority.WEBHOOKS)) == 2
    for _ in range(8):
        shedder.lagged(0.1)
    assert shedder.statistics().limit == LIMIT


async def test_when_the_loop_has_caught_up_those_who_wait_are_admitted() -> None:
    shedder = make(lag_max_s=0.2)
    for _ in range(20):
        shedder.lagged(0.3)
    fill(shedder, Priority.WEBHOOKS)
    waiting = enter(shedder, Priority.WEBHOOKS)
    for _ in range(8):
        shedder.lagged(0.0)
    assert waiting.permit is not None


async def test_an_operator_turns_a_priority_away_by_hand() -> None:
    shedder = make()
    permits = fill(shedder, Priority.WEBHOOKS)
    waiting = enter(shedder, Priority.READS)
    shedder.switch(SheddingMode.AUTOMATIC, frozenset({Priority.READS, Priority.DASHBOARDS}))
    assert waiting.error is not None
    permits[0].release()
    with pytest.raises(Shed, match="an operator turns reads away") as caught:
        await shedder.admit(Priority.READS)
    assert caught.value.retry_after_s == BY_HAND_RETRY_AFTER_S
    assert shedder.try_admit(Priority.READS) is None
    assert shedder.try_admit(Priority.WRITES) is None
    assert shedder.try_admit(Priority.WEBHOOKS) is not None
    shedder.switch(SheddingMode.AUTOMATIC)
    assert shedder.statistics().shed_by_hand == frozenset()


async def test_an_operator_disables_it_and_those_who_wait_are_admitted() -> None:
    shedder = make()
    fill(shedder, Priority.DASHBOARDS)
    waiting = enter(shedder, Priority.DASHBOARDS)
    shedder.switch(SheddingMode.DISABLED, frozenset({Priority.READS}))
    assert waiting.permit is not None
    assert all(shedder.try_admit(Priority.DASHBOARDS) for _ in range(1_000))
    assert shedder.try_admit(Priority.READS) is None
    assert shedder.statistics().mode is SheddingMode.DISABLED


async def test_everything_is_counted() -> None:
    told: list[Priority] = []
    spec = SheddingSpec(gradient=FIXED, waiting_max=0)
    shedder = LoadShedder("edge", spec, Random(1), told.append)
    fill(shedder, Priority.WRITES)
    for _ in range(5):
        with pytest.raises(Shed):
            await shedder.admit(Priority.WRITES)
    found = shedder.statistics()
    assert found.admitted[Priority.WRITES] == 9
    assert found.shed[Priority.WRITES] == 5
    assert told == [Priority.WRITES] * 5


async def test_a_pipeline_sheds_before_it_does_anything_else() -> None:
    shedder = make(waiting_max=0)
    policies = Policies(Random(1))
    pipeline = policies.declare(
        "points", PipelineSpec(), admissions=[shedder.admission(Priority.READS, "balance")]
    )
    seen: list[int] = []

    async def work() -> None:
        seen.append(shedder.statistics().in_flight)

    await pipeline.call(work)
    assert seen == [1]
    assert shedder.statistics().in_flight == 0
    assert shedder.statistics().gradient.kinds == 1
    fill(shedder, Priority.READS)
    with pytest.raises(Shed):
        await pipeline.call(work)
    assert seen == [1]


async def test_work_that_a_pipeline_gave_up_teaches_nothing_and_leaves_its_room() -> None:
    shedder = make()
    pipeline = Policies(Random(1)).declare(
        "points", PipelineSpec(), admissions=[shedder.admission(Priority.READS, "balance")]
    )
    with trio.move_on_after(0.1):
        await pipeline.call(trio.sleep_forever)
    assert shedder.statistics().in_flight == 0
    assert shedder.statistics().gradient.kinds == 0
