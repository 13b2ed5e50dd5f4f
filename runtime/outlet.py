"""The way to one consumer: what it is late with, and when it is asked again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from math import inf

import attrs
import structlog
import trio

from runtime.child import Backoff
from runtime.delivery import Part, Report, offer
from runtime.errors import ActorError
from runtime.lateness import Ledger
from runtime.outbox import OutboxEvent
from runtime.outbox_metrics import OutboxMetrics
from runtime.outbox_store import PAGE, LateDelivery, OutboxStore
from runtime.storage import StorageError
from runtime.system import ActorSystem
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.relay")

SUSPECTS = 100
"""Lanes that failed before, tried at once."""

MAX_WAIT_S = 5.0
"""The longest sleep while something is due later: bounds what a jump of the wall clock does."""

CRASH_PAUSE_S = 6.0
"""The wait after a consumer went down over a delivery whose culprit is not known: supervisors
grant five restarts in 30 s."""

AWAY = Backoff(initial_s=0.1, max_s=5.0)
"""Waits while a consumer, or the store, is away."""

NOTHING_YET = Report(())


@attrs.define(eq=False)
class Offer:
    """Fresh events on their way to a consumer. `report` counts once `done` is set."""

    part: Part
    done: trio.Event = attrs.field(factory=trio.Event)
    report: Report = NOTHING_YET


@attrs.define(eq=False)
class Outlet:
    """Brings late deliveries of one consumer to their end, in two tasks: lanes that have not
    failed share deliveries, those that have are tried each for itself and hold nobody up.

    `late`: there may be late deliveries. `open`: the consumer answered when it was last asked;
    while it is not open, fresh events become late at once. `overdue` are offers that take too
    long; their events are late meanwhile. `moves` counts how often deliveries may have become
    late. Nothing is delivered before the first word about late ones.
    """

    consumer: str
    _system: ActorSystem
    _store: OutboxStore
    late: bool = True
    open: bool = True
    overdue: list[Offer] = attrs.field(factory=list)
    moves: int = 0
    _apart: bool = False
    _crashed: bool = False
    _heard: trio.Event = attrs.field(factory=trio.Event)
    _wake: trio.Event = attrs.field(factory=trio.Event)
    _wake_again: trio.Event = attrs.field(factory=trio.Event)

    @property
    def _metrics(self) -> OutboxMetrics:
        return self._system.metrics.outbox

    def tasks(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What has to run for as long as the relay does."""
        return self._run, self._run_again

    def ledger(self) -> Ledger:
        return Ledger(self.consumer, self._system.clock.now(), self._system.random)

    def moved(self) -> None:
        """Deliveries have become late, or may have."""
        self.moves += 1
        self.late = True
        self._heard.set()
        self._wake.set()
        self._wake_again.set()

    def hear(self, *, late: bool, moves: int) -> None:
        """Whether there were late deliveries at a look that began after so many moves."""
        if late:
            self.moved()
        elif moves == self.moves:
            self.late = False
        self._heard.set()

    async def send(self, fresh: Offer) -> None:
        """Deliver fresh events."""
        fresh.report = await offer(self._system, self.consumer, fresh.part)
        fresh.done.set()

    def heed(self, fresh: Offer) -> None:
        """Learn from what has, or has not, become of fresh events."""
        if fresh.done.is_set():
            self._learn(fresh.report)
        else:
            self.overdue.append(fresh)
            self.open = False

    def _learn(self, report: Report) -> None:
        self.open = self.open and not report.away
        self._apart = self._apart or report.apart
        self._crashed = self._crashed or report.crashed

    def count(self, ledger: Ledger) -> None:
        """Once its writes are durable: into the metrics, and the log."""
        self._metrics.count("delivered", ledger.taken)
        self._metrics.count("late", ledger.late)
        self._metrics.count("failed", [event for event, _ in ledger.failed])
        for event, error in ledger.dead:
            self._metrics.died(event)
            log.error(
                "event_dead",
                consumer=self.consumer,
                topic=event.topic,
                event_id=event.event_id,
                merchant_id=event.merchant_id,
                error=str(error)[:500],
            )
        if ledger.failed:
            event, error = ledger.failed[0]
            log.warning(
                "delivery_failed",
                consumer=self.consumer,
                events=len(ledger.failed),
                first=event.event_id,
                error=str(error)[:500],
            )

    async def _run(self) -> None:
        """Lanes that have not failed, and offers that were overdue."""
        await self._heard.wait()
        away, trouble = 0, _trouble()
        while True:
            self._wake = trio.Event()
            try:
                if await self._end_overdue() and await self._deliver_due():
                    away = 0
                    trouble.ended(consumer=self.consumer)
                    self.open = not self.overdue
                    await self._sleep(self._wake, again=False)
                    continue
            except (ActorError, StorageError) as error:
                trouble.failed(error, consumer=self.consumer)
            away += 1
            await trio.sleep(self._pause_s(away))

    def _pause_s(self, away: int) -> float:
        crashed, self._crashed = self._crashed, False
        return CRASH_PAUSE_S if crashed else AWAY.delay_s(away + 1, self._system.random)

    async def _run_again(self) -> None:
        """Lanes that failed before."""
        await self._heard.wait()
        away, trouble = 0, _trouble()
        while True:
            self._wake_again = trio.Event()
            try:
                if await self._deliver_again():
                    away = 0
                    trouble.ended(consumer=self.consumer)
                    await self._sleep(self._wake_again, again=True)
                    continue
            except (ActorError, StorageError) as error:
                trouble.failed(error, consumer=self.consumer)
            away += 1
            await trio.sleep(AWAY.delay_s(away + 1, self._system.random))

    async def _sleep(self, wake: trio.Event, *, again: bool) -> None:
        """Until something is due, or has become late."""
        with trio.move_on_after(await self._wait_s(again=again) if self.late else inf):
            await wake.wait()

    async def _wait_s(self, *, again: bool) -> float:
        moves = self.moves
        due, due_again = await self._store.next_due(self.consumer)
        if due is None and due_again is None and moves == self.moves:
            self.late = False
        next_due = due_again if again else due
        if next_due is None:
            return inf
        wait_s = (next_due - self._system.clock.now()).total_seconds()
        return min(max(wait_s, 0.0), MAX_WAIT_S)

    async def _end_overdue(self) -> bool:
        """Wait for offers that took too long; false when the consumer is away."""
        while self.overdue:
            ended = self.overdue[0]
            await ended.done.wait()
            self._learn(ended.report)
            await self._settle(ended.report, [LateDelivery(event) for event in ended.part])
            self.overdue.remove(ended)
            if ended.report.away:
                return False
        return True

    async def _deliver_due(self) -> bool:
        """Deliver until nothing is due; false when the consumer is away."""
        while self.late:
            now = self._system.clock.now()
            deliveries = await self._store.due(self.consumer, now, PAGE, again=False)
            if self.overdue or not deliveries:
                return True
            apart, self._apart = self._apart, False
            for group in _by_topic(deliveries):
                part = tuple(delivery.event for delivery in group)
                report = await offer(self._system, self.consumer, part, apart=apart)
                self._learn(report)
                await self._settle(report, group)
                if report.away:
                    return False
        return True

    async def _deliver_again(self) -> bool:
        while self.late:
            now = self._system.clock.now()
            deliveries = await self._store.due(self.consumer, now, SUSPECTS, again=True)
            if not deliveries:
                return True
            part = tuple(delivery.event for delivery in deliveries)
            report = await offer(self._system, self.consumer, part, apart=True)
            await self._settle(report, deliveries)
            if report.away:
                return False
        return True

    async def _settle(self, report: Report, deliveries: Sequence[LateDelivery]) -> None:
        """Write what became of late deliveries."""
        of_event = {_key(delivery.event): delivery for delivery in deliveries}
        ledger = self.ledger()
        for judged in report.judged:
            ledger.again(judged, [of_event[_key(event)] for event in judged.events])
        if ledger.writes:
            await self._store.write(ledger.writes)
            self.count(ledger)
            self._wake.set()
            self._wake_again.set()


def _trouble() -> Trouble:
    return Trouble(log, "outlet_waits", "outlet_goes_on")


def _by_topic(deliveries: Sequence[LateDelivery]) -> list[list[LateDelivery]]:
    groups: dict[str, list[LateDelivery]] = defaultdict(list)
    for delivery in deliveries:
        groups[delivery.event.topic].append(delivery)
    return list(groups.values())


def _key(event: OutboxEvent) -> tuple[str, str]:
    return event.merchant_id, event.event_id
