"""The actor that begins runs, when asked to and by the schedules of merchants."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
import structlog
import trio

from actors.core.messages import MERCHANTS, QUERIES, GetMerchant, ListMerchants
from actors.rfm_analytics.beginning import MERCHANT_UNKNOWN, Beginning, Wish, append
from actors.rfm_analytics.messages import (
    PutConfig,
    RfmConfig,
    StartedBy,
    StartedRun,
    StartRun,
)
from actors.rfm_analytics.metrics import RfmMetrics, rfm_metrics
from actors.rfm_analytics.model import check_terms, timing_of
from actors.rfm_analytics.queries import (
    ENSURE_SCHEDULE,
    INSERT_CONFIG,
    MOVE_SCHEDULE,
    PUT_SCHEDULE,
    SELECT_DUE,
    SELECT_NEXT_DUE,
    SELECT_OLDEST,
)
from actors.rfm_analytics.queue import RFM_QUEUE
from actors.rfm_analytics.records import DEFAULT, find_config, find_run
from actors.room import no_room
from actors.vocabulary import KEY_REUSED, MAX_PAGE, Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.child import Backoff
from runtime.jobs.schedules import Timing
from runtime.storage import ConstraintViolation, Database, StorageError, Write
from runtime.storage.idempotency import SELECT_KEY
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.rfm")

LOOK_S = 30.0
"""Longest sleep between two looks at the clock: a run begins at most so much too late."""

SHORTEST_S = 0.5

LATE = timedelta(minutes=5)
"""A run that begins later than this is a catch-up, and the one missed is recorded as skipped."""

MISSED_SHOWN = 24
"""Of missed runs so many are recorded, the latest."""

DUE_AT_ONCE = 100

ENROL_EVERY_S = 3_600.0
"""How often merchants who never chose a schedule are given the usual one."""

NOT_RUNNING = "the program did not run at that time"
AWAY = "the database was not available at that time"
FUTURE = Refusal(RefusalKind.INVALID, "invalid_time", "as_of cannot be in the future")
CONFLICT = Refusal(
    RefusalKind.CONFLICT, "config_conflict", "somebody else changed it at the same time"
)


class Runs(Actor):
    """Several may work on one database: that a merchant has one live run, and that a schedule is
    moved once, is decided there."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._backoff = Backoff()
        self._beginning: Beginning
        self._metrics: RfmMetrics
        self._changed = trio.Event()
        self._began_at: datetime

    async def started(self) -> None:
        self._beginning = Beginning(self.system, self._database)
        self._metrics = rfm_metrics(self.system.metrics.registry)
        self._began_at = self.system.clock.now()
        self.start_task(self._enrol_for_ever)
        self.start_task(self._look_for_ever)

    async def receive(self, message: Any) -> object:
        match message:
            case StartRun():
                return await self._start(message)
            case PutConfig():
                return await self._put(message)
        return await super().receive(message)

    async def _start(self, message: StartRun) -> StartedRun | Refusal:
        merchant_id, key = message.merchant_id, message.idempotency
        now = self.system.clock.now()
        if key is not None:
            row = await self._database.fetch_row(SELECT_KEY, merchant_id, key.key)
            if row is not None and row["fingerprint"] != key.fingerprint:
                return KEY_REUSED
            if row is not None:
                stored = await find_run(self._database, merchant_id, row["response"]["run_id"])
                if stored is not None:
                    return StartedRun(stored.run, replayed=True)
        as_of = message.as_of if message.as_of is not None else now
        if as_of > now:
            return FUTURE
        refusal = await no_room(self.system, RFM_QUEUE.name)
        if refusal is not None:
            return refusal
        return await self._beginning.begin(merchant_id, Wish(StartedBy.REQUEST, as_of, key))

    async def _put(self, message: PutConfig) -> RfmConfig | Refusal:
        merchant_id, terms = message.merchant_id, message.terms
        refusal = check_terms(terms)
        if refusal is not None:
            return refusal
        if await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id)) is None:
            return MERCHANT_UNKNOWN
        current = await find_config(self._database, merchant_id)
        if current.terms == terms:
            return current
        now = self.system.clock.now()
        config = RfmConfig(current.version + 1, terms)
        row = (merchant_id, config.version, msgspec.to_builtins(terms), now)
        schedule = (merchant_id, _next(timing_of(terms.schedule), now))
        try:
            await append(self.system, (Write(INSERT_CONFIG, row), Write(PUT_SCHEDULE, schedule)))
        except ConstraintViolation:
            return CONFLICT
        self._changed.set()
        return config

    async def _look_for_ever(self) -> None:
        failures, trouble = 0, Trouble(log, "rfm_not_looked", "rfm_looked_again")
        while True:
            self._changed = trio.Event()
            try:
                pause_s = await self._look()
                failures = 0
                trouble.ended()
            except (StorageError, ActorError) as error:
                failures += 1
                trouble.failed(error)
                pause_s = self._backoff.delay_s(failures + 1, self.system.random)
            with trio.move_on_after(pause_s):
                await self._changed.wait()

    async def _look(self) -> float:
        """Begin what is due; the time until the next look."""
        now = self.system.clock.now()
        rows = await self._database.fetch(SELECT_DUE, now, DUE_AT_ONCE)
        for row in rows:
            await self._begin_due(row["merchant_id"], row["next_at"])
        await self._measure(now)
        following: datetime | None = await self._database.fetch_value(SELECT_NEXT_DUE)
        if following is None:
            return LOOK_S
        return min(LOOK_S, max(SHORTEST_S, (following - now).total_seconds()))

    async def _begin_due(self, merchant_id: str, due: datetime) -> None:
        """One run for however many there should have been, and the schedule goes on.

        While another run is under way, or another process was faster, this one is left out.
        """
        now = self.system.clock.now()
        config = await find_config(self._database, merchant_id)
        timing = timing_of(config.terms.schedule)
        missed = _missed(timing, due, now)
        move = Write(MOVE_SCHEDULE, (merchant_id, due, _next(timing, now)))
        wish = Wish(
            started_by=StartedBy.CATCH_UP if missed else StartedBy.SCHEDULE,
            as_of=now,
            missed=missed,
            reason=self._reason(due),
            along=(move,),
        )
        try:
            begun = await self._beginning.begin(merchant_id, wish)
            if isinstance(begun, Refusal):
                log.info("rfm_run_left_out", merchant=merchant_id, reason=begun.detail)
                await append(self.system, (move,), in_background=True)
        except ConstraintViolation:
            return

    def _reason(self, due: datetime) -> str:
        return NOT_RUNNING if due < self._began_at else AWAY

    async def _measure(self, now: datetime) -> None:
        oldest = await self._database.fetch_value(SELECT_OLDEST)
        age_s = (now - oldest).total_seconds() if oldest is not None else 0.0
        self._metrics.age.set(max(0.0, age_s))

    async def _enrol_for_ever(self) -> None:
        trouble = Trouble(log, "rfm_not_enrolled", "rfm_enrolled_again")
        while True:
            try:
                await self._enrol()
                trouble.ended()
                pause_s = ENROL_EVERY_S
            except (StorageError, ActorError) as error:
                trouble.failed(error)
                pause_s = LOOK_S
            await trio.sleep(pause_s)

    async def _enrol(self) -> None:
        """The usual schedule for merchants that are new."""
        following = _next(timing_of(DEFAULT.terms.schedule), self.system.clock.now())
        cursor: str | None = None
        while True:
            question = ListMerchants(limit=MAX_PAGE, cursor=cursor)
            found = await self.system.ref(QUERIES).ask(question)
            if isinstance(found, Refusal):
                return
            rows = [(merchant.merchant_id, following) for merchant in found.items]
            if rows:
                entry = tuple(Write(ENSURE_SCHEDULE, row) for row in rows)
                await append(self.system, entry, in_background=True)
            cursor = found.next_cursor
            if cursor is None:
                return


def _next(timing: Timing | None, now: datetime) -> datetime | None:
    return timing.next_moment(now) if timing is not None else None


def _missed(timing: Timing | None, due: datetime, now: datetime) -> tuple[datetime, ...]:
    """The times since `due` at which a run should have begun, and did not nearly do so."""
    found: list[datetime] = []
    moment = due
    while timing is not None and now - moment > LATE:
        found = [*found, moment][-MISSED_SHOWN:]
        moment = timing.next_moment(moment)
    return tuple(found)
