"""How an attempt may end, and what that makes of its job."""

from datetime import datetime
from random import Random

import attrs

from runtime.jobs.handlers import PermanentFailure, RetryAfter
from runtime.jobs.model import (
    Job,
    JobState,
    QueuePolicy,
    Verdict,
    death,
    failure,
    postponement,
    success,
)
from runtime.storage import Entry


@attrs.frozen
class Done:
    """The handler returned its effects."""

    effects: Entry


@attrs.frozen
class Failed:
    """`permanent`: no further attempt would help."""

    error: str
    permanent: bool = False


@attrs.frozen
class Postponed:
    """The attempt does not count."""

    delay_s: float
    reason: str


@attrs.frozen
class Lost:
    """The lease ended first: the job is another worker's business."""


Ending = Done | Failed | Postponed | Lost


def ending_of(error: Exception) -> Failed | Postponed:
    """What a handler's exception means; of a group, what its only member means."""
    single: BaseException = error
    while isinstance(single, ExceptionGroup) and len(single.exceptions) == 1:
        single = single.exceptions[0]
    if isinstance(single, RetryAfter):
        return Postponed(single.delay_s, str(single))
    text = f"{type(single).__name__}: {single}"
    return Failed(text, permanent=isinstance(single, PermanentFailure))


def verdict_of(
    ending: Done | Failed | Postponed,
    job: Job,
    policy: QueuePolicy,
    now: datetime,
    random: Random,
) -> Verdict:
    match ending:
        case Done():
            return success(job)
        case Postponed():
            return postponement(job, policy, ending.delay_s, ending.reason, now)
        case Failed(permanent=True):
            return death(job, ending.error, now)
        case Failed():
            return failure(job, policy, ending.error, now, random)


def outcome_of(ending: Done | Failed | Postponed, verdict: Verdict) -> str:
    """The label of the ended attempt in the metrics."""
    if verdict.state is JobState.DEAD:
        return "dead"
    match ending:
        case Done():
            return "succeeded"
        case Postponed():
            return "postponed"
        case Failed():
            return "retried"
