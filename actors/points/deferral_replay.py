"""Replays deferred earnings when the database is back: in order for each account, once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import attrs
import structlog
import trio

from actors.points.away import database_away
from actors.points.checks import TIME_IN_FUTURE
from actors.points.deferral_backlog import Backlog, Waiting
from actors.points.deferral_messages import DeferralStatus
from actors.points.deferral_metrics import DeferralMetrics
from actors.points.deferral_records import (
    DeferredRecord,
    Known,
    deferral_write,
    find_deferrals,
    outcome,
    queued,
)
from actors.points.messages import ACCOUNTS, Apply, Earn, Receipt, Result
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorDown, ActorError, ActorSystem, Backoff, Outcome, ask_all
from runtime.journal import JOURNAL, Append, Rejected
from runtime.parking import monotonic
from runtime.spool import Spool, SpoolError
from runtime.storage import Database, StorageError, StorageUnavailable
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.points")

MAX_ATTEMPTS = 5
"""How often an earning may make its account fail before it is dead."""

LOOK_TIMEOUT_S = 5.0
"""A database that does not say what it knows within this time is away."""

REPLAY_TIMEOUT_S = 10.0

AGAIN = Backoff(initial_s=0.2, max_s=2.0)
"""Between looks for a database that is away, and between attempts at one bad earning."""

Group = list[Waiting]
"""Earnings of one account, in order."""

News = list[tuple[Waiting, Known]]
"""What has become of earnings."""


@attrs.define(eq=False)
class Replayer:
    """Works on a backlog, a round at a time. `away` is whether the database did not answer when
    last looked at.

    The account is asked with the key of the request, so that an earning that was committed
    before the database went is only recognised. The outcome is recorded before the earning is
    acknowledged on the disk; what was recorded already, before a crash, is not asked again.
    """

    _system: ActorSystem
    _database: Database
    _spool: Spool
    _backlog: Backlog
    _metrics: DeferralMetrics
    _between_rounds: Callable[[], None]
    away: bool = False
    _in_doubt: bool = False
    _added: trio.Event = attrs.field(factory=trio.Event)

    def added(self) -> None:
        """There is more in the backlog."""
        self._added.set()

    async def run(self) -> None:
        """Replay whatever is in the backlog, until cancelled."""
        failures, trouble = 0, Trouble(log, "replay_failed", "replay_works_again")
        while True:
            self._between_rounds()
            await self._wait_for_work()
            try:
                await self._round()
                failures = 0
                trouble.ended(backlog=len(self._backlog))
            except (ActorError, StorageError, SpoolError) as error:
                failures += 1
                trouble.failed(error, backlog=len(self._backlog))
                await trio.sleep(AGAIN.delay_s(failures + 1, self._system.random))

    async def _wait_for_work(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._owes_acknowledgement() and self._backlog.next_at() > monotonic():
            self._added = trio.Event()
            with trio.move_on_at(self._backlog.next_at()):
                await self._added.wait()

    def _owes_acknowledgement(self) -> bool:
        return self._backlog.done_through > self._spool.statistics().acknowledged

    async def _round(self) -> None:
        """Replay some of each account. Raises why some could not be replayed."""
        groups = await self._without_recorded(self._backlog.ready(monotonic()))
        news, error = self._judge(groups, await self._ask(groups))
        await self._record(news)
        if self._owes_acknowledgement():
            await self._spool.acknowledge(self._backlog.done_through)
        if error is not None:
            raise error

    # What the database knows already

    async def _without_recorded(self, groups: Sequence[Group]) -> list[Group]:
        """The groups without those whose outcome is recorded: they are finished. A crash may
        have come between their record and their acknowledgement."""
        known = await self._look(groups) if groups else {}
        left: list[Group] = []
        for group in groups:
            left.append([])
            for waiting in group:
                found = known.get(waiting.record.deferral_id)
                if found is not None and found.deferral.finished_at is not None:
                    self._backlog.finish(waiting, found.deferral)
                    continue
                if found is not None:
                    waiting.attempts = max(waiting.attempts, found.attempts)
                left[-1].append(waiting)
        return [group for group in left if group]

    async def _look(self, groups: Sequence[Group]) -> dict[str, Known]:
        try:
            with trio.fail_after(LOOK_TIMEOUT_S):
                known = await self._find(groups)
        except trio.TooSlowError:
            self.away = True
            raise StorageUnavailable("the database does not answer") from None
        except (ActorError, StorageError) as error:
            self.away = database_away(error)
            raise
        self.away = False
        return known

    async def _find(self, groups: Sequence[Group]) -> dict[str, Known]:
        """Only after the journal has dealt with records whose outcome is unknown."""
        if self._in_doubt:
            await self._system.ref(JOURNAL).ask(Append(()))
            self._in_doubt = False
        by_merchant: dict[str, list[str]] = defaultdict(list)
        for group in groups:
            for waiting in group:
                by_merchant[waiting.record.merchant_id].append(waiting.record.deferral_id)
        known: dict[str, Known] = {}
        for merchant_id, ids in by_merchant.items():
            known |= await find_deferrals(self._database, merchant_id, ids)
        return known

    # Asking the accounts

    async def _ask(self, groups: Sequence[Group]) -> list[Any]:
        """For each group the results, or the error of the ask."""
        region, now = self._system.entities(ACCOUNTS), self._system.clock.now()
        asks = [
            (
                region.ref(group[0].record.account),
                Apply(tuple(as_promised(waiting.record, now) for waiting in group)),
            )
            for group in groups
        ]
        return await ask_all(asks, timeout_s=REPLAY_TIMEOUT_S)

    def _judge(
        self, groups: Sequence[Group], answers: Sequence[Any]
    ) -> tuple[News, Exception | None]:
        """What there is to record, and the error that keeps some waiting."""
        news: News = []
        error: Exception | None = None
        now = self._system.clock.now()
        for group, answer in zip(groups, answers, strict=True):
            if not isinstance(answer, Exception):
                for waiting, result in zip(group, answer, strict=True):
                    if clock_stepped_back(waiting.record, result):
                        self._ask_later(waiting)
                    else:
                        news.append((waiting, ended(waiting.record, result, now)))
            elif broke_the_account(answer):
                news += self._after_failure(group, answer)
            else:
                error = answer
        return news, error

    def _ask_later(self, waiting: Waiting) -> None:
        delay_s = AGAIN.delay_s(2, self._system.random)
        self._backlog.hold(waiting.record.account, monotonic() + delay_s)

    def _after_failure(self, group: Group, error: Exception) -> News:
        """Of several, nobody knows which one it was: they are asked again one by one."""
        first, record = group[0], group[0].record
        if len(group) > 1:
            self._backlog.hold(record.account, monotonic())
            return []
        first.attempts += 1
        log.error(
            "deferral_failed",
            deferral=record.deferral_id,
            attempts=first.attempts,
            error=str(error)[:500],
        )
        if first.attempts >= MAX_ATTEMPTS:
            return [(first, died(record, self._system.clock.now()))]
        delay_s = AGAIN.delay_s(first.attempts + 1, self._system.random)
        self._backlog.hold(record.account, monotonic() + delay_s)
        return [(first, queued(record, first.attempts))]

    # Recording what became of them

    async def _record(self, news: News) -> None:
        """Make it durable, each by itself; the journal commits them together.

        Those that are recorded are finished. Raises why others are not.
        """
        journal = self._system.ref(JOURNAL)
        asks = [(journal, Append((deferral_write(w.record, known),))) for w, known in news]
        answers = await ask_all(asks, timeout_s=REPLAY_TIMEOUT_S)
        error: Exception | None = None
        for (waiting, known), answer in zip(news, answers, strict=True):
            if isinstance(answer, Exception):
                error = answer
                self._in_doubt |= not isinstance(answer, ActorError) or (
                    answer.outcome is Outcome.UNKNOWN
                )
                continue
            if isinstance(answer, Rejected):
                log.error("deferral_not_recorded", error=str(answer.violation)[:500])
            if known.deferral.finished_at is not None:
                self._finish(waiting, known)
        if error is not None:
            raise error

    def _finish(self, waiting: Waiting, known: Known) -> None:
        deferral = known.deferral
        self._metrics.count(deferral.status.value)
        self._backlog.finish(waiting, deferral)
        if isinstance(deferral.result, Refusal):
            log.warning(
                "deferral_refused",
                deferral=deferral.deferral_id,
                status=deferral.status.value,
                code=deferral.result.code,
            )


def broke_the_account(error: Exception) -> bool:
    """Whether the account ended while it had the earnings in hand."""
    if database_away(error):
        return False
    return isinstance(error, ActorDown) and error.outcome is Outcome.UNKNOWN


def as_promised(record: DeferredRecord, now: datetime) -> Earn:
    """The earning as it would have been posted when it was put off: effective then, and not
    pending any more where its time has come since."""
    earn = record.earn
    if earn.effective_at is None:
        earn = attrs.evolve(earn, effective_at=min(record.deferred_at, now))
    if earn.pending_until is not None and earn.pending_until <= now:
        earn = attrs.evolve(earn, pending_until=None)
    return earn


def clock_stepped_back(record: DeferredRecord, result: Result) -> bool:
    """Whether the account refused a time that we gave the earning: the clock was set back between
    our look at it and the account's. What was promised is asked for again."""
    ours = record.earn.effective_at is None
    return ours and isinstance(result, Refusal) and result.code == TIME_IN_FUTURE


def ended(record: DeferredRecord, result: Result, at: datetime) -> Known:
    """The outcome after the account answered. That it recognised the key is nobody's business."""
    if isinstance(result, Receipt):
        receipt = attrs.evolve(result, replayed=False)
        return outcome(record, receipt, DeferralStatus.APPLIED, at)
    return outcome(record, result, DeferralStatus.REFUSED, at)


def died(record: DeferredRecord, at: datetime) -> Known:
    detail = f"the account failed {MAX_ATTEMPTS} times when it was asked for this"
    refusal = Refusal(RefusalKind.UNAVAILABLE, "deferral_dead", detail)
    return outcome(record, refusal, DeferralStatus.DEAD, at)
