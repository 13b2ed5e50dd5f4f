"""Who looks at something now and then wakes up with the others, and not later than it says."""

from collections import Counter
from random import Random

import pytest
import trio

from runtime.coalescing import SLACK_S, until_next
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


async def looking(period_s: float, takes_s: float, looks: list[float]) -> None:
    while True:
        looks.append(trio.current_time())
        await trio.sleep(takes_s)
        await trio.sleep(until_next(period_s))


async def test_those_who_began_at_any_time_wake_up_together() -> None:
    random = Random(1)
    everybody: list[list[float]] = []
    async with trio.open_nursery() as nursery:
        for period_s in (5.0, 5.0, 5.0, 10.0):
            await trio.sleep(random.uniform(0.1, 1.0))
            everybody.append([])
            nursery.start_soon(looking, period_s, random.uniform(0.0, 0.2), everybody[-1])
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    later = Counter(moment for looks in everybody for moment in looks[1:])
    assert sorted(set(later.values())) == [3, 4]
    assert all(moment % 5 == pytest.approx(0, abs=1e-6) for moment in later)


@pytest.mark.parametrize("period_s", [0.3, 2.0, 5.0, 30.0])
async def test_nobody_waits_longer_than_the_period(period_s: float) -> None:
    random = Random(period_s)
    for _ in range(200):
        await trio.sleep(random.uniform(0.0, 2 * period_s))
        assert SLACK_S < until_next(period_s) <= period_s + SLACK_S
        await trio.sleep(until_next(period_s))
        assert until_next(period_s) == pytest.approx(period_s, abs=1e-6)
        await trio.sleep(period_s - SLACK_S / 2)
        assert until_next(period_s) == pytest.approx(period_s + SLACK_S / 2, abs=1e-6)
