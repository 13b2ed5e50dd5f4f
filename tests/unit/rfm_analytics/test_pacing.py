"""How large the steps of a run are, and how long it rests, with and without others."""

import pytest
import trio

from actors.rfm_analytics.pacing import (
    REST_BESIDE_S,
    REST_MAX_S,
    REST_SHARE,
    SLICE,
    SLICE_BESIDE,
    Pace,
)
from runtime.foreground import LINGERS_S, Foreground
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


async def rested(pace: Pace, took_s: float) -> float:
    began = trio.current_time()
    await pace.rest(took_s)
    return trio.current_time() - began


async def test_while_nobody_waits_steps_are_large_and_follow_at_once() -> None:
    pace = Pace(Foreground())
    assert pace.customers == SLICE
    assert await rested(pace, 0.2) == 0.0


async def test_beside_others_steps_are_small_and_rests_long_until_they_are_gone() -> None:
    foreground = Foreground()
    foreground.commit_awaited()
    pace = Pace(foreground)
    assert pace.customers == SLICE_BESIDE
    assert await rested(pace, 0.001) == pytest.approx(REST_BESIDE_S)
    assert await rested(pace, 0.01) == pytest.approx(0.01 * REST_SHARE)
    assert await rested(pace, 10.0) == pytest.approx(REST_MAX_S)
    await trio.sleep(LINGERS_S)
    assert pace.customers == SLICE


async def test_a_bound_of_ones_own_holds_whoever_waits() -> None:
    foreground = Foreground()
    assert Pace(foreground, 3).customers == 3
    foreground.commit_awaited()
    assert Pace(foreground, 3).customers == 3
