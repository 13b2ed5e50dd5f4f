"""The job that works off a broadcast, step by step, each written down before it is taken.

A step takes the next recipients (`pending → leased`) in one transaction, sends, and writes what
became of them in another. Whoever comes after a crash finds who was in hand: to a provider that
honours keys these are sent again under the same key, to any other they are `unknown`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import attrs
import structlog
import trio

from actors.campaign.delivery_messages import (
    BROADCAST_COMPLETED,
    BROADCASTS,
    BroadcastState,
    DeliveryState,
)
from actors.campaign.delivery_model import (
    Leased,
    NotTried,
    Settlement,
    messages_max,
    orphaned,
    settlement,
)
from actors.campaign.delivery_queries import (
    ADVANCE,
    END_BROADCAST,
    END_STEP,
    GATHERED,
    RELEASE,
    SELECT_BROADCAST,
    SELECT_DUE,
    SELECT_LEASED,
    SELECT_NEXT_DUE,
    SELECT_OPEN_STEPS,
)
from actors.campaign.delivery_queues import QUEUES, dead_letter, pump_job
from actors.campaign.delivery_records import (
    AUDIENCE,
    RECOVERY,
    SEND,
    BroadcastRow,
    broadcast_of,
    delivery_write,
    lease_write,
    leased_of,
    settle_write,
    step_write,
)
from actors.campaign.member_budgets import without_room
from actors.campaign.messages import QUERIES, CampaignKind, ListMembers, SendChannel
from actors.campaign.quiet_hours import quiet_until
from actors.campaign.sending import Providers, Results, Sender
from actors.campaign.silent_texts import ask_job
from actors.campaign.suppressing import MEMBER_BUDGET, over_budget, suppress_all
from actors.outgoing.ports import FailedForNow
from runtime import ActorError, ActorSystem
from runtime.jobs import Job, NewJob, RetryAfter, job_write
from runtime.jobs.metrics import job_metrics
from runtime.journal import JOURNAL, Append, Rejected
from runtime.parking import monotonic
from runtime.storage import Database, Entry, StorageError, Superseded, Write
from runtime.storage.outbox import outbox_write

log = structlog.get_logger("loyalnest.campaign")

SENT = DeliveryState.SENT

AT_ONCE = 20
"""Recipients of a step: so many at most are of unknown fate after a crash."""

PAGE = 200
PAGE_BESIDE = 40
"""Recipients written down in one transaction: of 200 it takes a few milliseconds, of 40 less than
one, which nobody notices who writes at the same time."""

ORPHANS_AT_ONCE = 200
REST_SHARE = 1.0
"""Of the time that the job's own work took; then it rests, whoever is there."""

RUN_S = 20.0
"""Then the job ends, and another one goes on: a queue is shared by all merchants."""

COME_BACK_S = 2.0
APPEND_S = 5.0
END_S = 1.5
"""What a job that is stopped has left to write down what it knows."""


@attrs.frozen
class Pump:
    """Goes on with a broadcast where it is. Of two, the later one is told so by the number of the
    step, and leaves."""

    database: Database
    providers: Providers

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        campaign_id = str(job.payload["campaign_id"])
        sender = Sender(system, self.providers)
        pumping = _Pumping(system, self.database, sender, job, campaign_id)
        try:
            return await pumping.go_on()
        except Superseded:
            log.info("broadcast_left_to_others", campaign=campaign_id)
            raise RetryAfter(COME_BACK_S, "another worker has it") from None
        except (ActorError, StorageError) as error:
            raise RetryAfter(COME_BACK_S, str(error)) from error


@attrs.define
class _Pumping:
    """One attempt of the job."""

    system: ActorSystem
    database: Database
    sender: Sender
    job: Job
    campaign_id: str

    @property
    def merchant_id(self) -> str:
        return self.job.merchant_id

    async def go_on(self) -> Entry:
        until = monotonic() + RUN_S
        recovered = False
        while monotonic() < until:
            await self.system.foreground.quiet()
            began = monotonic()
            broadcast = await self._load()
            if broadcast is None:
                return ()
            if not recovered:
                recovered = not await self._recover(broadcast)
                continue
            if broadcast.state is BroadcastState.CANCELLED:
                if not await suppress_all(self, broadcast):
                    return ()
                continue
            if broadcast.state is not BroadcastState.RUNNING:
                return ()
            if broadcast.gathered:
                ending = await self._step(broadcast)
                if ending is not None:
                    return ending
            else:
                await self._gather(broadcast)
            await trio.sleep((monotonic() - began) * REST_SHARE)
        return self._again(None)

    async def _load(self) -> BroadcastRow | None:
        values = (self.merchant_id, self.campaign_id)
        row = await self.database.fetch_row(SELECT_BROADCAST, *values)
        return broadcast_of(row) if row is not None else None

    def _again(self, run_at: datetime | None) -> Entry:
        """Another job goes on, at once or then."""
        channel = next(name for name, queue in QUEUES.items() if queue.name == self.job.queue)
        job = pump_job(self.merchant_id, self.campaign_id, channel, run_at)
        return (self._job(job, self.system.clock.now()),)

    def _job(self, job: NewJob, now: datetime) -> Write:
        job_id = self.system.ids.new("job")
        return job_write(job, job_id=job_id, now=now, trace_id=self.job.trace_id)

    async def append(self, entry: Sequence[Write], *, synchronous: bool = True) -> None:
        """Raises `Superseded` where somebody else took the step. Not synchronous is only what
        the next look at the broadcast shows."""
        append = Append(tuple(entry), in_background=True, synchronous=synchronous)
        answer = await self.system.ref(JOURNAL).ask(append, timeout_s=APPEND_S)
        if isinstance(answer, Rejected):
            raise answer.violation
        self.system.changes.tell(BROADCASTS, self.merchant_id, self.campaign_id)

    def advance(self, broadcast: BroadcastRow, reserve: int = 0) -> Write:
        """The next step is ours, unless somebody has taken it."""
        key = (self.merchant_id, self.campaign_id, broadcast.step)
        return Write(ADVANCE, (*key, broadcast.state.value, reserve))

    # The audience

    async def _gather(self, broadcast: BroadcastRow) -> None:
        """Write the next recipients down."""
        page = PAGE_BESIDE if self.system.foreground.busy else PAGE
        question = ListMembers(self.merchant_id, self.campaign_id, broadcast.gathered_to, page)
        members = await self.system.ref(QUERIES).ask(question)
        now = self.system.clock.now()
        last = members[-1] if members else broadcast.gathered_to
        done = len(members) < page
        recipients = [
            delivery_write(broadcast, member, now, delivery_id=self.system.ids.new("dlv"))
            for member in members
        ]
        key = (self.merchant_id, self.campaign_id)
        await self.append(
            (
                self.advance(broadcast),
                step_write(broadcast, AUDIENCE, len(members), now, {"written": len(members)}),
                *recipients,
                Write(GATHERED, (*key, last, done)),
            ),
            synchronous=False,
        )

    # Sending

    async def _step(self, broadcast: BroadcastRow) -> Entry | None:
        """Send to the next recipients; None when there may be more at once, else what the job ends
        with."""
        now = self.system.clock.now()
        quiet = self._quiet_until(broadcast, now)
        if quiet is not None:
            return self._again(quiet)
        key = (self.merchant_id, self.campaign_id)
        rows = await self.database.fetch(SELECT_DUE, *key, now, AT_ONCE)
        if not rows:
            return await self._nothing_due(broadcast)
        due, step = [leased_of(row) for row in rows], broadcast.step + 1
        beyond = await without_room(self.database, broadcast, due)
        if beyond:
            await over_budget(self, broadcast, beyond, MEMBER_BUDGET)
            return None
        room = self._room(broadcast, due)
        if not room:
            await over_budget(self, broadcast, [each for each in due if not each.attempt])
            return None
        taken = [attrs.evolve(one, attempt=one.attempt + 1, lease=step) for one in due[:room]]
        return await self._send(broadcast, taken, now)

    def _quiet_until(self, broadcast: BroadcastRow, now: datetime) -> datetime | None:
        if broadcast.channel is SendChannel.WEBHOOK:
            return None
        schedule = broadcast.definition.schedule
        return quiet_until(now, schedule.quiet, schedule.zone)

    def _room(self, broadcast: BroadcastRow, due: Sequence[Leased]) -> int:
        """How many of them the budget has room for; those that are tried again have theirs."""
        definition = broadcast.definition
        most = messages_max(definition.budget, definition.unit_cost_minor)
        if most is None:
            return len(due)
        left = max(0, most - broadcast.reserved)
        for count, each in enumerate(due):
            left -= not each.attempt
            if left < 0:
                return count
        return len(due)

    async def _send(
        self, broadcast: BroadcastRow, leased: Sequence[Leased], now: datetime
    ) -> Entry | None:
        fresh = sum(each.attempt == 1 for each in leased)
        await self.append(
            (
                self.advance(broadcast, fresh),
                step_write(broadcast, SEND, len(leased), now),
                *(lease_write(self.merchant_id, each, now) for each in leased),
            )
        )
        results: Results = {}
        sent = False
        try:
            await self.sender.send(broadcast, leased, results)
            sent = True
        finally:
            if not sent:
                with trio.move_on_after(END_S, shield=True):
                    await self._settle(broadcast, leased, results)
        return await self._settle(broadcast, leased, results)

    async def _settle(
        self, broadcast: BroadcastRow, leased: Sequence[Leased], results: Results
    ) -> Entry | None:
        """Write down what became of them, as far as it is known."""
        now, step = self.system.clock.now(), broadcast.step + 1
        known = [each for each in leased if each.delivery_id in results]
        honours_keys = self.sender.providers.honours_keys(broadcast.channel)
        settled = {
            each: settlement(
                each,
                results[each.delivery_id],
                now,
                self.system.random,
                honours_keys=honours_keys,
            )
            for each in known
        }
        unused = sum(
            one.state is DeliveryState.SUPPRESSED or (each.attempt == 1 and not one.attempt)
            for each, one in settled.items()
        )
        key = (self.merchant_id, self.campaign_id)
        entry = [
            *(settle_write(self.merchant_id, each, one, now) for each, one in settled.items()),
            *self._dead_letters(broadcast, settled, now),
            Write(END_STEP, (*key, step, now, dict(_outcome(settled)))),
        ]
        sent = [each.delivery_id for each, one in settled.items() if one.state is SENT]
        if sent and broadcast.channel is SendChannel.SMS:
            entry.append(self._job(ask_job(self.merchant_id, sent, now), now))
        if unused:
            entry.append(Write(RELEASE, (*key, unused)))
        await self.append(entry)
        self._tell(broadcast, settled)
        wait = _wait_s(results)
        return self._again(now + timedelta(seconds=wait)) if wait else None

    def _dead_letters(
        self, broadcast: BroadcastRow, settled: Mapping[Leased, Settlement], now: datetime
    ) -> Entry:
        return tuple(
            dead_letter(
                self.merchant_id,
                each.delivery_id,
                broadcast.channel,
                one,
                job_id=self.system.ids.new("job"),
                now=now,
                trace_id=self.job.trace_id,
            )
            for each, one in settled.items()
            if one.dead
        )

    def _tell(self, broadcast: BroadcastRow, settled: Mapping[Leased, Settlement]) -> None:
        """What failed for good is logged once, when it is written down."""
        for each, one in settled.items():
            if one.dead:
                job_metrics(self.system.metrics.registry).dead.labels(self.job.queue).inc()
                log.error(
                    "delivery_failed",
                    delivery=each.delivery_id,
                    campaign=broadcast.campaign_id,
                    channel=broadcast.channel.value,
                    reason=one.reason,
                    trace_id=self.job.trace_id,
                )

    async def _nothing_due(self, broadcast: BroadcastRow) -> Entry:
        """Come back when something is; a broadcast without anything left is complete."""
        key = (self.merchant_id, self.campaign_id)
        next_due = await self.database.fetch_value(SELECT_NEXT_DUE, *key)
        if next_due is not None:
            return self._again(next_due)
        if broadcast.kind is CampaignKind.AUTOMATION:
            return ()
        now, running = self.system.clock.now(), BroadcastState.RUNNING.value
        completed = BroadcastState.COMPLETED.value
        log.info("broadcast_completed", campaign=self.campaign_id)
        event = outbox_write(
            merchant_id=self.merchant_id,
            event_id=self.system.ids.new("ev"),
            topic=BROADCAST_COMPLETED,
            key=self.campaign_id,
            payload={"campaign_id": self.campaign_id},
            created_at=now,
        )
        return (Write(END_BROADCAST, (*key, broadcast.step, completed, now, running)), event)

    # After a crash

    async def _recover(self, broadcast: BroadcastRow) -> bool:
        """Settle what an earlier worker had in hand; whether there was anything."""
        key = (self.merchant_id, self.campaign_id)
        orphans = await self.database.fetch(SELECT_LEASED, *key, ORPHANS_AT_ONCE)
        steps = await self.database.fetch(SELECT_OPEN_STEPS, *key, ORPHANS_AT_ONCE)
        if not orphans and not steps:
            return False
        now = self.system.clock.now()
        honours_keys = self.sender.providers.honours_keys(broadcast.channel)
        settled = {
            each: orphaned(each, now, honours_keys=honours_keys) for each in map(leased_of, orphans)
        }
        lost = {"lost": len(orphans)}
        await self.append(
            (
                self.advance(broadcast),
                step_write(broadcast, RECOVERY, len(orphans), now, dict(_outcome(settled))),
                *(settle_write(self.merchant_id, each, one, now) for each, one in settled.items()),
                *self._dead_letters(broadcast, settled, now),
                *(Write(END_STEP, (*key, row["step"], now, lost)) for row in steps),
            )
        )
        self._tell(broadcast, settled)
        log.warning("broadcast_recovered", campaign=self.campaign_id, in_hand=len(orphans))
        return True


Waiting = NotTried | FailedForNow


def _outcome(settled: Mapping[Leased, Settlement]) -> Counter[str]:
    return Counter(one.state.value for one in settled.values())


def _wait_s(results: Results) -> float:
    """How long the provider is to be left alone: as long as anybody says."""
    asked = [result.retry_after_s for result in results.values() if isinstance(result, Waiting)]
    return max([wait_s for wait_s in asked if wait_s is not None], default=0.0)
