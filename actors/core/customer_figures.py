"""Customers in numbers, for those who choose some of them."""

from actors.core.customer_queries import with_values
from actors.core.messages import MAX_FIGURES, CustomerFigures, FindCustomers, ListFigures
from runtime.storage import Database

LIST_FIGURES = (
    "SELECT c.customer_id, c.created_at,"
    " (SELECT count(*) FROM orders o WHERE o.merchant_id = $1 AND o.customer_id = c.customer_id"
    " AND o.cancelled_at IS NULL AND o.currency = c.currency) AS orders,"
    " (SELECT CAST(coalesce(sum(o.total_minor - o.refunded_minor), 0) AS BIGINT) FROM orders o"
    " WHERE o.merchant_id = $1 AND o.customer_id = c.customer_id"
    " AND o.cancelled_at IS NULL AND o.currency = c.currency) AS spend_minor,"
    " (SELECT o.ordered_at FROM orders o WHERE o.merchant_id = $1"
    " AND o.customer_id = c.customer_id AND o.cancelled_at IS NULL AND o.currency = c.currency"
    " ORDER BY o.ordered_at DESC LIMIT 1) AS last_ordered_at"
    " FROM (SELECT customer_id, created_at, (SELECT currency FROM merchants"
    " WHERE merchant_id = $1) AS currency FROM customers WHERE merchant_id = $1"
    " AND merged_into IS NULL AND erased_at IS NULL AND customer_id > $2"
    " ORDER BY customer_id LIMIT $3) c ORDER BY c.customer_id"
)
"""One look-up by index for each figure of each customer of the page, whatever the total."""

FIND_CUSTOMERS = (
    "SELECT customer_id FROM customers WHERE merchant_id = $1 AND merged_into IS NULL"
    " AND erased_at IS NULL AND customer_id IN (%s) ORDER BY customer_id"
)


async def list_figures(database: Database, question: ListFigures) -> tuple[CustomerFigures, ...]:
    limit = max(1, min(question.limit, MAX_FIGURES))
    rows = await database.fetch(LIST_FIGURES, question.merchant_id, question.after, limit)
    return tuple(CustomerFigures(*row) for row in rows)


async def find_customers(database: Database, question: FindCustomers) -> tuple[str, ...]:
    wanted = sorted(set(question.customer_ids))[:MAX_FIGURES]
    if not wanted:
        return ()
    sql = with_values(FIND_CUSTOMERS, len(wanted), 2)
    rows = await database.fetch(sql, question.merchant_id, *wanted)
    return tuple(row["customer_id"] for row in rows)
