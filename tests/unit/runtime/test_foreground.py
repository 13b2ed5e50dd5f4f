"""Who goes first: work in the background waits for a quiet moment, but not for ever."""

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from runtime.foreground import AFTER_S, ALONE_S, CALLS_MAX, PATIENCE_S, SLICE_S, Foreground, Turns
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


async def test_where_nobody_asks_for_anything_it_is_quiet_at_once() -> None:
    foreground = Foreground()
    with assert_checkpoints():
        assert await foreground.quiet()
    assert trio.current_time() == 0


async def test_a_turn_that_nobody_else_waits_for_takes_one_step() -> None:
    steps: list[trio.lowlevel.Task] = []

    class Count(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(task)

    count = Count()
    trio.lowlevel.add_instrument(count)
    assert await Foreground().quiet()
    trio.lowlevel.remove_instrument(count)
    assert steps == [trio.lowlevel.current_task()]


async def test_it_is_quiet_when_the_last_request_has_ended() -> None:
    foreground = Foreground()
    ended: list[float] = []

    async def request(duration_s: float) -> None:
        with foreground:
            await trio.sleep(duration_s)
            ended.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(request, 0.003)
        nursery.start_soon(request, 0.005)
        await wait_all_tasks_blocked()
        assert await foreground.quiet()
        assert ended == [0.003, 0.005]
        assert trio.current_time() == 0.005


async def test_a_while_after_a_request_the_next_one_is_expected() -> None:
    foreground = Foreground()
    with foreground:
        pass
    await trio.sleep(AFTER_S * 2)
    assert await foreground.quiet()
    assert trio.current_time() == pytest.approx(ALONE_S)


async def test_the_end_of_the_next_request_is_a_quiet_moment() -> None:
    foreground = Foreground()
    with foreground:
        pass
    await trio.sleep(AFTER_S * 2)

    async def request() -> None:
        await trio.sleep(0.001)
        with foreground:
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(request)
        assert await foreground.quiet()
        assert trio.current_time() == pytest.approx(AFTER_S * 2 + 0.002)


async def test_a_request_that_comes_at_the_last_moment_is_waited_for() -> None:
    foreground = Foreground()
    order: list[str] = []

    async def request() -> None:
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        with foreground:
            await trio.sleep(0.001)
            order.append("request")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(request)
        await foreground.quiet()
        order.append("background")
    assert order == ["request", "background"]


async def test_nobody_waits_longer_than_their_patience() -> None:
    foreground = Foreground()
    with foreground:
        assert not await foreground.quiet()
        assert trio.current_time() == PATIENCE_S
        assert not await foreground.quiet(0.5)
        assert trio.current_time() == PATIENCE_S + 0.5


async def test_after_every_request_its_client_gets_the_processor_once() -> None:
    gave_way: list[float] = []
    foreground = Foreground(lambda: gave_way.append(trio.current_time()))
    assert await foreground.quiet()
    assert gave_way == []
    for _ in range(2):
        await trio.sleep(ALONE_S)
        with foreground:
            pass
        for _ in range(3):
            assert await foreground.quiet()
    assert gave_way == [ALONE_S, 2 * ALONE_S]


async def test_what_comes_while_work_gives_way_goes_first() -> None:
    order: list[str] = []
    wake = trio.Event()

    async def request() -> None:
        await wake.wait()
        with foreground:
            await trio.sleep(0.001)
            order.append("request")

    foreground = Foreground(wake.set)
    with foreground:
        pass
    async with trio.open_nursery() as nursery:
        nursery.start_soon(request)
        await wait_all_tasks_blocked()
        assert await foreground.quiet()
        order.append("background")
    assert order == ["request", "background"]


async def test_those_who_wait_get_their_moments_one_after_another() -> None:
    foreground = Foreground()
    running = 0

    async def work() -> None:
        nonlocal running
        await foreground.quiet()
        running += 1
        assert running == 1
        await trio.lowlevel.checkpoint()
        running -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(work)


async def test_who_no_longer_waits_holds_up_nobody() -> None:
    foreground = Foreground()
    async with trio.open_nursery() as nursery:
        with foreground:
            nursery.start_soon(foreground.quiet, 60.0)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert await foreground.quiet()


@pytest.mark.trio(run=trio.run)
async def test_a_slice_goes_on_until_its_time_is_up(mock_clock: MockClock) -> None:
    foreground = Foreground()
    turns = Turns(foreground)
    await turns.take()
    with foreground:
        mock_clock.jump(SLICE_S * 0.9)
        await turns.take()
        assert mock_clock.current_time() == pytest.approx(SLICE_S * 0.9)
        mock_clock.jump(SLICE_S * 0.2)
        with trio.move_on_after(0) as given_up:
            await turns.take()
        assert given_up.cancelled_caught


async def test_a_slice_has_an_end_where_time_stands_still() -> None:
    foreground = Foreground()
    turns = Turns(foreground)
    await turns.take()
    with foreground:
        for _ in range(CALLS_MAX - 1):
            await turns.take()
        assert trio.current_time() == 0
        await turns.take()
        assert trio.current_time() == PATIENCE_S


async def test_work_that_somebody_waits_for_lets_others_run_and_waits_for_nobody() -> None:
    foreground = Foreground()
    with foreground:
        turns = Turns(None)
        with assert_checkpoints():
            await turns.take()
        assert trio.current_time() == 0
