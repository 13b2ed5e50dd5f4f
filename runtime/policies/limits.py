"""What a rate limit is, and how a call comes off against one."""

from math import ceil

import attrs


@attrs.frozen
class Limit:
    """`count` calls in each `per_s` seconds, of which `burst` may come at once."""

    count: int = attrs.field(validator=attrs.validators.ge(1))
    per_s: float = attrs.field(validator=attrs.validators.gt(0))
    burst: int = attrs.field(validator=attrs.validators.ge(1))
    interval_us: int = attrs.field(init=False, eq=False, repr=False)
    """Microseconds from one call to the next at the steady rate, rounded up."""

    @interval_us.default
    def _interval_us(self) -> int:
        return ceil(self.per_s * 1_000_000 / self.count)

    def share(self, processes: int) -> "Limit":
        """What one of several processes may admit when they cannot ask each other."""
        return Limit(self.count, self.per_s * processes, max(1, self.burst // processes))


def per_minute(count: int) -> Limit:
    """`count` calls a minute, all of which may come at once."""
    return Limit(count, 60.0, count)


@attrs.frozen
class Verdict:
    """`retry_after_s` is 0 when allowed, else when the same call would be.

    `remaining` calls of cost 1 would be admitted at once now. `local` says that only this
    process was asked, because the shared cache is away.
    """

    allowed: bool
    retry_after_s: float
    remaining: int
    local: bool = False


def check_cost(limit: Limit, cost: int) -> None:
    if not 0 <= cost <= limit.burst:
        raise ValueError(f"a cost is 0 to the burst, {limit.burst}")


@attrs.frozen
class Claim:
    """A limit that a call must keep, and the key whose limit it is.

    `scope` says in metrics and answers what kind of limit it is.
    """

    scope: str
    key: str
    limit: Limit


@attrs.frozen
class Decision:
    """The verdict about a call with several limits: that of the limit which it comes from.

    It is the one that refused, or else the one of which the smallest part is left.
    """

    verdict: Verdict
    claim: Claim

    @property
    def allowed(self) -> bool:
        return self.verdict.allowed

    @property
    def left(self) -> float:
        """The part of the burst that is left, 0 to 1."""
        return self.verdict.remaining / self.claim.limit.burst


def nearer(one: Decision | None, other: Decision) -> Decision:
    """The decision that is nearer to a refusal."""
    return other if one is None or other.left < one.left else one
