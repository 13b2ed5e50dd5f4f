"""How much events take of the database's time, with and without others who wait for it."""

import pytest
import trio

from actors.event_tracking.pacing import ALONE, BESIDE, BYTES_MIN, Pace
from runtime.foreground import LINGERS_S, Foreground
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


async def test_while_nobody_waits_there_is_no_rest_and_batches_are_large() -> None:
    pace = Pace(Foreground())
    began = pace.begin()
    await trio.sleep(0.1)
    pace.wrote(0.1)
    assert pace.rest_s(began) == 0.0
    for _ in range(20):
        pace.wrote(0.1)
    assert pace.batch_bytes == ALONE.bytes_max


async def test_beside_others_three_tenths_of_the_time_are_theirs() -> None:
    foreground = Foreground()
    foreground.commit_awaited()
    pace = Pace(foreground)
    assert pace.batch_bytes == BESIDE.bytes_first
    began = pace.begin()
    await trio.sleep(0.07)
    pace.wrote(0.07)
    assert pace.rest_s(began) == pytest.approx(0.03)


async def test_batches_shrink_where_transactions_take_too_long_and_no_further_than_to_a_bound() -> (
    None
):
    foreground = Foreground()
    foreground.commit_awaited()
    pace = Pace(foreground)
    pace.wrote(0.09)
    assert pace.batch_bytes == BESIDE.bytes_first // 2
    for _ in range(10):
        pace.wrote(0.09)
    assert pace.batch_bytes == BYTES_MIN


async def test_what_was_learnt_beside_others_does_not_count_when_they_are_gone() -> None:
    foreground = Foreground()
    foreground.commit_awaited()
    pace = Pace(foreground)
    pace.wrote(0.09)
    await trio.sleep(LINGERS_S)
    assert pace.manner is ALONE
    assert pace.batch_bytes == ALONE.bytes_first
    foreground.commit_awaited()
    assert pace.batch_bytes == BESIDE.bytes_first // 2
