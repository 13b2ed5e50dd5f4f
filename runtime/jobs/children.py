"""The job queue's children, and what a program declares of its jobs."""

from collections.abc import Mapping

import attrs

from runtime.child import ChildSpec
from runtime.jobs.desk import JobDesk
from runtime.jobs.handlers import JobHandler
from runtime.jobs.messages import JOBS, RUNNER, SCHEDULER
from runtime.jobs.model import Leases, QueuePolicy
from runtime.jobs.pruning import PRUNE, PRUNING, Pruner
from runtime.jobs.runner import JobRunner
from runtime.jobs.scheduler import Scheduler
from runtime.jobs.schedules import SCHEDULED, Schedule
from runtime.mailbox import REFUSING
from runtime.ownership import Ownership
from runtime.storage import Database, Migrations

JOBS_MIGRATIONS = Migrations("jobs", "runtime.jobs.migrations")

RUNNER_SHUTDOWN_S = 10.0


@attrs.frozen(kw_only=True)
class JobsSpec:
    """The queues, handlers by job name, and schedules of the domains.

    The queue of scheduled jobs and the pruning of old jobs are there without being declared. The
    desk knows the queues `elsewhere` as well, whose jobs run in other processes.
    """

    queues: tuple[QueuePolicy, ...] = ()
    handlers: Mapping[str, JobHandler] = attrs.field(factory=dict)
    schedules: tuple[Schedule, ...] = ()
    leases: Leases = attrs.field(factory=Leases)
    elsewhere: tuple[QueuePolicy, ...] = ()


def combined_jobs(first: JobsSpec, *rest: JobsSpec) -> JobsSpec:
    """The jobs of several domains as one, with the leases of the first.

    Raises `ValueError` when two declare a queue, handler or schedule of the same name.
    """
    specs = (first, *rest)
    queues = tuple(queue for spec in specs for queue in spec.queues)
    handlers = [item for spec in specs for item in spec.handlers.items()]
    schedules = tuple(schedule for spec in specs for schedule in spec.schedules)
    _refuse_twins("queues", [queue.name for queue in queues])
    _refuse_twins("handlers", [name for name, _ in handlers])
    _refuse_twins("schedules", [schedule.name for schedule in schedules])
    return JobsSpec(
        queues=queues, handlers=dict(handlers), schedules=schedules, leases=first.leases
    )


def _refuse_twins(what: str, names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ValueError(f"two {what} have the name {twins[0]}")


def jobs_children(
    database: Database, spec: JobsSpec, ownership: Ownership
) -> tuple[ChildSpec, ...]:
    """Desk, runner and scheduler, in the order of their start; they need the journal, which writes
    under `ownership`."""
    own = JobsSpec(
        queues=(SCHEDULED,),
        handlers={PRUNE: Pruner(database)},
        schedules=(PRUNING,),
        leases=spec.leases,
    )
    jobs = combined_jobs(own, spec)
    known = (*jobs.queues, *spec.elsewhere)
    return (
        ChildSpec("jobs", lambda: JobDesk(database, known), name=JOBS, mailbox=REFUSING),
        ChildSpec(
            "job_runner",
            lambda: JobRunner(database, jobs.queues, jobs.handlers, jobs.leases, ownership),
            name=RUNNER,
            shutdown_s=RUNNER_SHUTDOWN_S,
        ),
        ChildSpec("scheduler", lambda: Scheduler(database, jobs.schedules), name=SCHEDULER),
    )
