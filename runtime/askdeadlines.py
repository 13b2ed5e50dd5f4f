"""Deadlines of asks: one sleeping task for all of them instead of a cancel scope each.

A cancel scope costs 7 µs, as much as two asks. Here an ask joins the set of its tick and leaves
it when answered; one task sleeps until the next tick and times out whoever is left. An ask may
therefore end up to `TICK_S` late, never early.
"""

from heapq import heappop, heappush
from math import inf
from operator import attrgetter

import trio

from runtime.envelope import QUEUED, Envelope
from runtime.errors import ActorError, AskTimeout, Expired
from runtime.parking import monotonic

TICK_S = 0.005


class AskDeadlines:
    """The asks that wait, by the tick at which they time out."""

    def __init__(self) -> None:
        self.buckets: dict[int, set[Envelope]] = {}
        self._ticks: list[int] = []
        self._scope = trio.CancelScope()

    def open(self, tick: int) -> set[Envelope]:
        """A set for the asks that time out at this tick: the first one after their deadline."""
        bucket: set[Envelope] = set()
        self.buckets[tick] = bucket
        heappush(self._ticks, tick)
        if self._ticks[0] == tick:
            self._scope.deadline = tick * TICK_S
        return bucket

    def join(self, deadline: float, envelope: Envelope) -> set[Envelope]:
        """Put an ask among those that time out with it."""
        tick = int(deadline / TICK_S) + 1
        waiting = self.buckets.get(tick)
        if waiting is None:
            waiting = self.open(tick)
        waiting.add(envelope)
        return waiting

    async def run(self) -> None:
        """Time asks out until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._next()) as self._scope:
                await trio.sleep_forever()
            self._expire(monotonic())

    def _next(self) -> float:
        """When the first of those asks ends that wait; ticks whose asks have ended are over."""
        ticks, buckets = self._ticks, self.buckets
        while ticks and not buckets[ticks[0]]:
            del buckets[heappop(ticks)]
        return ticks[0] * TICK_S if ticks else inf

    def _expire(self, now: float) -> None:
        """Askers before those they asked, so that an actor in the middle is cancelled at its own
        deadline and does not crash of the nested ask's error."""
        while self._ticks and self._ticks[0] * TICK_S <= now:
            bucket = self.buckets.pop(heappop(self._ticks))
            for envelope in sorted(bucket, key=attrgetter("number")):
                _time_out(envelope)


def _time_out(envelope: Envelope) -> None:
    address, message = envelope.receiver.address, envelope.message
    error: ActorError
    if envelope.state is QUEUED:
        error = Expired(address, message, "deadline passed before it was taken up")
    else:
        error = AskTimeout(address, message, "deadline passed while it was worked on")
    envelope.time_out(error)
