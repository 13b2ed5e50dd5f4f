"""The core domain's SQL."""

from runtime.storage import Statement

INSERT_MERCHANT = Statement(
    "core.insert_merchant",
    "INSERT INTO merchants (merchant_id, name, currency, created_at) VALUES ($1, $2, $3, $4)",
    10,
)

SELECT_MERCHANT = (
    "SELECT merchant_id, name, currency, created_at FROM merchants WHERE merchant_id = $1"
)

INSERT_CUSTOMER = Statement(
    "core.insert_customer",
    "INSERT INTO customers (merchant_id, customer_id, display_name, created_at)"
    " VALUES ($1, $2, $3, $4)",
    20,
)

ENSURE_CUSTOMER = Statement(
    "core.ensure_customer",
    "INSERT INTO customers (merchant_id, customer_id, display_name, created_at)"
    " VALUES ($1, $2, NULL, $3) ON CONFLICT DO NOTHING",
    20,
)

CUSTOMER_COLUMNS = "merchant_id, customer_id, display_name, created_at"

SELECT_CUSTOMER = (
    f"SELECT {CUSTOMER_COLUMNS} FROM customers WHERE merchant_id = $1 AND customer_id = $2"
)

LIST_CUSTOMERS = (
    f"SELECT {CUSTOMER_COLUMNS} FROM customers"
    " WHERE merchant_id = $1 AND customer_id > $2 ORDER BY customer_id LIMIT $3"
)

INSERT_ORDER = Statement(
    "core.insert_order",
    "INSERT INTO orders (merchant_id, order_id, customer_id, ordered_at, currency, total_minor,"
    " items, lines, recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    30,
)

ORDER_COLUMNS = "order_id, customer_id, ordered_at, currency, total_minor, items, lines"

SELECT_ORDER = f"SELECT {ORDER_COLUMNS} FROM orders WHERE merchant_id = $1 AND order_id = $2"

LIST_ORDERS = (
    f"SELECT {ORDER_COLUMNS} FROM orders"
    " WHERE merchant_id = $1 AND (ordered_at, order_id) < ($2, $3)"
    " ORDER BY ordered_at DESC, order_id DESC LIMIT $4"
)

LIST_CUSTOMER_ORDERS = (
    f"SELECT {ORDER_COLUMNS} FROM orders"
    " WHERE merchant_id = $1 AND customer_id = $5 AND (ordered_at, order_id) < ($2, $3)"
    " ORDER BY ordered_at DESC, order_id DESC LIMIT $4"
)

COUNT_CUSTOMERS = "SELECT count(*) FROM customers WHERE merchant_id = $1"

TOTALS_BY_CURRENCY = (
    "SELECT currency, count(*), CAST(sum(total_minor) AS BIGINT) FROM orders WHERE merchant_id = $1"
    " GROUP BY currency ORDER BY currency"
)


def select_orders(count: int) -> str:
    """The orders of one merchant among `count` ids."""
    places = ", ".join(f"${number}" for number in range(2, count + 2))
    return f"SELECT {ORDER_COLUMNS} FROM orders WHERE merchant_id = $1 AND order_id IN ({places})"
