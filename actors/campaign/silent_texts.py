"""Texts of which nobody tells: their provider is asked once, ten minutes after they were sent.

Where callbacks arrive, there is hardly one to ask about. Where none can, because the provider does
not know where to send them, it is asked about all: two a second, so that what is left of its rate
is for sending.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs
import trio

from actors.campaign.delivery_messages import DeliveryState, ReportDelivery
from actors.campaign.messages import SendChannel
from actors.campaign.reports import COME_TO, Reports, reason_of
from actors.campaign.sending import Providers
from actors.outgoing.ports import FailedForGood, FailedForNow, Texter, TextStatus
from runtime.jobs import Delays, Job, NewJob, QueuePolicy, RetryAfter
from runtime.policies import PolicyError
from runtime.storage import Database, Entry
from runtime.system import ActorSystem

ASK_TEXTS: Final = "campaign.ask_texts"
ASK_AFTER: Final = timedelta(minutes=10)
PAUSE_S: Final = 0.5
COME_BACK_S: Final = 30.0

ASKED = QueuePolicy(
    name="messages_asked",
    concurrency=1,
    depth_max=1_000_000,
    attempts_max=8,
    attempt_timeout_s=60.0,
    delays=Delays(initial_s=30.0, max_s=3_600.0),
)

SELECT_SILENT = (
    "SELECT delivery_id, provider_id FROM campaign_deliveries WHERE merchant_id = $1"
    " AND state = 'sent' AND provider_id IS NOT NULL AND delivery_id IN (%s) ORDER BY delivery_id"
)


def ask_job(merchant_id: str, deliveries: Sequence[str], sent_at: datetime) -> NewJob:
    """About those that were sent in one step."""
    return NewJob(
        queue=ASKED.name,
        name=ASK_TEXTS,
        merchant_id=merchant_id,
        payload={"deliveries": list(deliveries)},
        run_at=sent_at + ASK_AFTER,
    )


@attrs.frozen
class AskTexts:
    """What the provider does not know is `unknown`; what is still on its way stays `sent`."""

    database: Database
    providers: Providers

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        texter, asked_for = self.providers.texter, list(job.payload["deliveries"])
        if texter is None:
            return ()
        places = ", ".join(f"${number}" for number in range(2, len(asked_for) + 2))
        rows = await self.database.fetch(SELECT_SILENT % places, job.merchant_id, *asked_for)
        reports = Reports(system, self.database)
        for _, provider_id in rows:
            answer = await _asked(texter, job.merchant_id, provider_id)
            await reports.report(_report(job.merchant_id, provider_id, answer))
            await trio.sleep(PAUSE_S)
        return ()


async def _asked(texter: Texter, merchant_id: str, provider_id: str) -> TextStatus | FailedForGood:
    """Raises `RetryAfter` where nobody can tell now."""
    try:
        answer = await texter.status(merchant_id, provider_id)
    except PolicyError as error:
        raise RetryAfter(error.retry_after_s or COME_BACK_S, str(error)) from error
    if isinstance(answer, FailedForNow):
        raise RetryAfter(answer.retry_after_s or COME_BACK_S, f"{answer.code}: {answer.detail}")
    return answer


def _report(
    merchant_id: str, provider_id: str, answer: TextStatus | FailedForGood
) -> ReportDelivery:
    state, reason = DeliveryState.UNKNOWN, None
    if isinstance(answer, TextStatus):
        state = COME_TO[answer.state]
    if isinstance(answer, TextStatus) and state is DeliveryState.FAILED:
        reason = reason_of(answer.state, answer.detail)
    elif isinstance(answer, FailedForGood):
        reason = f"{answer.code}: {answer.detail}"
    return ReportDelivery(
        merchant_id=merchant_id,
        channel=SendChannel.SMS,
        provider_id=provider_id,
        state=state,
        reason=reason,
    )
