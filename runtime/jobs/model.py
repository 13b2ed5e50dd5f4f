"""Jobs as values: what a job is, how its queue treats it, and what an attempt makes of it."""

from datetime import datetime, timedelta
from enum import Enum
from random import Random
from typing import Any

import attrs

from runtime.texts import storable

PLATFORM = "-"
"""The merchant of jobs that belong to none; no merchant's id begins like that."""

CLAIMS_MAX = 1_000
"""A job that was claimed so often has its postponements counted as attempts."""

ERRORS_KEPT = 50
HISTORY_KEPT = 50
"""Of each list the latest are kept."""

ERROR_CHARACTERS_MAX = 2_000

Token = tuple[str, str, int]
"""Merchant and id of a job, and the lease: one claim of it."""


class JobState(Enum):
    """`AVAILABLE` and `RETRYABLE` wait for their time, the latter after a failed attempt."""

    AVAILABLE = "available"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    RETRYABLE = "retryable"
    DEAD = "dead"
    CANCELLED = "cancelled"


WAITING = frozenset({JobState.AVAILABLE, JobState.RETRYABLE})
LIVE = WAITING | {JobState.RUNNING}
ENDED = frozenset(JobState) - LIVE


@attrs.frozen
class Delays:
    """How long a failed job waits: `initial_s`, doubling with each failure up to `max_s`.

    With `jitter` the delay is drawn evenly from 0 up to that ("full jitter").
    """

    initial_s: float = 1.0
    max_s: float = 300.0
    jitter: bool = True

    def delay_s(self, failures: int, random: Random) -> float:
        """The delay after so many failures, 1 or more."""
        delay = min(self.max_s, self.initial_s * 2.0 ** (failures - 1))
        return random.uniform(0.0, delay) if self.jitter else delay


@attrs.frozen
class Leases:
    """How long a claimed job is its worker's alone, and how often that is renewed."""

    lease_s: float = 30.0
    heartbeat_s: float = 10.0


@attrs.frozen(kw_only=True)
class QueuePolicy:
    """A queue and its bounds.

    `concurrency` is per process: so many jobs of the queue run at once, however slow they are.
    `depth_max` counts the jobs that are waiting or running. With `leases` of its own, the jobs of a
    worker that died come back sooner or later than those of other queues.
    """

    name: str
    concurrency: int = 16
    depth_max: int = 100_000
    attempts_max: int = 5
    attempt_timeout_s: float = 60.0
    delays: Delays = Delays()
    leases: Leases | None = None


@attrs.frozen
class JobError:
    """One failed attempt."""

    at: datetime
    attempt: int
    error: str


@attrs.frozen
class JobNote:
    """What somebody did to a job: `action` is `put_back` or `cancel`, `by` who it was."""

    at: datetime
    action: str
    by: str
    reason: str


@attrs.frozen(kw_only=True)
class NewJob:
    """A job to be enqueued.

    `name` says which handler runs it, `payload` is a JSON object or list. Jobs of one queue,
    merchant and `key` run one after another in the order in which they came due. While a job
    with the same `unique_key` is live in the queue, another one is not enqueued. Of those that
    may run, the job with the higher `priority` is claimed first. Not claimed before `run_at`.
    """

    queue: str
    name: str
    payload: dict[str, object] | list[object] = attrs.field(factory=dict)
    merchant_id: str = PLATFORM
    key: str | None = None
    unique_key: str | None = None
    priority: int = 0
    run_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Job:
    """A job as it is stored.

    `attempt` counts the attempts begun, `lease` is the fencing token: it counts the claims.
    `due_at` is its place in the line of its key, `run_at` when it may be claimed at the
    earliest. `errors` and `history` are in order of time. One that was claimed is `followed` if
    others waited behind it in its line then; of any other it is not known.
    """

    merchant_id: str
    job_id: str
    queue: str
    name: str
    key: str | None
    unique_key: str | None
    priority: int
    payload: Any
    trace_id: str | None
    state: JobState
    attempt: int
    due_at: datetime
    run_at: datetime
    created_at: datetime
    lease: int
    worker: str | None
    leased_until: datetime | None
    finished_at: datetime | None
    errors: tuple[JobError, ...]
    history: tuple[JobNote, ...]
    followed: bool = attrs.field(default=True, eq=False, repr=False)

    @property
    def token(self) -> Token:
        return self.merchant_id, self.job_id, self.lease


@attrs.frozen
class Verdict:
    """What becomes of a running job."""

    state: JobState
    attempt: int
    run_at: datetime
    errors: tuple[JobError, ...]


def success(job: Job) -> Verdict:
    """It is done."""
    return Verdict(JobState.SUCCEEDED, job.attempt, job.run_at, job.errors)


def failure(job: Job, policy: QueuePolicy, error: str, now: datetime, random: Random) -> Verdict:
    """The attempt failed: another one after a delay, or none when it was the last."""
    if job.attempt >= policy.attempts_max:
        return death(job, error, now)
    delay = timedelta(seconds=policy.delays.delay_s(job.attempt, random))
    return Verdict(JobState.RETRYABLE, job.attempt, now + delay, _with_error(job, error, now))


def death(job: Job, error: str, now: datetime) -> Verdict:
    """No further attempt would help."""
    return Verdict(JobState.DEAD, job.attempt, job.run_at, _with_error(job, error, now))


def postponement(
    job: Job, policy: QueuePolicy, delay_s: float, reason: str, now: datetime
) -> Verdict:
    """Try again after `delay_s`, as if this attempt had not begun.

    Of a job that was claimed `CLAIMS_MAX` times the attempt counts after all.
    """
    attempt = job.attempt
    if job.lease < CLAIMS_MAX:
        attempt -= 1
    elif attempt >= policy.attempts_max:
        return death(job, reason, now)
    state = JobState.RETRYABLE if job.errors or attempt else JobState.AVAILABLE
    return Verdict(state, attempt, now + timedelta(seconds=delay_s), job.errors)


def _with_error(job: Job, error: str, now: datetime) -> tuple[JobError, ...]:
    return (*job.errors, JobError(now, job.attempt, storable(error, ERROR_CHARACTERS_MAX)))[
        -ERRORS_KEPT:
    ]
