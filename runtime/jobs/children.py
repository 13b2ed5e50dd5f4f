"""The job queue's children, and what a program declares of its jobs."""

from collections.abc import Mapping

import attrs

from runtime.child import ChildSpec
from runtime.jobs.desk import JobDesk
from runtime.jobs.handlers import JobHandler
from runtime.jobs.lane import Leases
from runtime.jobs.messages import JOBS, RUNNER, SCHEDULER
from runtime.jobs.model import QueuePolicy
from runtime.jobs.pruning import PRUNE, PRUNING, Pruner
from runtime.jobs.runner import JobRunner
from runtime.jobs.scheduler import Scheduler
from runtime.jobs.schedules import SCHEDULED, Schedule
from runtime.mailbox import REFUSING
from runtime.storage import Database, Migrations

JOBS_MIGRATIONS = Migrations("jobs", "runtime.jobs.migrations")

RUNNER_SHUTDOWN_S = 10.0


@attrs.frozen(kw_only=True)
class JobsSpec:
    """The queues, handlers by job name, and schedules of the domains.

    The queue of scheduled jobs and the pruning of old jobs are there without being declared.
    """

    queues: tuple[QueuePolicy, ...] = ()
    handlers: Mapping[str, JobHandler] = attrs.field(factory=dict)
    schedules: tuple[Schedule, ...] = ()
    leases: Leases = attrs.field(factory=Leases)


def jobs_children(database: Database, spec: JobsSpec) -> tuple[ChildSpec, ...]:
    """Desk, runner and scheduler, in the order of their start; they need the journal."""
    queues = (SCHEDULED, *spec.queues)
    handlers: dict[str, JobHandler] = {PRUNE: Pruner(database), **spec.handlers}
    schedules = (PRUNING, *spec.schedules)
    return (
        ChildSpec("jobs", lambda: JobDesk(database, queues), name=JOBS, mailbox=REFUSING),
        ChildSpec(
            "job_runner",
            lambda: JobRunner(database, queues, handlers, spec.leases),
            name=RUNNER,
            shutdown_s=RUNNER_SHUTDOWN_S,
        ),
        ChildSpec("scheduler", lambda: Scheduler(database, schedules), name=SCHEDULER),
    )
