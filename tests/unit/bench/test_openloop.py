"""The load that does not wait: its rate, and what it counts as latency."""

import pytest
import trio
from trio.testing import MockClock

from tests.bench import openloop
from tests.bench.openloop import Latencies, Overloaded, open_loop


async def test_arrivals_keep_their_rate_however_slow_the_answers_are(
    autojump_clock: MockClock,
) -> None:
    arrived: list[float] = []

    async def act(_number: int) -> None:
        arrived.append(trio.current_time())
        await trio.sleep(5)

    start = trio.current_time()
    latencies = await open_loop(act, rate=10, duration_s=1, warm_up_s=0.5)
    assert [at - start for at in arrived] == pytest.approx([n / 10 for n in range(15)])
    assert latencies.sorted_ms == pytest.approx([5_000] * 10)


async def test_the_time_that_the_generator_came_late_counts(autojump_clock: MockClock) -> None:
    async def act(number: int) -> None:
        if number == 0:
            autojump_clock.jump(0.35)  # as if it had kept the processor so long

    latencies = await open_loop(act, rate=10, duration_s=0.5, warm_up_s=0)
    assert latencies.sorted_ms == pytest.approx([0, 50, 150, 250, 350])


async def test_it_gives_up_where_answers_do_not_keep_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openloop, "OUTSTANDING_MAX", 5)

    async def act(_number: int) -> None:
        await trio.sleep(60)

    with pytest.RaisesGroup(Overloaded):
        await open_loop(act, rate=10, duration_s=2, warm_up_s=0)
    assert trio.current_time() < 1


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_one_of_the_latencies(percent: float, expected: float) -> None:
    assert Latencies(list(range(1, 101))).percentile(percent) == expected
