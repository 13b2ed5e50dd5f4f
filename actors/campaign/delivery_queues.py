"""The queues of messages: one for each channel, so that a dead provider holds up no other."""

from collections.abc import Mapping
from datetime import datetime

from actors.campaign.delivery_model import Settlement
from actors.campaign.messages import SendChannel
from runtime.jobs import Delays, Leases, NewJob, QueuePolicy, dead_letter_write
from runtime.storage import Write

PUMP, REDELIVER = "campaign.pump", "campaign.redeliver"
SWEEP, OCCASIONS = "campaign.sweep", "campaign.occasions"

QUEUES: Mapping[SendChannel, QueuePolicy] = {
    channel: QueuePolicy(
        name=f"messages_{channel.value}",
        concurrency=8,
        attempts_max=100,
        attempt_timeout_s=60.0,
        delays=Delays(initial_s=0.5, max_s=1.0),
        leases=Leases(lease_s=4.0, heartbeat_s=1.2),
    )
    for channel in SendChannel
}
"""A broadcast goes on within ten seconds of the death of its worker: five until its lease is over,
one until that is seen, one at most until the next attempt, one until it is claimed.

An attempt of the job is none of a message, which counts its own: a job may be killed very often."""


def pump_job(
    merchant_id: str, campaign_id: str, channel: SendChannel, run_at: datetime | None = None
) -> NewJob:
    """At most one lives for each campaign."""
    return NewJob(
        queue=QUEUES[channel].name,
        name=PUMP,
        merchant_id=merchant_id,
        payload={"campaign_id": campaign_id},
        unique_key=campaign_id,
        run_at=run_at,
    )


def dead_letter(
    merchant_id: str,
    delivery_id: str,
    channel: SendChannel,
    settled: Settlement,
    *,
    job_id: str,
    now: datetime,
    trace_id: str | None,
) -> Write:
    """A delivery that failed for good. Whoever puts it back has it tried anew."""
    job = NewJob(
        queue=QUEUES[channel].name,
        name=REDELIVER,
        merchant_id=merchant_id,
        payload={"delivery_id": delivery_id},
    )
    return dead_letter_write(
        job,
        job_id=job_id,
        now=now,
        trace_id=trace_id,
        error=settled.reason or "",
        attempt=settled.attempt,
    )
