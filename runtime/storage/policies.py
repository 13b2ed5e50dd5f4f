"""The policies of the database: what its errors say about it, and its pipeline by default."""

from random import Random

from runtime.policies import (
    FAILED,
    FAILED_FOR_GOOD,
    IGNORED,
    REFUSED,
    UNDONE,
    BreakerSpec,
    BulkheadSpec,
    Judgement,
    Pipeline,
    PipelineSpec,
    PolicyMetrics,
)
from runtime.storage.errors import (
    CommitUnknown,
    ConnectionLost,
    ConstraintViolation,
    StorageFull,
    StorageUnavailable,
    TakenOver,
    TransactionUndone,
)

DEPENDENCY = "database"


def judge(error: Exception) -> Judgement:
    """Rows that break a constraint and a full disk are answers. Any other `StorageError` is our
    mistake. What was undone may be repeated, and reads that lost their connection."""
    match error:
        case TransactionUndone():
            return UNDONE
        case TakenOver():
            return IGNORED
        case ConnectionLost():
            return FAILED
        case StorageUnavailable() | CommitUnknown():
            return FAILED_FOR_GOOD
        case ConstraintViolation() | StorageFull():
            return REFUSED
    return IGNORED


WRITE_LIMIT_S = 3.0
"""For a write with all its attempts: PostgreSQL looks for a deadlock only after a second, and the
transaction that it undoes then is to have time for another attempt."""

DATABASE = PipelineSpec(
    deadline_s=1.0,
    attempt_s=1.0,
    breaker=BreakerSpec(slow_s=2.0, open_s=1.0, open_max_s=5.0),
    bulkhead=BulkheadSpec(running=1, waiting=1_024, wait_s=1.0, strict_shares=True),
    judge=judge,
)
"""The bulkhead takes its size from the store. The breaker is open so shortly that a store that is
back is used again within 10 s, however long it was away."""


def database_pipeline(random: Random, metrics: PolicyMetrics | None = None) -> Pipeline:
    """The pipeline of a database, for those who have no settings."""
    return Pipeline(DEPENDENCY, DATABASE, random, metrics)
