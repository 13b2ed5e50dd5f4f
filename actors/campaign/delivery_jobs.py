"""The domain's jobs about messages: going on, looking after what stands still, trying anew."""

import attrs

from actors.campaign.delivery_messages import DeliveryState
from actors.campaign.delivery_queries import (
    LIST_UNFINISHED,
    REOPEN_BROADCAST,
    RETURN_DELIVERY,
    SELECT_DELIVERY,
)
from actors.campaign.delivery_queues import (
    OCCASIONS,
    PUMP,
    QUEUES,
    REDELIVER,
    SWEEP,
    pump_job,
)
from actors.campaign.delivery_records import delivery_of
from actors.campaign.messages import SendChannel
from actors.campaign.occasions import FindOccasions
from actors.campaign.pump import Pump
from actors.campaign.reports import Reports
from actors.campaign.sending import Providers
from actors.campaign.silent_texts import ASK_TEXTS, ASKED, AskTexts
from runtime.jobs import Every, Hourly, Job, JobsSpec, Schedule, job_write, scheduled_of
from runtime.storage import Database, Entry, Write
from runtime.system import ActorSystem

SWEEP_S = 30
AT_ONCE = 200
PAGES_MAX = 50


@attrs.frozen
class Sweep:
    """Has a job for every broadcast that is under way: one may have ended when another was asked
    for, or died. And news of texts take effect that came before their texts were known."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        now = system.clock.now()
        writes: list[Write] = [*await Reports(system, self.database).catch_up()]
        after = ("", "")
        for _ in range(PAGES_MAX):
            rows = await self.database.fetch(LIST_UNFINISHED, *after, now, AT_ONCE)
            for merchant_id, campaign_id, channel in rows:
                wanted = pump_job(merchant_id, campaign_id, SendChannel(channel))
                job_id = system.ids.new("job")
                writes.append(job_write(wanted, job_id=job_id, now=now, trace_id=job.trace_id))
            if len(rows) < AT_ONCE:
                break
            after = (rows[-1][0], rows[-1][1])
        return tuple(writes)


@attrs.frozen
class Redeliver:
    """A delivery that had failed, which somebody put back: it begins anew, in a broadcast that may
    have been complete. One that is not failed any more is left alone."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        delivery_id, now = str(job.payload["delivery_id"]), system.clock.now()
        row = await self.database.fetch_row(SELECT_DELIVERY, job.merchant_id, delivery_id)
        if row is None or row["state"] != DeliveryState.FAILED.value:
            return ()
        known = delivery_of(row)
        failed, pending = DeliveryState.FAILED.value, DeliveryState.PENDING.value
        values = (job.merchant_id, delivery_id, pending, now, failed)
        again = pump_job(job.merchant_id, known.campaign_id, known.channel)
        job_id = system.ids.new("job")
        return (
            Write(REOPEN_BROADCAST, (job.merchant_id, known.campaign_id)),
            Write(RETURN_DELIVERY, values),
            job_write(again, job_id=job_id, now=now, trace_id=job.trace_id),
        )


SCHEDULED = scheduled_of("campaign")


def delivery_jobs(database: Database, providers: Providers) -> JobsSpec:
    """Queues, handlers and schedules."""
    return JobsSpec(
        queues=(*QUEUES.values(), ASKED, SCHEDULED),
        handlers={
            PUMP: Pump(database, providers),
            SWEEP: Sweep(database),
            REDELIVER: Redeliver(database),
            ASK_TEXTS: AskTexts(database, providers),
            OCCASIONS: FindOccasions(database),
        },
        schedules=(
            Schedule(name="campaign.sweep", job=SWEEP, timing=Every(SWEEP_S), queue=SCHEDULED.name),
            Schedule(
                name="campaign.occasions",
                job=OCCASIONS,
                timing=Hourly(5),
                queue=SCHEDULED.name,
            ),
        ),
    )
