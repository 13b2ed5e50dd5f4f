"""Recipients that get nothing after all: of a campaign that was cancelled, or out of budget."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from actors.campaign.delivery_messages import DeliveryState
from actors.campaign.delivery_model import Leased, Settlement
from actors.campaign.delivery_queries import SELECT_PENDING
from actors.campaign.delivery_records import SEND, BroadcastRow, leased_of, settle_write, step_write
from runtime.storage import Database, Write
from runtime.system import ActorSystem

BUDGET, CANCELLED = "budget_exhausted", "campaign_cancelled"
MEMBER_BUDGET = "member_budget_exhausted"
AT_ONCE = 200


class Steps(Protocol):
    """Whoever takes the steps of a broadcast."""

    system: ActorSystem
    database: Database

    async def append(self, entry: Sequence[Write]) -> None: ...

    def advance(self, broadcast: BroadcastRow, reserve: int = 0) -> Write: ...


async def suppress_all(steps: Steps, broadcast: BroadcastRow) -> bool:
    """Suppress the next recipients of a cancelled broadcast; false when none is left."""
    key = (broadcast.merchant_id, broadcast.campaign_id)
    rows = await steps.database.fetch(SELECT_PENDING, *key, AT_ONCE)
    if not rows:
        return False
    now = steps.system.clock.now()
    await steps.append(
        (
            steps.advance(broadcast),
            step_write(broadcast, SEND, len(rows), now, {"suppressed": len(rows)}),
            *(_suppressed(broadcast, leased_of(row), CANCELLED, now) for row in rows),
        )
    )
    return True


async def over_budget(
    steps: Steps, broadcast: BroadcastRow, fresh: Sequence[Leased], reason: str = BUDGET
) -> None:
    """Suppress those that were never tried, and that a budget has no room for."""
    now = steps.system.clock.now()
    await steps.append(
        (
            steps.advance(broadcast),
            step_write(broadcast, SEND, len(fresh), now, {"suppressed": len(fresh)}),
            *(_suppressed(broadcast, each, reason, now) for each in fresh),
        )
    )


def _suppressed(broadcast: BroadcastRow, each: Leased, reason: str, now: datetime) -> Write:
    settled = Settlement(state=DeliveryState.SUPPRESSED, attempt=each.attempt, reason=reason)
    return settle_write(broadcast.merchant_id, each, settled, now)
