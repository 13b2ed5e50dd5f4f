"""Load shedding: as much at once as can be served well, the important first, a quick no to others.

The limit is that of `gradient.py`, lowered while the event loop lags. Each priority may use a
share of it (`priority.py`). Work that finds no room waits for a moment in a bounded queue: room
that becomes free goes to the highest priority, and within one to those who came first. When the
queue has not been empty for a while, it is no burst but overload, and the last to come goes first
(adaptive LIFO, as in Facebook's servers): it can still be answered in good time, while the first
would only all come too late.

What belongs to one group (a domain, say) gets at most a part of the limit, so that a group that
hangs leaves room for the others until its own policies give it up.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum
from random import Random
from typing import Protocol

import attrs
import trio

from runtime.parking import monotonic, park, wake
from runtime.policies.errors import Shed
from runtime.policies.gradient import OTHER_KINDS, GradientLimit, GradientSpec, GradientStatistics
from runtime.policies.judging import Effect
from runtime.policies.priority import SHARES, Priority
from runtime.policies.spec import Admission, Ended
from runtime.policies.waiting import Place, WaitingLine

BY_HAND_RETRY_AFTER_S = 10.0
"""When those come back whom an operator turned away."""

LAG_CUT = 0.7
LAG_RECOVERY = 0.1
LAG_FACTOR_MIN = 0.25


class SheddingMode(Enum):
    """AUTOMATIC sheds what is too much. DISABLED admits everything, but what an operator
    sheds by hand."""

    AUTOMATIC = "automatic"
    DISABLED = "disabled"


@attrs.frozen(kw_only=True)
class SheddingSpec:
    """Every bound of a shedder.

    `shares` are of the limit, for all but probes, of which `probes_max` may run beside it. Work
    of one group gets at most `group_share` of it.
    At most `waiting_max` wait, each for `wait_s`. The last comes first after the queue has not
    been empty for `standing_s`. A loop later than `lag_max_s` lowers the limit.
    """

    gradient: GradientSpec = attrs.field(factory=GradientSpec)
    shares: Mapping[Priority, float] = attrs.field(factory=lambda: SHARES)
    group_share: float = 0.7
    probes_max: int = 64
    waiting_max: int = 128
    wait_s: float = 0.1
    standing_s: float = 0.2
    lag_max_s: float = 0.25
    retry_after_s: float = 1.0


@attrs.frozen
class SheddingStatistics:
    """`limit` is what counts now: the gradient's limit times `lag_factor`. `in_flight` does not
    count `probes`. `shed` and `admitted` are by priority, since the start."""

    mode: SheddingMode
    shed_by_hand: frozenset[Priority]
    limit: int
    lag_factor: float
    in_flight: int
    probes: int
    waiting: int
    standing: bool
    admitted: Mapping[Priority, int]
    shed: Mapping[Priority, int]
    gradient: GradientStatistics


class Waiter(Protocol):
    """Who waits for room. Exactly one of the methods is called, once, unless it withdraws.
    Neither may raise or wait."""

    def admitted(self, permit: "Permit") -> None: ...

    def shed(self, error: Shed) -> None: ...


class Permit:
    """Room for one piece of work, given back by `release` or `abandon`; the first call counts."""

    __slots__ = ("_began_at", "_in_flight", "_shedder", "group", "priority")

    def __init__(
        self, shedder: "LoadShedder", priority: Priority, group: Hashable, in_flight: int
    ) -> None:
        self._shedder: LoadShedder | None = shedder
        self.group = group
        self._in_flight = in_flight
        self._began_at = monotonic()
        self.priority = priority

    def release(self, kind: Hashable = OTHER_KINDS) -> None:
        """The work has ended. Its latency is compared with others of its `kind`."""
        shedder, self._shedder = self._shedder, None
        if shedder is not None:
            shedder.ended(self, monotonic() - self._began_at, self._in_flight, kind)

    def abandon(self) -> None:
        """The work ended before its time: how long it took says nothing."""
        shedder, self._shedder = self._shedder, None
        if shedder is not None:
            shedder.ended(self, None, self._in_flight, OTHER_KINDS)


@attrs.define(eq=False)
class _Sleeper:
    """A task that waits for room."""

    task: trio.lowlevel.Task
    permit: Permit | None = None
    error: Shed | None = None

    def admitted(self, permit: Permit) -> None:
        self.permit = permit
        wake(self.task, self)

    def shed(self, error: Shed) -> None:
        self.error = error
        wake(self.task, self)


@attrs.frozen
class _Admission:
    """Load shedding as a pipeline has it."""

    _shedder: "LoadShedder"
    _priority: Priority
    _kind: Hashable

    async def admit(self, share: str | None) -> Ended:
        permit = await self._shedder.admit(self._priority, self._kind)

        def ended(effect: Effect, _took_s: float) -> None:
            if effect is Effect.IGNORED:
                permit.abandon()
            else:
                permit.release(self._kind)

        return ended


class LoadShedder:
    """Admits work by priority. All methods but `admit` return at once. Times on Trio's clock.

    `on_shed` hears of every piece of work that was turned away.
    """

    def __init__(
        self,
        name: str,
        spec: SheddingSpec,
        random: Random,
        on_shed: Callable[[Priority], None] = lambda _priority: None,
    ) -> None:
        self.name = name
        self._spec = spec
        self._on_shed = on_shed
        self._gradient = GradientLimit(spec.gradient, random)
        self._line = WaitingLine[Waiter](spec.waiting_max, spec.wait_s, spec.standing_s)
        self._mode = SheddingMode.AUTOMATIC
        self._by_hand: frozenset[Priority] = frozenset()
        self._lag_factor = 1.0
        self._in_flight = 0
        self._probes = 0
        self._groups: dict[Hashable, int] = {}
        self._admitted = dict.fromkeys(Priority, 0)
        self._shed = dict.fromkeys(Priority, 0)

    def statistics(self) -> SheddingStatistics:
        return SheddingStatistics(
            self._mode,
            self._by_hand,
            self._limit(),
            self._lag_factor,
            self._in_flight,
            self._probes,
            len(self._line),
            self._line.standing,
            dict(self._admitted),
            dict(self._shed),
            self._gradient.statistics(),
        )

    def switch(self, mode: SheddingMode, shed_by_hand: frozenset[Priority] = frozenset()) -> None:
        """An operator's word: whether to shed by itself, and what to turn away in any case."""
        self._mode, self._by_hand = mode, shed_by_hand
        for priority in shed_by_hand:
            self._turn_away(self._line.dismiss(priority))
        self._fill()

    def lagged(self, lag_s: float) -> None:
        """How late the event loop woke a sleeper; to be told every tenth of a second or so."""
        if lag_s > self._spec.lag_max_s:
            self._lag_factor = max(LAG_FACTOR_MIN, self._lag_factor * LAG_CUT)
        elif self._lag_factor < 1.0:
            self._lag_factor = min(1.0, self._lag_factor + LAG_RECOVERY)
            self._fill()

    async def admit(self, priority: Priority, group: Hashable = None) -> Permit:
        """Leave to begin, after waiting for it at most `wait_s`. Raises `Shed`.

        A caller that is cancelled leaves the queue. A checkpoint only where it has to wait.
        """
        sleeper = _Sleeper(trio.lowlevel.current_task())
        permit = self.enter(priority, sleeper, group)
        if permit is not None:
            return permit
        try:
            await self._sleep(sleeper)
        except BaseException:
            self.withdraw(sleeper)
            if sleeper.permit is not None:
                sleeper.permit.abandon()
            raise
        if sleeper.permit is not None:
            return sleeper.permit
        if sleeper.error is None:
            self.withdraw(sleeper)
            sleeper.error = self._refusal(priority)
        raise sleeper.error

    async def _sleep(self, sleeper: _Sleeper) -> None:
        with trio.move_on_after(self._spec.wait_s):
            sleeper.task.custom_sleep_data = sleeper
            await park()

    def admission(self, priority: Priority, kind: Hashable) -> Admission:
        """The policy "load shedding" of a pipeline, for calls of one priority and kind, which
        are a group."""
        return _Admission(self, priority, kind)

    def try_admit(self, priority: Priority, group: Hashable = None) -> Permit | None:
        """Leave to begin, or None if there is no room now, which does not count as shed."""
        if priority in self._by_hand or not self._has_room(priority, group):
            return None
        return self._permit(priority, group)

    def check(self, priority: Priority, group: Hashable = None) -> None:
        """Raises `Shed` where `enter` would: to say no before more is known of the work."""
        if priority in self._by_hand:
            raise self._refusal(priority)
        if not self._has_room(priority, group) and not self._line.takes(priority):
            raise self._refusal(priority)

    def enter(self, priority: Priority, waiter: Waiter, group: Hashable = None) -> Permit | None:
        """Leave to begin; or None, and then `waiter` hears of it later. Raises `Shed`.

        Who waits is turned away in time only if somebody calls `expire`.
        """
        if priority in self._by_hand:
            raise self._refusal(priority)
        if self._has_room(priority, group):
            return self._permit(priority, group)
        if not self._line.takes(priority):
            raise self._refusal(priority)
        evicted = self._line.join(priority, group, waiter)
        if evicted is not None:
            self._turn_away([evicted])
        return None

    def withdraw(self, waiter: Waiter) -> None:
        """It does not want to wait any more, and hears nothing further."""
        self._line.leave(waiter)

    def expire(self) -> float:
        """Turn away who has waited long enough; when that is to be done next, `inf` for never."""
        self._turn_away(self._line.expired())
        return self._line.next_expiry()

    def ended(
        self, permit: Permit, latency_s: float | None, in_flight: int, kind: Hashable
    ) -> None:
        """A permit came back; said by the permit."""
        if permit.priority is Priority.PROBES:
            self._probes -= 1
        else:
            self._in_flight -= 1
            self._groups[permit.group] -= 1
            if not self._groups[permit.group]:
                del self._groups[permit.group]
            if latency_s is not None:
                self._gradient.observe(latency_s, in_flight, kind)
        if self._line:
            self._fill()

    def _limit(self) -> int:
        return max(1, int(self._gradient.current * self._lag_factor))

    def _has_room(self, priority: Priority, group: Hashable) -> bool:
        if self._mode is SheddingMode.DISABLED:
            return True
        if priority is Priority.PROBES:
            return self._probes < self._spec.probes_max
        limit = self._limit()
        if self._in_flight >= max(1.0, limit * self._spec.shares[priority]):
            return False
        if group is None:
            return True
        return self._groups.get(group, 0) < max(1.0, limit * self._spec.group_share)

    def _permit(self, priority: Priority, group: Hashable) -> Permit:
        self._admitted[priority] += 1
        if priority is Priority.PROBES:
            self._probes += 1
        else:
            self._in_flight += 1
            self._groups[group] = self._groups.get(group, 0) + 1
        return Permit(self, priority, group, self._in_flight)

    def _fill(self) -> None:
        """Free room goes to those who wait."""
        for priority in self._line.present():
            while (place := self._line.next(priority, self._has_room)) is not None:
                place.waiter.admitted(self._permit(priority, place.group))

    def _turn_away(self, places: Iterable[Place[Waiter]]) -> None:
        for place in places:
            place.waiter.shed(self._refusal(place.priority))

    def _refusal(self, priority: Priority) -> Shed:
        self._shed[priority] += 1
        self._on_shed(priority)
        if priority in self._by_hand:
            detail = f"an operator turns {priority.value} away"
            return Shed(self.name, detail, retry_after_s=BY_HAND_RETRY_AFTER_S)
        detail = f"too much at once, no room for {priority.value}"
        return Shed(self.name, detail, retry_after_s=self._spec.retry_after_s)
