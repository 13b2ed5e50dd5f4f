"""Where rate limits are counted: in this process, or in a cache that several processes share."""

from collections import OrderedDict
from random import Random
from typing import Final, Protocol

import attrs

from runtime.parking import monotonic
from runtime.policies.gcra import MICROSECONDS, LocalLimits
from runtime.policies.limits import Claim, Decision, Limit, Verdict, nearer

LEASED_PART: Final = 100
"""All processes together hold at most this part of a burst in advance: 1%."""

LEASE_S: Final = 1.0
"""Calls taken in advance and not used within this time are forgotten."""

LEASES_MAX: Final = 20_000
"""Keys with calls in advance. Whoever makes room loses those, and is limited more strictly."""


class Limiter(Protocol):
    """Counts calls against limits."""

    async def take(self, *claims: Claim) -> Decision:
        """Take one call from each of the limits, or from none where one of them refuses.

        A checkpoint only where somebody else has to be asked. A cancelled call may have been
        counted. `ValueError` without any limit.
        """
        ...


class LocalLimiter:
    """Limits of this process alone, on Trio's clock."""

    def __init__(self, random: Random) -> None:
        self._limits = LocalLimits(random)

    async def take(self, *claims: Claim) -> Decision:
        return self._limits.take_all(claims, round(monotonic() * MICROSECONDS))


class SharedLimits(Protocol):
    """What a shared cache does for a limiter. A `CacheHandle` is one."""

    @property
    def processes(self) -> int: ...

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict: ...


@attrs.define(eq=False)
class _Lease:
    """What this process knows about a key: calls taken in advance, or how long it is refused."""

    held: int = 0
    ends_at: float = 0.0
    remaining: int = 0
    size: int = 1
    renewing: bool = False
    refused_until: float = 0.0


class SharedLimiter:
    """Limits that several processes keep together.

    A key that is used often takes calls in advance, twice as many each time up to `LEASED_PART`
    of the burst, so that the cache is asked seldom. What is refused is refused from memory until
    it may be allowed again. While the cache is away its handle decides, with this process's share.
    """

    def __init__(self, shared: SharedLimits) -> None:
        self._shared = shared
        self._leases: OrderedDict[str, _Lease] = OrderedDict()

    async def take(self, *claims: Claim) -> Decision:
        nearest: Decision | None = None
        taken: list[_Lease] = []
        kept = False
        try:
            for claim in claims:
                lease = self._lease(claim.key)
                decision = Decision(await self._take(claim, lease), claim)
                if not decision.allowed:
                    return decision
                taken.append(lease)
                nearest = nearer(nearest, decision)
            kept = True
        finally:
            if not kept:
                _give_back(taken)
        if nearest is None:
            raise ValueError("no limit was named")
        return nearest

    def _lease(self, key: str) -> _Lease:
        lease = self._leases.get(key)
        if lease is None:
            lease = self._leases[key] = _Lease()
            if len(self._leases) > LEASES_MAX:
                self._leases.popitem(last=False)
        else:
            self._leases.move_to_end(key)
        return lease

    async def _take(self, claim: Claim, lease: _Lease) -> Verdict:
        now = monotonic()
        if now < lease.refused_until:
            return Verdict(False, lease.refused_until - now, 0)
        if lease.held and now < lease.ends_at:
            lease.held -= 1
            return Verdict(True, 0.0, lease.remaining + lease.held)
        if lease.renewing:
            return await self._ask(claim, lease)
        return await self._renew(claim, lease, now)

    async def _renew(self, claim: Claim, lease: _Lease, now: float) -> Verdict:
        """Take several calls at once, or one where there are no more."""
        most = claim.limit.burst // (LEASED_PART * max(2, self._shared.processes))
        grown = lease.size * 2 if now < lease.ends_at else 1
        size = lease.size = max(1, min(grown, most))
        lease.held = 0
        if size == 1:
            lease.ends_at = now + LEASE_S
            return await self._ask(claim, lease)
        lease.renewing = True
        try:
            verdict = await self._shared.take(claim.key, claim.limit, size)
        finally:
            lease.renewing = False
        if not verdict.allowed:
            return await self._ask(claim, lease)
        lease.held += size - 1
        lease.ends_at = monotonic() + LEASE_S
        lease.remaining = verdict.remaining
        return attrs.evolve(verdict, remaining=verdict.remaining + lease.held)

    async def _ask(self, claim: Claim, lease: _Lease) -> Verdict:
        verdict = await self._shared.take(claim.key, claim.limit)
        if not verdict.allowed:
            lease.refused_until = monotonic() + verdict.retry_after_s
        return verdict


def _give_back(leases: list[_Lease]) -> None:
    """Keep what a refused call has taken for the next one."""
    for lease in leases:
        lease.held += 1
        lease.ends_at = max(lease.ends_at, monotonic() + LEASE_S)
