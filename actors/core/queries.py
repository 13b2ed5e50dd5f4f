"""The core domain's SQL."""

from runtime.storage import AcrossMerchants, Statement

INSERT_MERCHANT = Statement(
    "core.insert_merchant",
    "INSERT INTO merchants (merchant_id, name, currency, created_at) VALUES ($1, $2, $3, $4)",
    10,
)

SELECT_MERCHANT = (
    "SELECT merchant_id, name, currency, created_at FROM merchants WHERE merchant_id = $1"
)

LIST_MERCHANTS = AcrossMerchants(
    "SELECT merchant_id, name, currency, created_at FROM merchants WHERE merchant_id > $1"
    " AND (lower(merchant_id) LIKE $2 ESCAPE '!' OR lower(name) LIKE $2 ESCAPE '!')"
    " ORDER BY merchant_id LIMIT $3"
)

RENAME_MERCHANT = Statement(
    "core.rename_merchant", "UPDATE merchants SET name = $2 WHERE merchant_id = $1", 11, exact=True
)

INSERT_SETTINGS = Statement(
    "core.insert_settings",
    "INSERT INTO merchant_settings (merchant_id, version, settings, changed_by, changed_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    12,
)

END_SUBSCRIPTION = Statement(
    "core.end_subscription",
    "UPDATE subscriptions SET ends_at = $2 WHERE merchant_id = $1 AND ends_at IS NULL",
    12,
)

INSERT_SUBSCRIPTION = Statement(
    "core.insert_subscription",
    "INSERT INTO subscriptions (merchant_id, starts_at, ends_at, plan) VALUES ($1, $2, NULL, $3)",
    13,
)

SELECT_PLAN = (
    "SELECT plan, starts_at FROM subscriptions WHERE merchant_id = $1"
    " AND starts_at <= $2 AND (ends_at IS NULL OR ends_at > $2)"
)

SETTINGS_COLUMNS = "version, settings, changed_by, changed_at"

SELECT_SETTINGS = (
    f"SELECT {SETTINGS_COLUMNS} FROM merchant_settings WHERE merchant_id = $1"
    " ORDER BY version DESC LIMIT 1"
)

LIST_SETTINGS = (
    f"SELECT {SETTINGS_COLUMNS} FROM merchant_settings WHERE merchant_id = $1 AND version < $2"
    " ORDER BY version DESC LIMIT $3"
)

INSERT_ORDER = Statement(
    "core.insert_order",
    "INSERT INTO orders (merchant_id, order_id, customer_id, ordered_at, currency, total_minor,"
    " items, lines, recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    30,
)

ADD_TO_REFUNDED = Statement(
    "core.add_to_refunded",
    "UPDATE orders SET refunded_minor = refunded_minor + $3"
    " WHERE merchant_id = $1 AND order_id = $2",
    31,
    exact=True,
)

CANCEL_ORDER = Statement(
    "core.cancel_order",
    "UPDATE orders SET cancelled_at = $3"
    " WHERE merchant_id = $1 AND order_id = $2 AND cancelled_at IS NULL",
    31,
    exact=True,
)

INSERT_REFUND = Statement(
    "core.insert_refund",
    "INSERT INTO refunds (merchant_id, order_id, refund_id, amount_minor, refunded_at, reason,"
    " recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    32,
)

LIST_REFUNDS = (
    "SELECT order_id, refund_id, amount_minor, refunded_at, reason FROM refunds"
    " WHERE merchant_id = $1 AND order_id = $2 ORDER BY refunded_at, refund_id LIMIT $3"
)

SELECT_REFUND = (
    "SELECT order_id, refund_id, amount_minor, refunded_at, reason FROM refunds"
    " WHERE merchant_id = $1 AND order_id = $2 AND refund_id = $3"
)

ORDER_COLUMNS = (
    "order_id, customer_id, ordered_at, currency, total_minor, items, lines, refunded_minor,"
    " cancelled_at"
)

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

COUNT_ORDERS_SINCE = "SELECT count(*) FROM orders WHERE merchant_id = $1 AND recorded_at >= $2"

TOTALS_BY_CURRENCY = (
    "SELECT currency, count(*), CAST(sum(total_minor) AS BIGINT) FROM orders WHERE merchant_id = $1"
    " GROUP BY currency ORDER BY currency"
)


INSERT_RECONCILIATION = Statement(
    "core.insert_reconciliation",
    "INSERT INTO reconciliations (merchant_id, ran_at, since, until, orders, missing, missing_ids)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)",
    33,
)

RECONCILIATION_COLUMNS = "merchant_id, ran_at, since, until, orders, missing, missing_ids"

LIST_RECONCILIATIONS = (
    f"SELECT {RECONCILIATION_COLUMNS} FROM reconciliations WHERE merchant_id = $1 AND ran_at < $2"
    " ORDER BY ran_at DESC LIMIT $3"
)

LAST_UNTIL = "SELECT until FROM reconciliations WHERE merchant_id = $1 ORDER BY ran_at DESC LIMIT 1"

SELECT_MERCHANTS = AcrossMerchants(
    "SELECT merchant_id FROM merchants WHERE merchant_id > $1 ORDER BY merchant_id LIMIT $2"
)

SELECT_RECORDED = (
    f"SELECT {ORDER_COLUMNS}, recorded_at, COALESCE((SELECT merged_into FROM customers"
    " WHERE customers.merchant_id = orders.merchant_id"
    " AND customers.customer_id = orders.customer_id), customer_id) AS earner FROM orders"
    " WHERE merchant_id = $1 AND (recorded_at, order_id) > ($2, $3) AND recorded_at < $4"
    " AND cancelled_at IS NULL ORDER BY recorded_at, order_id LIMIT $5"
)


def select_orders(count: int) -> str:
    """The orders of one merchant among `count` ids."""
    places = ", ".join(f"${number}" for number in range(2, count + 2))
    return f"SELECT {ORDER_COLUMNS} FROM orders WHERE merchant_id = $1 AND order_id IN ({places})"
