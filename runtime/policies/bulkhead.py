"""A bulkhead: how many calls run and wait at a time, shared out fairly."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from math import ceil, inf

import attrs
import trio

from runtime.context import current
from runtime.errors import Outcome
from runtime.parking import monotonic
from runtime.policies.errors import BulkheadFull, DeadlineExceeded
from runtime.policies.metrics import PolicyMetrics


@attrs.frozen(kw_only=True)
class BulkheadSpec:
    """`running` calls at a time, and `waiting` more for at most `wait_s`.

    Calls of one share (a merchant, a domain) get at most `share_max` of the permits, rounded up,
    while others wait, and of the places to wait; with `strict_shares` also while nobody waits.
    """

    running: int = attrs.field(default=32, validator=attrs.validators.ge(1))
    waiting: int = attrs.field(default=16, validator=attrs.validators.ge(0))
    wait_s: float = 0.1
    share_max: float = 0.5
    strict_shares: bool = False


@attrs.frozen
class BulkheadStatistics:
    """`rejected` counts since the start; `shares` is how many have a permit or wait for one."""

    name: str
    limit: int
    in_use: int
    waiting: int
    rejected: int
    shares: int


@attrs.frozen
class ShareStatistics:
    """Of one share: `limit` is what it can have while others wait."""

    name: str
    limit: int
    in_use: int
    waiting: int


@attrs.define(eq=False)
class _Waiter:
    """Somebody in the queue of a share. `number` says who came first."""

    number: int
    granted: bool = False
    event: trio.Event = attrs.field(factory=trio.Event)


class Bulkhead:
    """Permits for calls of one dependency. First come, first served among those that may have one.

    A permit is held until it is released, whatever became of whoever waits for the call: work
    that was given up but still runs counts as running.
    """

    def __init__(self, name: str, spec: BulkheadSpec, metrics: PolicyMetrics | None = None) -> None:
        self.name = name
        self._spec = spec
        self._metrics = metrics if metrics is not None else PolicyMetrics()
        self._limit = spec.running
        self._in_use = 0
        self._waiting = 0
        self._rejected = 0
        self._held: dict[str, int] = {}
        self._queues: dict[str | None, deque[_Waiter]] = {}
        self._next_number = count().__next__
        self._metrics.watch_bulkhead(
            name, lambda: self._in_use, lambda: self._waiting, lambda: self._limit
        )

    @property
    def share_limit(self) -> int:
        """Permits of one share while others wait."""
        return ceil(self._limit * self._spec.share_max)

    def resize(self, running: int) -> None:
        """Allow another number of calls at a time, from now on."""
        self._limit = running
        self._grant()

    @asynccontextmanager
    async def permit(self, share: str | None = None) -> AsyncIterator[None]:
        """Hold a permit for the duration of the block. Errors as of `acquire`."""
        if not self.try_acquire(share):
            await self.acquire(share)
        try:
            yield
        finally:
            self.release(share)

    def try_acquire(self, share: str | None = None) -> bool:
        """Take a permit if that needs no waiting. Whoever gets one releases it."""
        if self._in_use >= self._limit:
            return False
        if share is not None and not self._may_have(share):
            return False
        self._take(share)
        return True

    def _may_have(self, share: str) -> bool:
        """Whether a permit that is free may go to a newcomer of this share.

        Where permits are free, those who wait have all that their shares may have.
        """
        if self._queues.get(share):
            return False
        return not self._spec.strict_shares or self._held.get(share, 0) < self.share_limit

    def _take(self, share: str | None) -> None:
        self._in_use += 1
        if share is not None:
            self._held[share] = self._held.get(share, 0) + 1

    def release(self, share: str | None = None) -> None:
        """Give a permit back, to the next in line if somebody waits."""
        self._in_use -= 1
        if share is not None:
            self._held[share] -= 1
            if not self._held[share]:
                del self._held[share]
        if self._waiting:
            self._grant()

    async def acquire(self, share: str | None = None, deadline: float | None = None) -> None:
        """Take a permit, waiting for one at most `wait_s`.

        `deadline` is the one in force unless given. Raises `BulkheadFull`, and `DeadlineExceeded`
        when the deadline passed before. Cancelled, it takes nothing.
        """
        waiting_here = len(self._queues.get(share, ()))
        places = self._spec.waiting if share is None else self._places_of_share
        if self._waiting >= self._spec.waiting or waiting_here >= places:
            await trio.lowlevel.checkpoint()
            self._reject("as many calls run and wait as may")
        ambient = current.get()
        if deadline is None:
            deadline = ambient.deadline if ambient is not None else inf
        until = monotonic() + self._spec.wait_s
        if await self._wait(share, min(until, deadline)):
            return
        if deadline < until:
            self._metrics.deadline_exceeded(f"{self.name}.waiting")
            raise DeadlineExceeded(self.name, "waiting", outcome=Outcome.NOT_DELIVERED)
        self._reject(f"no call ended within {self._spec.wait_s:g} s")

    @property
    def _places_of_share(self) -> int:
        return ceil(self._spec.waiting * self._spec.share_max)

    def _reject(self, why: str) -> None:
        self._rejected += 1
        self._metrics.bulkhead_rejected(self.name)
        raise BulkheadFull(self.name, why, retry_after_s=self._spec.wait_s)

    async def _wait(self, share: str | None, until: float) -> bool:
        waiter = _Waiter(self._next_number())
        queue = self._queues.setdefault(share, deque())
        queue.append(waiter)
        self._waiting += 1
        try:
            with trio.CancelScope(deadline=until):
                await waiter.event.wait()
        except BaseException:
            if waiter.granted:
                self.release(share)
            raise
        finally:
            if not waiter.granted:
                queue.remove(waiter)
                self._left(share)
        return waiter.granted

    def _left(self, share: str | None) -> None:
        self._waiting -= 1
        if not self._queues[share]:
            del self._queues[share]

    def _grant(self) -> None:
        """Give what is free to those who wait."""
        while self._in_use < self._limit:
            share, found = self._next()
            if not found:
                return
            waiter = self._queues[share].popleft()
            self._left(share)
            self._take(share)
            waiter.granted = True
            waiter.event.set()

    def _next(self) -> tuple[str | None, bool]:
        """The share that is next: of those below their limit, else of all unless it is strict."""
        chosen, number, found = None, inf, False
        over, over_number, over_found = None, inf, False
        limit = self.share_limit
        for share, queue in self._queues.items():
            first = queue[0].number
            if share is None or self._held.get(share, 0) < limit:
                if first < number:
                    chosen, number, found = share, first, True
            elif first < over_number:
                over, over_number, over_found = share, first, True
        if found or self._spec.strict_shares:
            return chosen, found
        return over, over_found

    def statistics(self) -> BulkheadStatistics:
        shares = len(self._held.keys() | self._queues.keys() - {None})
        return BulkheadStatistics(
            self.name, self._limit, self._in_use, self._waiting, self._rejected, shares
        )

    def share_statistics(self, share: str) -> ShareStatistics:
        held, waiting = self._held.get(share, 0), len(self._queues.get(share, ()))
        return ShareStatistics(share, self.share_limit, held, waiting)
