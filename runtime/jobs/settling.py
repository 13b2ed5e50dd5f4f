"""Settling: committing the end of an attempt together with its effects."""

from datetime import datetime
from enum import Enum

import attrs
import structlog
import trio

from runtime.child import Backoff
from runtime.errors import ActorError, Outcome
from runtime.jobs.lane import Attempt
from runtime.jobs.model import Verdict
from runtime.jobs.queries import END_ATTEMPT
from runtime.jobs.store import JobStore, end_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.parking import monotonic
from runtime.storage import (
    ConstraintViolation,
    Entry,
    StorageError,
    StorageFull,
    StorageUnavailable,
    Superseded,
)
from runtime.storage.outbox import INSERT_EVENT
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.jobs")

COMMIT_TIMEOUT_S = 5.0


class Fenced(Enum):
    """The lease is another's: nothing was written. (Or it ended before that was known.)"""

    FENCED = "fenced"


FENCED = Fenced.FENCED

Settled = ConstraintViolation | Fenced | None


@attrs.frozen
class Settler:
    """Commits ends through the journal, for as long as the lease lasts."""

    _system: ActorSystem
    _store: JobStore
    _backoff: Backoff = attrs.field(factory=Backoff)

    async def settle(
        self, attempt: Attempt, verdict: Verdict, effects: Entry, now: datetime
    ) -> Settled:
        """None when all of it is durable, the violation when the effects broke a constraint.

        A commit whose outcome is unknown, or that was not possible, is tried again: that is
        safe, since the end of an attempt can be written only once.
        """
        end = end_write(attempt.job, verdict, now)
        publishes = any(write.statement is INSERT_EVENT for write in effects)
        message = Append((*effects, end), publishes=publishes)
        failures, in_doubt = 0, False
        while True:
            try:
                answer = await self._system.ref(JOURNAL).ask(message, timeout_s=COMMIT_TIMEOUT_S)
                if in_doubt and answer is not None and await self._is_there(attempt, verdict):
                    return None
                return _settled(answer)
            except (ActorError, StorageError) as error:
                in_doubt = in_doubt or not _surely_undone(error)
                failures += 1
                log.info("job_end_delayed", job=attempt.job.job_id, error=str(error)[:500])
            delay_s = self._backoff.delay_s(failures + 1, self._system.random)
            if attempt.released or monotonic() + delay_s >= attempt.leased_until:
                return FENCED
            await trio.sleep(delay_s)

    async def _is_there(self, attempt: Attempt, verdict: Verdict) -> bool:
        """Whether an earlier try was durable after all."""
        job = await self._store.get(attempt.job.merchant_id, attempt.job.job_id)
        return job is not None and (job.lease, job.state) == (attempt.job.lease, verdict.state)


def _settled(answer: Rejected | None) -> Settled:
    if answer is None:
        return None
    return FENCED if _is_fence(answer.violation) else answer.violation


def _is_fence(violation: ConstraintViolation) -> bool:
    return isinstance(violation, Superseded) and violation.statement == END_ATTEMPT.name


def _surely_undone(error: ActorError | StorageError) -> bool:
    if isinstance(error, ActorError):
        return error.outcome is Outcome.NOT_DELIVERED
    return isinstance(error, StorageUnavailable | StorageFull)
