"""Pruning: the scheduled job that deletes what is over and old."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import attrs
import structlog

from runtime.jobs.model import Job
from runtime.jobs.schedules import Hourly, Schedule
from runtime.jobs.store import JobStore
from runtime.storage import Database, Entry
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.jobs")

PRUNE = "jobs.prune"
PRUNING = Schedule(name="jobs.prune", job=PRUNE, timing=Hourly(minute=17))

JOBS_KEPT = timedelta(days=7)
"""How long jobs that succeeded or were cancelled are kept."""

DEAD_LETTERS_KEPT = timedelta(days=180)
"""For somebody to put them back. What nobody missed in half a year is given up, and logged."""

RUNS_KEPT = timedelta(days=60)

STEP_ROWS = 500
STEPS_MAX = 200
"""What is left after so many steps waits for the next run."""


@attrs.frozen
class Pruner:
    """The handler of `PRUNE`. Small steps, so that writers get their turn in between."""

    _database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        store, now = JobStore(self._database), system.clock.now()
        jobs = await in_steps(store.prune_jobs, now - JOBS_KEPT)
        runs = await in_steps(store.prune_runs, now - RUNS_KEPT)
        dead = await in_steps(store.prune_dead, now - DEAD_LETTERS_KEPT)
        log.info("jobs_pruned", jobs=jobs, runs=runs)
        if dead:
            log.warning("dead_letters_given_up", jobs=dead)
        return ()


async def in_steps(prune: Callable[[datetime, int], Awaitable[int]], before: datetime) -> int:
    """Call `prune` until nothing is left, `STEPS_MAX` times at most; how many rows it deleted."""
    total = 0
    for _ in range(STEPS_MAX):
        deleted = await prune(before, STEP_ROWS)
        total += deleted
        if deleted < STEP_ROWS:
            break
    return total
