"""What is written about events that a consumer did not take: when it is asked again, or never."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import attrs

from runtime.child import Backoff
from runtime.delivery import Judged, Verdict, by_lane
from runtime.errors import ActorDown
from runtime.outbox import OutboxEvent
from runtime.outbox_store import LateDelivery
from runtime.storage import Write
from runtime.storage.late_deliveries import (
    ensure_started_write,
    late_write,
    record_write,
    restart_writes,
    taken_write,
)
from runtime.texts import storable

MAX_ATTEMPTS = 5
"""Failed deliveries of an event for itself after which it is dead."""

BACKOFF = Backoff(initial_s=1.0, max_s=30.0)
"""Waits of a lane between deliveries that failed."""

CRASH_BACKOFF = Backoff(initial_s=6.0, max_s=30.0)
"""The same after a crash, so that one bad event does not use up the restarts that supervisors
grant their children (five in 30 s)."""

LANE_ROWS = 100
"""Events of one lane delivered together, once its first one was taken."""

HISTORY_MAX = 50
ERROR_CHARACTERS = 500


@attrs.define
class Ledger:
    """What a round of deliveries to one consumer comes to: the writes, and what to count."""

    consumer: str
    now: datetime
    random: Random
    writes: list[Write] = attrs.field(factory=list)
    dead: list[tuple[OutboxEvent, Exception | None]] = attrs.field(factory=list)
    failed: list[tuple[OutboxEvent, Exception | None]] = attrs.field(factory=list)
    late: list[OutboxEvent] = attrs.field(factory=list)
    taken: list[OutboxEvent] = attrs.field(factory=list)

    def first_time(self, judged: Judged) -> None:
        """Fresh events: what was not taken is late from now on."""
        if judged.verdict is Verdict.TAKEN:
            self.taken += judged.events
        elif judged.verdict is Verdict.FAILED:
            self._failed_at_first(judged.events[0], judged.error)
        elif judged.verdict is Verdict.AWAY:
            self.postpone(judged.events)
        else:
            self.postpone(judged.events, self._suspicion(judged, 1))

    def postpone(self, events: Sequence[OutboxEvent], delay: timedelta | None = None) -> None:
        """Fresh events that are late without a fault of theirs; with a `delay`, their lanes
        have failed once."""
        self.late += events
        self.writes += [late_write(event, self.consumer, 0, []) for event in events]
        at, failures = (self.now, 0) if delay is None else (self.now + delay, 1)
        for lane in {event.lane: None for event in events}:
            self.writes.append(ensure_started_write(lane, self.consumer, at, failures))

    def again(self, judged: Judged, deliveries: Sequence[LateDelivery]) -> None:
        """Late events of one lane, or of several that share the verdict."""
        match judged.verdict:
            case Verdict.TAKEN:
                self._taken(judged.events)
            case Verdict.FAILED:
                self._failed_again(deliveries[0], judged.error)
            case Verdict.HINDERED | Verdict.UNCLEAR:
                failures = deliveries[0].failures + 1
                delay = self._suspicion(judged, failures)
                self._restart(judged.events[0], delay, failures=failures)
            case Verdict.AWAY:
                pass

    def _taken(self, events: Sequence[OutboxEvent]) -> None:
        self.taken += events
        for lane in by_lane(tuple(events)):
            self.writes += [taken_write(event, self.consumer) for event in lane]
            self._restart(lane[0], rows=LANE_ROWS)

    def _suspicion(self, judged: Judged, failures: int) -> timedelta:
        """How long a lane waits until its first event is tried for itself: not at all where
        that is only to find the culprit, unless it costs another crash."""
        if judged.verdict is Verdict.UNCLEAR and not isinstance(judged.error, ActorDown):
            return timedelta(0)
        return self._delay(failures, judged.error)

    def _failed_at_first(self, event: OutboxEvent, error: Exception | None) -> None:
        self.failed.append((event, error))
        self.late.append(event)
        history = [self._record(error)]
        self.writes.append(late_write(event, self.consumer, 1, history))
        at = self.now + self._delay(1, error)
        self.writes.append(ensure_started_write(event.lane, self.consumer, at, 1))

    def _failed_again(self, delivery: LateDelivery, error: Exception | None) -> None:
        event, attempts = delivery.event, delivery.attempts + 1
        self.failed.append((event, error))
        history = appended(delivery.history, self._record(error))
        dead_at = self.now if attempts >= MAX_ATTEMPTS else None
        self.writes.append(record_write(event, self.consumer, attempts, history, dead_at))
        if dead_at is not None:
            self.dead.append((event, error))
            self._restart(event, rows=LANE_ROWS)
        else:
            failures = delivery.failures + 1
            self._restart(event, self._delay(failures, error), failures=failures)

    def _restart(
        self,
        event: OutboxEvent,
        delay: timedelta = timedelta(0),
        *,
        failures: int = 0,
        rows: int = 1,
    ) -> None:
        at = self.now + delay
        self.writes += restart_writes(event.lane, self.consumer, at, failures=failures, rows=rows)

    def _delay(self, failures: int, error: Exception | None = None) -> timedelta:
        backoff = CRASH_BACKOFF if isinstance(error, ActorDown) else BACKOFF
        return timedelta(seconds=backoff.delay_s(failures + 1, self.random))

    def _record(self, error: Exception | None) -> dict[str, Any]:
        text = storable(f"{type(error).__name__}: {error}", ERROR_CHARACTERS)
        return {"at": self.now.isoformat(), "what": "failed", "error": text}


def put_back_record(now: datetime, who: str, why: str) -> dict[str, Any]:
    who, why = storable(who, ERROR_CHARACTERS), storable(why, ERROR_CHARACTERS)
    return {"at": now.isoformat(), "what": "put back", "who": who, "why": why}


def appended(history: Iterable[dict[str, Any]], record: dict[str, Any]) -> list[dict[str, Any]]:
    """The history with one more record; only the last `HISTORY_MAX` are kept."""
    return [*history, record][-HISTORY_MAX:]
