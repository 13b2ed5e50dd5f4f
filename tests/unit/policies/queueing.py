"""A simulated service behind a shedder: processors, random arrivals, virtual time, one seed."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random

import attrs
import trio

from runtime.policies.errors import Shed
from runtime.policies.priority import Priority
from runtime.policies.shedding import LoadShedder, Permit


@attrs.define
class Tally:
    """Of one priority. Latencies are from the arrival to the end of the work, in seconds."""

    offered: int = 0
    served: int = 0
    shed: int = 0
    latencies_s: list[float] = attrs.field(factory=list)

    @property
    def served_share(self) -> float:
        return self.served / self.offered

    @property
    def p99_s(self) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[int(len(ordered) * 0.99)]


@attrs.define(eq=False)
class Arrival:
    """A piece of work that takes a processor for `work_s`."""

    service: "Service"
    priority: Priority
    work_s: float
    arrived_at: float
    permit: Permit | None = None

    def admitted(self, permit: Permit) -> None:
        self.permit = permit
        self.service.queue.append(self)
        self.service.begin()

    def shed(self, error: Shed) -> None:
        self.service.tallies[self.priority].shed += 1

    def done(self) -> None:
        if self.permit is None:
            raise AssertionError("nobody works without a permit")
        tally = self.service.tallies[self.priority]
        tally.served += 1
        tally.latencies_s.append(trio.current_time() - self.arrived_at)
        self.service.idle += 1
        self.permit.release()
        self.service.begin()


class Service:
    """Processors behind a shedder; work that finds none free queues, first in, first out.

    Arrivals are Poisson and their sizes exponentially distributed, `work_s` on average: an open
    loop, which does not slow down because the service does. One thing happens after the other,
    so that a run follows from its seed.
    """

    def __init__(self, seed: int, shedder: LoadShedder, work_s: float, processors: int) -> None:
        self.tallies = {priority: Tally() for priority in Priority}
        self.queue: deque[Arrival] = deque()
        self.idle = processors
        self._random = Random(seed)
        self._shedder = shedder
        self._work_s = work_s
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    async def run(self, rates: Mapping[Priority, float], duration_s: float) -> None:
        """Arrivals per second of each priority, for a time; returns when all have ended."""
        until = trio.current_time() + duration_s
        for priority, rate in rates.items():
            self._expect(priority, rate, until)
        while self._agenda:
            at, _, happen = heappop(self._agenda)
            await trio.sleep_until(at)
            happen()
            self._shedder.expire()

    def forget(self) -> None:
        """Begin to count anew."""
        self.tallies = {priority: Tally() for priority in Priority}

    def begin(self) -> None:
        """Work on what waits, as far as there are processors."""
        while self.queue and self.idle:
            self.idle -= 1
            arrival = self.queue.popleft()
            self._at(trio.current_time() + arrival.work_s, arrival.done)

    def _expect(self, priority: Priority, rate: float, until: float) -> None:
        at = trio.current_time() + self._random.expovariate(rate)
        if at < until:
            self._at(at, partial(self._arrive, priority, rate, until))

    def _arrive(self, priority: Priority, rate: float, until: float) -> None:
        self._expect(priority, rate, until)
        self.tallies[priority].offered += 1
        work_s = self._random.expovariate(1 / self._work_s)
        arrival = Arrival(self, priority, work_s, trio.current_time())
        try:
            permit = self._shedder.enter(priority, arrival)
        except Shed as error:
            arrival.shed(error)
        else:
            if permit is not None:
                arrival.admitted(permit)

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        heappush(self._agenda, (time, next(self._numbers), happen))
