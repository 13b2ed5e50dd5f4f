"""The door: accepts connections, and decides on requests before anything is done for them.

On one thread, refusing a request costs time that serving needs. A refusal by the application
costs nearly what serving does, and then at five times the capacity nothing is left to serve with.
So the door reads all connections itself, through one selector. It glances at the first bytes
of a request, asks the load shedder, and writes a refusal straight to the socket; no task is woken,
and a new connection has none before its first request is let in. What it cannot judge at a glance
it lets in, and the dispatcher decides.
"""

import selectors
import socket as sockets
from collections import OrderedDict, deque
from collections.abc import Sequence
from math import ceil, inf
from typing import Any, Final, Protocol

import structlog
import trio

from gateway.addresses import UNKNOWN, counted_as
from gateway.priorities import Glance, Priorities
from gateway.refusals import overcrowded
from gateway.turned_away import spread
from gateway.visitors import Place, Visitor
from runtime.parking import monotonic
from runtime.policies import LoadShedder, Priority, Shed

log = structlog.get_logger("loyalnest.gateway")

ACCEPTED_AT_ONCE: Final = 128
"""Connections accepted before others are looked at again."""

LOOKED_AT_ONCE: Final = 64
"""Connections that are read before the door may rest. With all that there are, the longest rest
would be too short for what they cost."""

NO_DESCRIPTORS_PAUSE_S: Final = 0.1
"""How long nobody is accepted when the process has no file descriptors left."""

SURPLUS_S: Final = 0.5
"""How long a connection over the bound has to say what it wants."""

SURPLUS_MAX: Final = 64
"""Connections over the bound that may say what they want. For more, the oldest have to go."""

PART_S: Final = 0.1
"""How long the door waits for the rest of a request; then it is let in as it is."""

REFUSING_SHARE: Final = 0.08
"""The part of its time that the process spends at the door while it refuses. When that does not
suffice, clients wait for their turn."""

REST_MAX_S: Final = 0.05
"""How long nobody is looked at, at most."""

ROUND_S: Final = 0.4
"""How long the rests may be together until everybody has had a turn who was there at the first."""


class Entrance:
    """A listening socket in the selector of the door."""

    def __init__(self, door: "Door", socket: sockets.socket) -> None:
        self._door = door
        self.socket = socket

    def ready(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, peer = self.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._door.pause_accepting(error)
                return
            self._door.arrived(accepted, peer)


class Queue:
    """Visitors that have the same time for something, the first to run out of it first."""

    def __init__(self, time_s: float) -> None:
        self._time_s = time_s
        self._until: OrderedDict[Visitor, float] = OrderedDict()

    def add(self, visitor: Visitor) -> None:
        """Its time begins, if it has not begun."""
        if visitor not in self._until:
            self._until[visitor] = monotonic() + self._time_s

    def remove(self, visitor: Visitor) -> None:
        self._until.pop(visitor, None)

    def __len__(self) -> int:
        return len(self._until)

    def next_at(self) -> float:
        """When the first runs out of time; `inf` when nobody is there."""
        return next(iter(self._until.values()), inf)

    def first(self) -> Visitor:
        """Who runs out of time first."""
        return next(iter(self._until))

    def late(self) -> list[Visitor]:
        """Those who have no time left, taken out."""
        now = monotonic()
        late = []
        for visitor, until in self._until.items():
            if until > now:
                break
            late.append(visitor)
        for visitor in late:
            del self._until[visitor]
        return late


class House(Protocol):
    """What is behind the door."""

    def arrived(self, visitor: Visitor) -> bool:
        """Whether there is room for one more connection. One without may only ask for a probe."""

    def enter(self, visitor: Visitor) -> None:
        """Serve this connection from now on."""

    def left(self, visitor: Visitor) -> None:
        """A connection has closed, served or not."""

    def turned_away(self, method: bytes) -> None:
        """A request was refused."""


class Door:
    """Reads all connections, and lets in the requests that the shedder admits, or all without one.

    A connection that nobody serves yet has `head_s` to send something when it is new, and
    `idle_s` when it was refused before.
    """

    def __init__(
        self,
        house: House,
        priorities: Priorities,
        shedder: LoadShedder | None,
        *,
        head_s: float,
        idle_s: float,
    ) -> None:
        self._house = house
        self._priorities = priorities
        self._shedder = shedder
        self._selector = selectors.DefaultSelector()
        self._entrances: list[Entrance] = []
        self._seen: deque[Visitor] = deque()
        self._looks = 1
        self._new = Queue(head_s)
        self._idle = Queue(idle_s)
        self._surplus = Queue(SURPLUS_S)
        self._parts = Queue(PART_S)
        self._queues = (self._new, self._idle, self._surplus, self._parts)
        self._strangers: set[Visitor] = set()
        self._accept_at = inf
        self._refusals = 0
        self._refused: OrderedDict[Visitor, Shed] = OrderedDict()
        self._sleep: trio.CancelScope | None = None

    def open(self, listeners: Sequence[sockets.socket]) -> None:
        """Accept on these sockets, which belong to the door from now on."""
        self._entrances = [Entrance(self, socket) for socket in listeners]
        self._accept()

    async def run(self) -> None:
        """Until cancelled. All sockets stay open."""
        while True:
            with trio.CancelScope(deadline=self._next_at()) as self._sleep:
                await trio.lowlevel.wait_readable(self._descriptor())
            self._sleep = None
            began_at, refusals = monotonic(), self._refusals
            self._look()
            self._pass_time()
            self._refuse()
            if self._refusals > refusals:
                await trio.sleep(self._rest_s(monotonic() - began_at))

    def _rest_s(self, took_s: float) -> float:
        """How long to rest after a look that `took_s`."""
        return min(took_s * (1 / REFUSING_SHARE - 1), REST_MAX_S, ROUND_S / self._looks)

    def _look(self) -> None:
        """At those who have just come, and the next of the others."""
        if not self._seen:
            found = [key.data for key, _ in self._selector.select(0)]
            self._seen.extend(each for each in found if isinstance(each, Visitor))
            self._looks = max(1, ceil(len(self._seen) / LOOKED_AT_ONCE))
        if self._accept_at == inf:
            for entrance in self._entrances:
                entrance.ready()
        for _ in range(min(len(self._seen), LOOKED_AT_ONCE)):
            self._seen.popleft().ready()

    def _descriptor(self) -> int:
        """Of the selector itself, which is readable when one of its sockets is."""
        return self._selector.fileno()

    def close_entrances(self) -> None:
        """Accept nobody any more, and close connections without a request.

        Whoever has come by now, and what they have sent, still counts.
        """
        self._look()
        while self._seen:
            self._look()
        self._pause()
        self._accept_at = inf
        for entrance in self._entrances:
            entrance.socket.close()
        self._entrances.clear()
        for visitor in list(self._strangers):
            visitor.leave_if_silent()

    def close(self) -> None:
        """The end, after all visitors have left."""
        self.close_entrances()
        self._selector.close()

    def arrived(self, socket: sockets.socket, peer: Any) -> None:
        """A new connection, from the address `peer`."""
        socket.setblocking(False)
        address = counted_as(peer[0]) if isinstance(peer, tuple) else UNKNOWN
        visitor = Visitor(self, socket, address)
        visitor.surplus = visitor.last = not self._house.arrived(visitor)
        self._strangers.add(visitor)
        self.watch(visitor)
        (self._surplus if visitor.surplus else self._new).add(visitor)
        visitor.ready()
        if len(self._surplus) > SURPLUS_MAX:
            self._make_place()

    def _make_place(self) -> None:
        """The first to come over the bound has had its time, but for what it has said by now."""
        first = self._surplus.first()
        first.ready()
        if first.place is Place.OUTSIDE:
            first.close()

    def pause_accepting(self, error: OSError) -> None:
        """Leave new connections to the kernel for a moment: there is nothing to hold them with."""
        log.warning("cannot_accept", error=str(error))
        self._pause()
        self._accept_at = monotonic() + NO_DESCRIPTORS_PAUSE_S

    def _pause(self) -> None:
        if self._accept_at == inf:
            for entrance in self._entrances:
                self._selector.unregister(entrance.socket)

    def _accept(self) -> None:
        self._accept_at = inf
        for entrance in self._entrances:
            self._selector.register(entrance.socket, selectors.EVENT_READ, entrance)

    def _next_at(self) -> float:
        queues = min(queue.next_at() for queue in self._queues)
        waiting = self._shedder.expire() if self._shedder is not None else inf
        if self._refused:
            return monotonic()
        return min(queues, waiting, self._accept_at)

    def _pass_time(self) -> None:
        for visitor in self._parts.late():
            visitor.come_in_parts()
        for visitor in (*self._new.late(), *self._idle.late(), *self._surplus.late()):
            visitor.ready()
            visitor.close_if_silent()
        if monotonic() >= self._accept_at:
            self._accept()

    def watch(self, visitor: Visitor) -> None:
        self._selector.register(visitor.socket, selectors.EVENT_READ, visitor)

    def ignore(self, visitor: Visitor) -> None:
        self._selector.unregister(visitor.socket)

    def knock(self, visitor: Visitor, seen: Glance) -> None:
        """A whole request: it is let in, waits for room, or is refused."""
        self._parts.remove(visitor)
        rank = self._priorities.of(seen.method, seen.path)
        if visitor.surplus and rank.priority is not Priority.PROBES:
            visitor.refuse(overcrowded())
            return
        if self._shedder is None:
            visitor.come_in()
            return
        visitor.place = Place.WAITING
        try:
            permit = self._shedder.enter(rank.priority, visitor, rank.domain)
        except Shed as error:
            visitor.shed(error)
            return
        if permit is not None:
            visitor.admitted(permit)
        else:
            self._hurry()

    def withdraw(self, visitor: Visitor) -> None:
        if self._refused.pop(visitor, None) is None and self._shedder is not None:
            self._shedder.withdraw(visitor)

    def expect_more(self, visitor: Visitor) -> None:
        """A part of a request has come."""
        self._parts.add(visitor)

    def refuse_soon(self, visitor: Visitor, error: Shed) -> None:
        """It is told at the end of a look."""
        self._refused[visitor] = error
        self._hurry()

    def _hurry(self) -> None:
        """There is something to do, or a time to keep, that was not known when it went to sleep."""
        if self._sleep is not None:
            self._sleep.cancel()

    def _refuse(self) -> None:
        """Write the refusals of this look, and of the time since the last one."""
        while self._refused:
            self._turn_away(*self._refused.popitem(last=False))

    def _turn_away(self, visitor: Visitor, error: Shed) -> None:
        self._refusals += 1
        self._house.turned_away(visitor.method)
        if not visitor.served:
            self._new.remove(visitor)
            self._idle.remove(visitor)
            self._idle.add(visitor)
        visitor.turn_away(spread(error.retry_after_s, self._refusals))

    def welcome(self, visitor: Visitor) -> None:
        """Somebody is to serve it from now on."""
        self._be_known(visitor)
        self._house.enter(visitor)

    def left(self, visitor: Visitor) -> None:
        self._be_known(visitor)
        self._house.left(visitor)

    def _be_known(self, visitor: Visitor) -> None:
        self._strangers.discard(visitor)
        for queue in self._queues:
            queue.remove(visitor)
