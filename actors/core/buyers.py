"""Summaries of what customers have bought, for those who look at all customers in turn."""

from actors.core.messages import MAX_BUYERS, BuyerSummary, SummariseBuyers
from runtime.storage import Database, Row

SUMMARISE_BUYERS = (
    "WITH slice AS (SELECT customer_id FROM customers WHERE merchant_id = $1 AND customer_id > $2"
    " AND merged_into IS NULL AND erased_at IS NULL ORDER BY customer_id LIMIT $3),"
    " names AS (SELECT customer_id, customer_id AS name FROM slice UNION ALL"
    " SELECT slice.customer_id, c.customer_id FROM slice CROSS JOIN customers c"
    " WHERE c.merchant_id = $1 AND c.merged_into = slice.customer_id),"
    " bought AS (SELECT n.customer_id, o.ordered_at,"
    " count(CASE WHEN o.currency = $5 THEN 1 END) OVER one AS orders,"
    " sum(CASE WHEN o.currency = $5 THEN o.total_minor - o.refunded_minor END) OVER one AS spent,"
    " count(o.currency) OVER one AS all_orders,"
    " row_number() OVER (PARTITION BY n.customer_id ORDER BY"
    " CASE WHEN o.currency = $5 THEN 0 ELSE 1 END, o.ordered_at DESC) AS place"
    " FROM names n LEFT JOIN orders o ON o.merchant_id = $1 AND o.customer_id = n.name"
    " AND o.ordered_at <= $4 AND o.cancelled_at IS NULL"
    " WINDOW one AS (PARTITION BY n.customer_id))"
    " SELECT customer_id, ordered_at, orders, CAST(coalesce(spent, 0) AS BIGINT) AS spent,"
    " all_orders - orders AS foreign_orders FROM bought WHERE place = 1 ORDER BY customer_id"
)
"""Windows rather than groups, so that the time of the last order stays a column with a type. The
cross join makes SQLite begin with the slice, and not with everybody who was merged."""


async def summarise_buyers(
    database: Database, message: SummariseBuyers
) -> tuple[BuyerSummary, ...]:
    """As the message says. Raises `StorageError`."""
    limit = max(1, min(message.limit, MAX_BUYERS))
    values = (message.merchant_id, message.after, limit, message.until, message.currency)
    return tuple(map(_summary_of, await database.fetch(SUMMARISE_BUYERS, *values)))


def _summary_of(row: Row) -> BuyerSummary:
    orders = row["orders"]
    return BuyerSummary(
        customer_id=row["customer_id"],
        orders=orders,
        last_ordered_at=row["ordered_at"] if orders else None,
        spent_minor=row["spent"],
        foreign_orders=row["foreign_orders"],
    )
