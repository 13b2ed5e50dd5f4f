"""Pruning goes on while there is something to delete, up to its bound."""

from datetime import datetime

from runtime.jobs.pruning import STEP_ROWS, STEPS_MAX, in_steps
from tests.unit.jobs.world import START


async def prune(left: int) -> tuple[int, list[int]]:
    """What was deleted altogether and step by step, of so many rows."""
    steps: list[int] = []

    async def step(before: datetime, limit: int) -> int:
        assert before == START
        steps.append(min(limit, left - sum(steps)))
        return steps[-1]

    return await in_steps(step, START), steps


async def test_it_deletes_in_steps_until_nothing_is_left() -> None:
    """Clause Q12."""
    assert await prune(0) == (0, [0])
    assert await prune(2 * STEP_ROWS + 7) == (2 * STEP_ROWS + 7, [STEP_ROWS, STEP_ROWS, 7])


async def test_it_leaves_the_rest_of_a_great_many_to_the_next_run() -> None:
    """Clause Q12."""
    total, steps = await prune(10 * STEP_ROWS * STEPS_MAX)
    assert (total, len(steps)) == (STEP_ROWS * STEPS_MAX, STEPS_MAX)
