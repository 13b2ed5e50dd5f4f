"""How many messages of a campaign one member may get.

Whoever takes the steps of a broadcast is alone, so that what is counted here holds until the step
is written down.
"""

from collections.abc import Sequence

from actors.campaign.delivery_model import Leased, messages_max
from actors.campaign.delivery_records import BroadcastRow
from runtime.storage import Database

COUNT_HAD = (
    "SELECT customer_id, count(*) FROM campaign_deliveries WHERE merchant_id = $1"
    " AND campaign_id = $2 AND attempt > 0 AND state <> 'suppressed' AND customer_id IN (%s)"
    " GROUP BY customer_id"
)
"""Messages that were sent, or tried, as the budget of all members counts them."""


async def without_room(
    database: Database, broadcast: BroadcastRow, due: Sequence[Leased]
) -> list[Leased]:
    """Those that were never tried and would be one message too many for their members. Raises
    `StorageError`."""
    definition = broadcast.definition
    most = messages_max(definition.member_budget, definition.unit_cost_minor)
    fresh = [each for each in due if not each.attempt]
    if most is None or not fresh:
        return []
    had = await _had(database, broadcast, sorted({each.customer_id for each in fresh}))
    beyond: list[Leased] = []
    for each in fresh:
        count = had[each.customer_id] = had.get(each.customer_id, 0) + 1
        if count > most:
            beyond.append(each)
    return beyond


async def _had(database: Database, broadcast: BroadcastRow, customers: list[str]) -> dict[str, int]:
    places = ", ".join(f"${number}" for number in range(3, len(customers) + 3))
    key = (broadcast.merchant_id, broadcast.campaign_id)
    return {row[0]: row[1] for row in await database.fetch(COUNT_HAD % places, *key, *customers)}
