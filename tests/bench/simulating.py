"""How fast simulations are, by the processor's time, and how often an idle program wakes up."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import attrs
import trio

from runtime.sim import FaultPlan, Run, run_script, run_seed, script_of
from supervisors.simulation.everything import EverythingScenario
from supervisors.simulation.points import PointsScenario
from tests.bench.harness import Figure, at_most

LOAD_S: Final = 300.0
SPEED_GOAL: Final = 1_000
ROUNDS: Final = 5

ROOT = Path(__file__).parents[2]

SEEDS: Final = 200
SEEDS_MAX_S: Final = 60.0

IDLE_S: Final = 300.0
SETTLED_S: Final = 30.0
IDLE_STEPS_MAX: Final = 25.0
"""Steps of tasks in an idle second, of the whole program."""


class Load(PointsScenario):
    """One request a second, for `LOAD_S`."""

    operations = int(LOAD_S)
    pauses_s = (2.0 * PointsScenario.clients,)


@attrs.frozen
class Speed:
    """Simulated seconds in one of the processor: while there is load, and of the whole run, with
    the start of the tree, its end, and the checks, which repeat every request."""

    under_load: float
    whole: float


def speed_under_load() -> Speed:
    """Of one process, with one request a second and no faults."""
    moments: list[tuple[float, float]] = []

    def note() -> None:
        moments.append((trio.current_time(), time.process_time()))

    class Measured(Load):
        async def prepare(self, run: Run) -> None:
            await super().prepare(run)
            note()

        async def at_rest(self, run: Run) -> bool:
            note()
            return await super().at_rest(run)

    script = attrs.evolve(script_of(Measured, 1), plan=FaultPlan(duration_s=LOAD_S))
    begun_at = time.process_time()
    outcome = run_script(Measured, script)
    whole_s = time.process_time() - begun_at
    if outcome.findings:
        raise RuntimeError(f"found: {outcome.findings}")
    (began, begun), (ended, done) = moments[:2]
    return Speed((ended - began) / (done - begun), outcome.seconds / whole_s)


def command_s(seeds: int) -> float:
    """How long the program takes for seeds of the full scenario, on all cores."""
    begun_at = time.perf_counter()
    command = ["sim", "--scenario", "everything", "--seeds", str(seeds), "--once"]
    subprocess.run([sys.executable, ROOT / "main.py", *command], check=True, capture_output=True)
    return time.perf_counter() - begun_at


def seeds_of_everything_s(seeds: int) -> float:
    """What these seeds of the full scenario, with all faults, take of the processor."""
    begun_at = time.process_time()
    for seed in range(seeds):
        run_seed(EverythingScenario, seed)
    return time.process_time() - begun_at


@attrs.define(eq=False)
class Steps(trio.abc.Instrument):
    """Counts the steps of tasks, by their names. Those of an actor begin with the names of the
    supervisors above it, and have a `/` in between."""

    of: Counter[str] = attrs.field(factory=Counter)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.of[task.name] += 1


def idle_steps() -> dict[str, float]:
    """Who wakes up in a program that nobody asks for anything, and how often in a second."""
    steps = Steps()

    class Idle(EverythingScenario):
        operations = 0

        async def prepare(self, run: Run) -> None:
            await super().prepare(run)
            await trio.sleep(SETTLED_S)
            trio.lowlevel.add_instrument(steps)
            await trio.sleep(IDLE_S)
            trio.lowlevel.remove_instrument(steps)

    outcome = run_script(Idle, attrs.evolve(script_of(Idle, 1), plan=FaultPlan(duration_s=0.0)))
    if outcome.findings:
        raise RuntimeError(f"found: {outcome.findings}")
    return {name: count / IDLE_S for name, count in steps.of.items()}


def simulating() -> list[Figure]:
    speeds = [speed_under_load() for _ in range(ROUNDS)]
    best = max(speed.under_load for speed in speeds)
    return [
        Figure(
            f"simulated seconds in one of the processor, best of {ROUNDS}, one request a second",
            best,
            "s",
            None,
            None,
            f"at least {SPEED_GOAL:,} s",
            best >= SPEED_GOAL,
        ),
        Figure(
            "the same with the start of the tree, its end, and the checks that repeat all requests",
            max(speed.whole for speed in speeds),
            "s",
            None,
            None,
            "none",
            None,
        ),
        at_most(
            f"loyalnest sim: {SEEDS} seeds of everything, all faults, on {os.cpu_count()} cores",
            command_s(SEEDS),
            "s",
            SEEDS_MAX_S,
        ),
        Figure(
            f"{SEEDS} seeds of everything, all faults, time of the processor",
            seeds_of_everything_s(SEEDS),
            "s",
            None,
            None,
            "none",
            None,
        ),
        at_most("steps of tasks in an idle second", sum(idle_steps().values()), "", IDLE_STEPS_MAX),
    ]
