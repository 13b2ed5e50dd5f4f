"""What a pipeline is made of, as data; the defaults are where every dependency starts from."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import attrs

from runtime.policies.breaker import BreakerSpec
from runtime.policies.bulkhead import BulkheadSpec
from runtime.policies.fallback import NO_FALLBACK, FallbackSpec
from runtime.policies.judging import Effect, Judge, failed
from runtime.policies.retry import RetrySpec


@attrs.frozen(kw_only=True)
class PipelineSpec:
    """The policies of one dependency; None where it goes without.

    `deadline_s` bounds a call with all its waiting and its attempts, `attempt_s` each attempt.
    """

    deadline_s: float | None = 3.0
    attempt_s: float | None = 0.9
    retry: RetrySpec | None = attrs.field(factory=RetrySpec)
    breaker: BreakerSpec | None = attrs.field(factory=BreakerSpec)
    bulkhead: BulkheadSpec | None = attrs.field(factory=BulkheadSpec)
    fallback: FallbackSpec = NO_FALLBACK
    judge: Judge = failed


Ended: TypeAlias = Callable[[Effect, float], object]
"""Called when an admitted call has ended: what that says about the dependency, and how many
seconds it took, waiting included."""


class Admission(Protocol):
    """Decides on a call before anything is done for it, as load shedding and rate limits do."""

    async def admit(self, share: str | None) -> Ended | None:
        """Let the call in, or raise a kind of `NotAdmitted`.

        What is returned is called when the call has ended. A checkpoint only where it has to
        ask somebody.
        """
