"""The bulkhead: bounds, fairness, and permits that come back when the work is gone."""

import pytest
import trio
import trio.testing

from runtime import Outcome, request_context
from runtime.policies import Bulkhead, BulkheadFull, BulkheadSpec, DeadlineExceeded
from runtime.telemetry import Metrics
from tests.unit.policies.helpers import count
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


async def hold(bulkhead: Bulkhead, seconds: float, share: str | None = None) -> None:
    async with bulkhead.permit(share):
        await trio.sleep(seconds)


async def test_no_more_run_and_wait_than_may(metrics: Metrics) -> None:
    """Clause P8."""
    bulkhead = Bulkhead("mail", BulkheadSpec(running=2, waiting=1), metrics.policies)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(hold, bulkhead, 0.05)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(hold, bulkhead, 0.05)
        await trio.testing.wait_all_tasks_blocked()
        statistics = bulkhead.statistics()
        assert (statistics.in_use, statistics.waiting, statistics.limit) == (2, 1, 2)
        assert count(metrics, "bulkhead_permits_in_use", name="mail") == 2
        assert count(metrics, "bulkhead_waiting", name="mail") == 1
        assert count(metrics, "bulkhead_permits_limit", name="mail") == 2
        with pytest.raises(BulkheadFull, match="as many calls run and wait as may") as full:
            await hold(bulkhead, 0.0)
        assert full.value.retry_after_s == 0.1
        assert full.value.outcome is Outcome.NOT_DELIVERED
    assert bulkhead.statistics().in_use == 0
    assert bulkhead.statistics().rejected == 1
    assert count(metrics, "bulkhead_rejections_total", name="mail") == 1


async def test_a_wait_ends_after_its_time() -> None:
    """Clause P8."""
    bulkhead = Bulkhead("mail", BulkheadSpec(running=1))
    assert bulkhead.try_acquire()
    started = trio.current_time()
    with pytest.raises(BulkheadFull, match=r"no call ended within 0\.1 s"):
        await bulkhead.acquire()
    assert trio.current_time() - started == pytest.approx(0.1)
    assert bulkhead.statistics().waiting == 0


async def test_a_wait_ends_at_the_deadline_in_force(metrics: Metrics) -> None:
    bulkhead = Bulkhead("mail", BulkheadSpec(running=1), metrics.policies)
    assert bulkhead.try_acquire()
    with (
        request_context(deadline=trio.current_time() + 0.03),
        pytest.raises(DeadlineExceeded) as late,
    ):
        await bulkhead.acquire()
    assert (late.value.stage, late.value.outcome) == ("waiting", Outcome.NOT_DELIVERED)
    assert count(metrics, "deadline_exceeded_total", stage="mail.waiting") == 1


async def test_first_come_first_served() -> None:
    """Clause P8."""
    bulkhead = Bulkhead("mail", BulkheadSpec(running=1, wait_s=10))
    order: list[int] = []

    async def take_turn(number: int) -> None:
        async with bulkhead.permit():
            order.append(number)
            await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(take_turn, number)
            await trio.testing.wait_all_tasks_blocked()
    assert order == list(range(6))


async def test_one_share_at_ten_times_the_traffic_gets_half_while_another_waits() -> None:
    """Clause P8."""
    bulkhead = Bulkhead("mail", BulkheadSpec(running=8, waiting=60, wait_s=100))
    most: dict[str, int] = {}
    done: dict[str, int] = {}

    async def work(share: str) -> None:
        async with bulkhead.permit(share):
            if bulkhead.share_statistics("small").waiting:
                held = bulkhead.share_statistics(share).in_use
                most[share] = max(most.get(share, 0), held)
            await trio.sleep(0.1)
            done[share] = done.get(share, 0) + 1

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(work, "large")
        await trio.testing.wait_all_tasks_blocked()
        assert bulkhead.share_statistics("large").in_use == 8
        for _ in range(20):
            nursery.start_soon(work, "small")
        await trio.sleep(0.15)
        most.clear()
    assert most["large"] <= 4
    assert done == {"large": 30, "small": 20}


async def test_one_share_does_not_take_all_places_to_wait() -> None:
    """Clause P8."""
    bulkhead = Bulkhead("mail", BulkheadSpec(running=1, waiting=4, wait_s=10))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(hold, bulkhead, 1, "large")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull):
            await bulkhead.acquire("large")
        nursery.start_soon(hold, bulkhead, 0, "small")
        await trio.testing.wait_all_tasks_blocked()
        assert bulkhead.share_statistics("small").waiting == 1
        assert bulkhead.statistics().shares == 2


async def test_strict_shares_leave_room_for_others_that_may_come() -> None:
    """Clause P8."""
    bulkhead = Bulkhead("store", BulkheadSpec(running=4, wait_s=10, strict_shares=True))
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(hold, bulkhead, 1, "large")
        await trio.testing.wait_all_tasks_blocked()
        large = bulkhead.share_statistics("large")
        assert (large.in_use, large.waiting, large.limit) == (2, 3, 2)
        assert bulkhead.try_acquire("small")
        assert not bulkhead.try_acquire("large")
        bulkhead.release("small")
        assert bulkhead.share_statistics("large").in_use == 2
    assert bulkhead.statistics().in_use == 0


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    bulkhead = Bulkhead("mail", BulkheadSpec(running=1, wait_s=10))
    assert bulkhead.try_acquire("a")
    with trio.move_on_after(1):
        await bulkhead.acquire("a")
    assert bulkhead.statistics().waiting == 0
    bulkhead.release("a")
    assert bulkhead.statistics() == attrs_of(bulkhead, in_use=0)
    assert bulkhead.try_acquire("a")


def attrs_of(bulkhead: Bulkhead, in_use: int) -> object:
    statistics = bulkhead.statistics()
    return type(statistics)("mail", 1, in_use, 0, 0, 0)


async def test_who_gives_up_as_a_permit_comes_passes_it_on() -> None:
    """Cancelled and granted in the same moment, in both orders."""
    for grant_first in (True, False):
        bulkhead = Bulkhead("mail", BulkheadSpec(running=1, wait_s=10))
        assert bulkhead.try_acquire()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hold, bulkhead, 1)
                await trio.testing.wait_all_tasks_blocked()
                if grant_first:
                    bulkhead.release()
                    scope.cancel()
                else:
                    scope.cancel()
                    bulkhead.release()
        assert bulkhead.statistics().in_use == 0


async def test_work_that_shields_itself_keeps_its_permit_until_it_is_gone() -> None:
    """Clause P8."""
    bulkhead = Bulkhead("mail", BulkheadSpec(running=1))
    gone = trio.Event()

    async def stubborn() -> None:
        async with bulkhead.permit():
            with trio.CancelScope(shield=True):
                await gone.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stubborn)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
            assert bulkhead.statistics().in_use == 1
            gone.set()
    assert bulkhead.statistics().in_use == 0


async def test_more_room_is_given_to_those_who_wait() -> None:
    bulkhead = Bulkhead("store", BulkheadSpec(running=1, wait_s=10))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(hold, bulkhead, 1)
        await trio.testing.wait_all_tasks_blocked()
        bulkhead.resize(3)
        assert bulkhead.statistics().in_use == 3
        bulkhead.resize(1)
        assert not bulkhead.try_acquire()
    assert bulkhead.try_acquire()
