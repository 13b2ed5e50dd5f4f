"""Forgetting a customer who was erased: the scores, and how they changed.

It is a job in the line of the merchant's runs: one that had begun before the erasure has ended by
then, and those that come later leave the customer out. What a run has counted stays; it says
nothing about anybody.
"""

from typing import Any, ClassVar

import attrs
import msgspec

from actors.core.messages import CustomerErased
from actors.rfm_analytics.queue import FORGET_CUSTOMER, RFM_QUEUE
from runtime import ActorError, Workers
from runtime.context import current_trace_id, under_trace
from runtime.inbox import take_effect
from runtime.jobs import JOBS, Job, JobsAdded, NewJob, job_write
from runtime.journal import JOURNAL
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import Database, Entry, Statement, StorageError, Write
from runtime.system import ActorSystem

FORGETTING = "rfm_analytics.forgetting"
"""Name of the consumer of `CUSTOMER_ERASED`."""

FORGET_HISTORY = Statement(
    "rfm.forget_history", "DELETE FROM rfm_history WHERE merchant_id = $1 AND customer_id = $2", 60
)

FORGET_SCORES = Statement(
    "rfm.forget_scores",
    "DELETE FROM rfm_scores WHERE merchant_id = $1 AND customer_id = $2 AND run IN"
    " (SELECT number FROM rfm_runs WHERE merchant_id = $1 AND kept <> 'gone')",
    61,
)


def forget_job(merchant_id: str, customer_id: str) -> NewJob:
    return NewJob(
        queue=RFM_QUEUE.name,
        name=FORGET_CUSTOMER,
        merchant_id=merchant_id,
        payload={"customer_id": customer_id},
        key=merchant_id,
    )


class Forgetting(Workers):
    """Has a job for each customer who was erased."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        for event in message.events:
            with under_trace(event.trace_id):
                await self._take(event)
        self.system.ref(JOBS).tell(JobsAdded(RFM_QUEUE.name))
        return None

    async def _take(self, event: OutboxEvent) -> None:
        erased = msgspec.convert(event.payload, CustomerErased)
        job = forget_job(event.merchant_id, erased.customer_id)
        job_id, now = self.system.ids.new("job"), self.system.clock.now()
        entry = (job_write(job, job_id=job_id, now=now, trace_id=current_trace_id()),)
        journal = self.system.ref(JOURNAL)
        rejected = await take_effect(journal, self._database, FORGETTING, event, entry, now)
        if rejected is not None:
            raise rejected.violation


@attrs.frozen
class ForgetCustomer:
    """Deletes what runs have kept of one customer."""

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        key = (job.merchant_id, job.payload["customer_id"])
        return Write(FORGET_HISTORY, key), Write(FORGET_SCORES, key)
