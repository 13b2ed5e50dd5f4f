"""What a provider tells of a text before its step has written down that it was sent.

It is kept until the text is known, or for a day: others send through the same account, and what is
told of their texts looks the same.
"""

from datetime import datetime, timedelta
from typing import Final

import attrs

from actors.campaign.delivery_messages import DeliveryState, ReportDelivery
from actors.campaign.messages import SendChannel
from runtime.storage import AcrossMerchants, Database, Row, Statement, Write

KEPT_FOR: Final = timedelta(days=1)
AT_ONCE: Final = 200

KEEP_NEWS = Statement(
    "campaign.keep_news",
    "INSERT INTO campaign_text_news (merchant_id, provider_id, state, reason, told_at)"
    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (merchant_id, provider_id, state) DO NOTHING",
    62,
)

FORGET_NEWS = Statement(
    "campaign.forget_news",
    "DELETE FROM campaign_text_news WHERE merchant_id = $1 AND provider_id = $2 AND state = $3",
    63,
)

SELECT_KNOWN_NEWS = AcrossMerchants(
    "SELECT n.merchant_id, n.provider_id, n.state, n.reason"
    " FROM campaign_text_news AS n JOIN campaign_deliveries AS d"
    " ON d.merchant_id = n.merchant_id AND d.provider_id = n.provider_id"
    " AND d.channel = 'sms' AND d.provider_id IS NOT NULL ORDER BY n.told_at LIMIT $1"
)
"""Those of texts that are known by now."""

SELECT_OLD_NEWS = AcrossMerchants(
    "SELECT merchant_id, provider_id, state, reason FROM campaign_text_news WHERE told_at < $1"
    " ORDER BY told_at LIMIT $2"
)


@attrs.frozen
class News:
    """What is kept of one text."""

    report: ReportDelivery

    def forget_write(self) -> Write:
        report = self.report
        return Write(FORGET_NEWS, (report.merchant_id, report.provider_id, report.state.value))


def keep_write(report: ReportDelivery, now: datetime) -> Write:
    key = (report.merchant_id, report.provider_id, report.state.value)
    return Write(KEEP_NEWS, (*key, report.reason, now))


async def known_news(database: Database) -> list[News]:
    """Raises `StorageError`."""
    return [_news_of(row) for row in await database.fetch(SELECT_KNOWN_NEWS, AT_ONCE)]


async def old_news(database: Database, now: datetime) -> list[News]:
    """What was about texts of others. Raises `StorageError`."""
    rows = await database.fetch(SELECT_OLD_NEWS, now - KEPT_FOR, AT_ONCE)
    return [_news_of(row) for row in rows]


def _news_of(row: Row) -> News:
    merchant_id, provider_id, state, reason = row
    return News(
        ReportDelivery(
            merchant_id=merchant_id,
            channel=SendChannel.SMS,
            provider_id=provider_id,
            state=DeliveryState(state),
            reason=reason,
        )
    )
