"""Summaries of what customers have bought, for those who look at all customers in turn."""

from itertools import groupby
from operator import itemgetter

from actors.core.messages import MAX_BUYERS, BuyerSummary, SummariseBuyers
from runtime.storage import Database, Row

SUMMARISE_BUYERS = (
    "WITH slice AS (SELECT customer_id FROM customers WHERE merchant_id = $1 AND customer_id > $2"
    " AND merged_into IS NULL AND erased_at IS NULL ORDER BY customer_id LIMIT $3),"
    " names AS (SELECT customer_id, customer_id AS name FROM slice UNION ALL"
    " SELECT slice.customer_id, c.customer_id FROM slice CROSS JOIN customers c"
    " WHERE c.merchant_id = $1 AND c.merged_into = slice.customer_id)"
    " SELECT n.customer_id, (SELECT o.ordered_at FROM orders o"
    " WHERE o.merchant_id = $1 AND o.customer_id = n.name AND o.ordered_at <= $4"
    " AND o.currency = $5 AND o.cancelled_at IS NULL"
    " ORDER BY o.ordered_at DESC LIMIT 1) AS ordered_at,"
    " count(CASE WHEN o.currency = $5 THEN 1 END) AS orders,"
    " CAST(coalesce(sum(CASE WHEN o.currency = $5 THEN o.total_minor - o.refunded_minor END), 0)"
    " AS BIGINT) AS spent, count(o.currency) AS all_orders"
    " FROM names n LEFT JOIN orders o ON o.merchant_id = $1 AND o.customer_id = n.name"
    " AND o.ordered_at <= $4 AND o.cancelled_at IS NULL"
    " GROUP BY n.customer_id, n.name ORDER BY n.customer_id"
)
"""A row for each name that a customer has or had. The time of the last order is a subquery, so
that it stays a column with a type. The cross join makes SQLite begin with the slice, and not with
everybody who was merged."""


async def summarise_buyers(
    database: Database, message: SummariseBuyers
) -> tuple[BuyerSummary, ...]:
    """As the message says. Raises `StorageError`."""
    limit = max(1, min(message.limit, MAX_BUYERS))
    values = (message.merchant_id, message.after, limit, message.until, message.currency)
    rows = await database.fetch(SUMMARISE_BUYERS, *values)
    return tuple(
        _summary_of(customer_id, list(names))
        for customer_id, names in groupby(rows, itemgetter("customer_id"))
    )


def _summary_of(customer_id: str, names: list[Row]) -> BuyerSummary:
    orders = sum(name["orders"] for name in names)
    times = [name["ordered_at"] for name in names if name["ordered_at"] is not None]
    return BuyerSummary(
        customer_id=customer_id,
        orders=orders,
        last_ordered_at=max(times, default=None),
        spent_minor=sum(name["spent"] for name in names),
        foreign_orders=sum(name["all_orders"] for name in names) - orders,
    )
