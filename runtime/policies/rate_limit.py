"""The rate limit as a policy: calls over the limit are refused before they are made."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs

from runtime.policies.errors import RateLimited
from runtime.policies.limiters import Limiter
from runtime.policies.limits import Claim, Limit

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class RateLimitSpec:
    """`count` calls in each `per_s` seconds, of which `burst` (None: all of them) may come at
    once. With `per_share` each share (a merchant, say) has the limit for itself."""

    count: int = attrs.field(validator=attrs.validators.ge(1))
    per_s: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    burst: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.ge(1))
    )

    per_share: bool = False

    def limit(self) -> Limit:
        return Limit(self.count, self.per_s, self.burst if self.burst is not None else self.count)


@attrs.frozen
class RateLimitStatistics:
    """Calls so far."""

    admitted: int
    rejected: int


class RateLimit:
    """Lets calls through at the rate of its spec, counted by a limiter under its name.

    Usable alone, and as an admission of a pipeline.
    """

    def __init__(self, name: str, spec: RateLimitSpec, limiter: Limiter) -> None:
        self._spec = spec
        self._claim = Claim(name, f"policy:{name}", spec.limit())
        self._limiter = limiter
        self._admitted = 0
        self._rejected = 0

    async def admit(self, share: str | None = None) -> None:
        """Count a call. Raises `RateLimited`, which says when one will be admitted.

        A checkpoint only where the limiter has to ask. A call that is cancelled meanwhile may
        have been counted.
        """
        claim = self._claim
        if self._spec.per_share and share is not None:
            claim = attrs.evolve(claim, key=f"{claim.key}:{share}")
        decision = await self._limiter.take(claim)
        if not decision.allowed:
            self._rejected += 1
            raise RateLimited(
                claim.scope,
                "the rate of calls is used up",
                retry_after_s=decision.verdict.retry_after_s,
            )
        self._admitted += 1

    async def call(self, function: Callable[[], Awaitable[T]], share: str | None = None) -> T:
        """What `function` returns or raises. Raises `RateLimited` without calling it."""
        await self.admit(share)
        return await function()

    def statistics(self) -> RateLimitStatistics:
        return RateLimitStatistics(self._admitted, self._rejected)
