"""The durable job queue: `docs/jobs.md` shows its use, `docs/semantics.md` its guarantees (Q)."""

from runtime.jobs.children import JOBS_MIGRATIONS, JobsSpec, combined_jobs, jobs_children
from runtime.jobs.handlers import JobHandler, PermanentFailure, RetryAfter
from runtime.jobs.messages import (
    JOBS,
    CancelJob,
    Enqueue,
    Enqueued,
    GetDeadLetter,
    GetJob,
    GetQueueDepth,
    GetRunnerStatistics,
    JobRefusal,
    JobsAdded,
    ListDeadLetters,
    ListQueues,
    PutBack,
    QueueDepth,
    QueueFull,
)
from runtime.jobs.model import PLATFORM, Delays, Job, JobState, Leases, NewJob, QueuePolicy
from runtime.jobs.schedules import SCHEDULED, Daily, Every, Hourly, Schedule, scheduled_of
from runtime.jobs.store import dead_letter_write, job_write

__all__ = [
    "JOBS",
    "JOBS_MIGRATIONS",
    "PLATFORM",
    "SCHEDULED",
    "CancelJob",
    "Daily",
    "Delays",
    "Enqueue",
    "Enqueued",
    "Every",
    "GetDeadLetter",
    "GetJob",
    "GetQueueDepth",
    "GetRunnerStatistics",
    "Hourly",
    "Job",
    "JobHandler",
    "JobRefusal",
    "JobState",
    "JobsAdded",
    "JobsSpec",
    "Leases",
    "ListDeadLetters",
    "ListQueues",
    "NewJob",
    "PermanentFailure",
    "PutBack",
    "QueueDepth",
    "QueueFull",
    "QueuePolicy",
    "RetryAfter",
    "Schedule",
    "combined_jobs",
    "dead_letter_write",
    "job_write",
    "jobs_children",
    "scheduled_of",
]
