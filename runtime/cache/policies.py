"""The policies of Redis: what the errors of the cache say about it, and its default pipeline."""

from runtime.cache.errors import CacheRefused, CacheUnavailable
from runtime.policies import (
    FAILED,
    IGNORED,
    REFUSED,
    BreakerSpec,
    BulkheadSpec,
    Judgement,
    PipelineSpec,
)

DEPENDENCY = "redis"

CONNECTIONS_MAX = 16


def judge(error: Exception) -> Judgement:
    """A refusal is an answer; anything but the cache's own errors is our mistake."""
    match error:
        case CacheUnavailable():
            return FAILED
        case CacheRefused():
            return REFUSED
    return IGNORED


REDIS = PipelineSpec(
    deadline_s=0.1,
    attempt_s=0.1,
    retry=None,
    breaker=BreakerSpec(open_s=1.0, open_max_s=5.0),
    bulkhead=BulkheadSpec(running=CONNECTIONS_MAX, waiting=256),
    judge=judge,
)
"""A call has no time for a second attempt. The breaker is open so shortly that a Redis that is
back is used again within 10 s, however long it was away."""
