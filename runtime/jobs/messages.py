"""What may be said to the job queue."""

from datetime import datetime
from enum import Enum

import attrs

from runtime.jobs.model import Job, NewJob
from runtime.message import Call, Cast
from runtime.outbox import OutboxEvent

JOBS = "platform.jobs"
"""Name of the desk: enqueues, tells depths, and keeps the dead letters."""

RUNNER = "platform.job_runner"
SCHEDULER = "platform.scheduler"

CHANNEL = "jobs"
"""Notices that a queue has got a job; the payload names the queue."""


@attrs.frozen
class Enqueued:
    """`duplicate`: a live job had the same unique key, and `job_id` is the id of that one."""

    job_id: str
    duplicate: bool = False


@attrs.frozen
class QueueFull:
    """Refused, nothing was enqueued. Come back after `retry_after_s`."""

    queue: str
    depth: int
    retry_after_s: float


class JobRefusal(Enum):
    """Why nothing was done. `DUPLICATE`: a live job has the same unique key."""

    NOT_FOUND = "not_found"
    ENDED = "ended"
    DUPLICATE = "duplicate"


@attrs.frozen
class Enqueue(Call[Enqueued | QueueFull]):
    """To the desk, from those who have no transaction of their own to write the job in.

    When the ask ends with the outcome unknown, it may be enqueued: a unique key makes it safe
    to ask again.
    """

    job: NewJob


@attrs.frozen
class JobsAdded(Cast):
    """To the desk: an entry with jobs of this queue is durable. Runners look at once."""

    queue: str


@attrs.frozen
class QueueDepth:
    """Waiting and running jobs, as last counted, and those enqueued here since.

    `filling` from 80% of `depth_max`; at 100% `Enqueue` is refused. `oldest_age_s` is how long
    ago the job that waits longest came due.
    """

    queue: str
    depth: int
    depth_max: int
    filling: bool
    full: bool
    dead: int
    oldest_age_s: float


@attrs.frozen
class GetQueueDepth(Call[QueueDepth]):
    """To the desk; answered without asking the database, so that it may precede every entry."""

    queue: str


@attrs.frozen
class ListQueues(Call[tuple[QueueDepth, ...]]):
    """To the desk: every queue there is, by name."""


@attrs.frozen
class GetJob(Call[Job | None]):
    merchant_id: str
    job_id: str


@attrs.frozen
class CancelJob(Call[Job | JobRefusal]):
    """To the desk: end a live job; answered with the job as it was.

    One that runs is fenced at once: its effects are not committed. Its handler ends when the
    lease does, at the latest.
    """

    merchant_id: str
    job_id: str
    by: str
    reason: str


@attrs.frozen
class ListDeadLetters(Call[tuple[Job, ...]]):
    """To the desk: dead jobs of all merchants, the latest first, from before `before`."""

    before: tuple[datetime, str]
    limit: int


@attrs.frozen
class GetDeadLetter(Call[Job | None]):
    """To the desk: a dead job, or one that was dead and was put back, whatever became of it."""

    job_id: str


@attrs.frozen
class PutBack(Call[Job | JobRefusal]):
    """To the desk: give a dead job all its attempts again, at the end of its line.

    Answered with the job as it is then. `by` and `reason` stay with the job. `publishes` are events
    of the same transaction.
    """

    job_id: str
    by: str
    reason: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class QueueStatistics:
    """Of one process: jobs running now, of at most `concurrency`."""

    queue: str
    running: int
    concurrency: int


@attrs.frozen
class RunnerStatistics:
    worker: str
    queues: tuple[QueueStatistics, ...]


@attrs.frozen
class GetRunnerStatistics(Call[RunnerStatistics]):
    """To the runner."""
