"""The kernel: the same seed gives the same run, in every process; nothing is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio._core import _run as scheduler

from runtime.sim import NotSimulated, run_deterministically
from runtime.sim.kernel import raise_unsimulated

ROOT = Path(__file__).parents[2]

DIGESTS = """
import sys
sys.path[:0] = [".", "http"]
from runtime.sim import run_seed
from supervisors.simulation.points import PointsScenario
print([run_seed(PointsScenario, seed).digest for seed in range(4)])
"""


async def order_of_tasks(number: int) -> list[int]:
    """In which order tasks that are ready at the same time run."""
    order: list[int] = []

    async def task(name: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            order.append(name)

    async with trio.open_nursery() as nursery:
        for name in range(number):
            nursery.start_soon(task, name)
    return order


def test_trio_still_has_what_the_kernel_needs() -> None:
    assert scheduler._ALLOW_DETERMINISTIC_SCHEDULING in (True, False)
    assert scheduler._r.getstate()


def test_the_seed_decides_the_order_of_tasks() -> None:
    orders = [run_deterministically(order_of_tasks, 8, seed=seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def sleep() -> float:
        await trio.sleep(3_600)
        return trio.current_time()

    assert run_deterministically(sleep, seed=0) == pytest.approx(3_600)


def test_the_scheduler_is_as_before_afterwards() -> None:
    async def fail() -> None:
        raise KeyError("x")

    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()
    run_sync = trio.to_thread.run_sync
    with pytest.raises(KeyError):
        run_deterministically(fail, seed=1)
    assert (scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()) == before
    assert trio.to_thread.run_sync is run_sync


def test_a_thread_is_refused_by_name() -> None:
    async def leave() -> None:
        await trio.to_thread.run_sync(os.getpid)

    with pytest.raises(NotSimulated, match="getpid"):
        run_deterministically(leave, seed=1)


def test_what_left_the_simulation_is_found_within_what_it_led_to() -> None:
    outer = RuntimeError("did not start")
    outer.__cause__ = ExceptionGroup("several", [ValueError(), NotSimulated("a thread")])
    with pytest.raises(NotSimulated):
        raise_unsimulated(outer)
    raise_unsimulated(ValueError("something else"))


@pytest.mark.slow
def test_digests_are_the_same_in_processes_with_other_hash_seeds() -> None:
    printed = set()
    for hash_seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", DIGESTS],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(done.stdout)
    assert len(printed) == 1, printed
