"""The SQL of customers and of what belongs to them."""

from runtime.storage import AcrossMerchants, Statement

CUSTOMER_COLUMNS = "merchant_id, customer_id, display_name, created_at, merged_into, erased_at"

INSERT_CUSTOMER = Statement(
    "core.insert_customer",
    "INSERT INTO customers (merchant_id, customer_id, display_name, search_name, created_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    20,
)

ENSURE_CUSTOMER = Statement(
    "core.ensure_customer",
    "INSERT INTO customers (merchant_id, customer_id, display_name, created_at)"
    " VALUES ($1, $2, NULL, $3) ON CONFLICT DO NOTHING",
    20,
)

RENAME_CUSTOMER = Statement(
    "core.rename_customer",
    "UPDATE customers SET display_name = $3, search_name = $4"
    " WHERE merchant_id = $1 AND customer_id = $2",
    21,
    exact=True,
)

MERGE_CUSTOMER = Statement(
    "core.merge_customer",
    "UPDATE customers SET merged_into = $3 WHERE merchant_id = $1 AND customer_id = $2",
    21,
    exact=True,
)

MERGE_ON = Statement(
    "core.merge_on",
    "UPDATE customers SET merged_into = $3 WHERE merchant_id = $1 AND merged_into = $2",
    21,
)

ERASE_CUSTOMER = Statement(
    "core.erase_customer",
    "UPDATE customers SET display_name = NULL, search_name = NULL, erased_at = $3"
    " WHERE merchant_id = $1 AND customer_id = $2",
    21,
    exact=True,
)

DELETE_CONTACT = Statement(
    "core.delete_contact",
    "DELETE FROM customer_contacts WHERE merchant_id = $1 AND customer_id = $2 AND kind = $3",
    22,
)

DELETE_CONTACTS = Statement(
    "core.delete_contacts",
    "DELETE FROM customer_contacts WHERE merchant_id = $1 AND customer_id = $2",
    22,
)

PUT_CONTACT = Statement(
    "core.put_contact",
    "INSERT INTO customer_contacts (merchant_id, customer_id, kind, sealed, key_version,"
    " blind_index) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (merchant_id, customer_id, kind) DO UPDATE SET sealed = excluded.sealed,"
    " key_version = excluded.key_version, blind_index = excluded.blind_index",
    23,
)

RESEAL_CONTACT = Statement(
    "core.reseal_contact",
    "UPDATE customer_contacts SET sealed = $4, key_version = $5"
    " WHERE merchant_id = $1 AND customer_id = $2 AND kind = $3 AND blind_index = $6",
    24,
)

DELETE_EXTERNAL_ID = Statement(
    "core.delete_external_id",
    "DELETE FROM customer_external_ids WHERE merchant_id = $1 AND source = $2 AND external_id = $3",
    22,
)

DELETE_EXTERNAL_IDS = Statement(
    "core.delete_external_ids",
    "DELETE FROM customer_external_ids WHERE merchant_id = $1 AND customer_id = $2",
    22,
)

INSERT_EXTERNAL_ID = Statement(
    "core.insert_external_id",
    "INSERT INTO customer_external_ids (merchant_id, source, external_id, customer_id)"
    " VALUES ($1, $2, $3, $4)",
    23,
)

MOVE_EXTERNAL_IDS = Statement(
    "core.move_external_ids",
    "UPDATE customer_external_ids SET customer_id = $3 WHERE merchant_id = $1 AND customer_id = $2",
    24,
)

INSERT_CONSENT = Statement(
    "core.insert_consent",
    "INSERT INTO customer_consents (merchant_id, customer_id, channel, changed_at, granted, origin)"
    " VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (merchant_id, customer_id, channel, changed_at)"
    " DO UPDATE SET granted = excluded.granted, origin = excluded.origin",
    23,
)

DELETE_CONSENTS = Statement(
    "core.delete_consents",
    "DELETE FROM customer_consents WHERE merchant_id = $1 AND customer_id = $2",
    22,
)

FORGET_REASON = Statement(
    "core.forget_refund_reason",
    "UPDATE refunds SET reason = NULL WHERE merchant_id = $1 AND order_id = $2 AND refund_id = $3",
    24,
)

SELECT_REASONS = (
    "SELECT refunds.order_id, refunds.refund_id FROM orders CROSS JOIN refunds"
    " WHERE orders.merchant_id = $1 AND orders.customer_id IN (%s)"
    " AND refunds.merchant_id = orders.merchant_id AND refunds.order_id = orders.order_id"
    " AND refunds.reason IS NOT NULL"
)

LIST_CUSTOMERS = (
    "SELECT customer_id FROM customers WHERE merchant_id = $1 AND customer_id > $2"
    " AND merged_into IS NULL ORDER BY customer_id LIMIT $3"
)

SEARCH_BY_NAME = (
    "SELECT customer_id FROM customers WHERE merchant_id = $1 AND customer_id > $2"
    " AND merged_into IS NULL AND search_name LIKE $4 ESCAPE '!' ORDER BY customer_id LIMIT $3"
)

SEARCH_BY_CONTACT = (
    "SELECT customer_id FROM customer_contacts"
    " WHERE merchant_id = $1 AND kind = $2 AND blind_index = $3"
)

SEARCH_BY_EXTERNAL_ID = (
    "SELECT customer_id FROM customer_external_ids"
    " WHERE merchant_id = $1 AND source = $2 AND external_id = $3"
)

SELECT_ALL_CONSENTS = (
    "SELECT channel, granted, origin, changed_at FROM customer_consents"
    " WHERE merchant_id = $1 AND customer_id = $2 ORDER BY changed_at, channel LIMIT $3"
)

SELECT_MERGED_INTO = (
    "SELECT customer_id FROM customers WHERE merchant_id = $1 AND merged_into = $2"
    " ORDER BY merged_into || customer_id LIMIT 1000"
)

ANY_MERGED = "SELECT 1 FROM customers WHERE merchant_id = $1 AND merged_into IS NOT NULL LIMIT 1"

CUSTOMER_EXISTS = "SELECT 1 FROM customers WHERE merchant_id = $1 AND customer_id = $2"

COUNT_CUSTOMERS = "SELECT count(*) FROM customers WHERE merchant_id = $1"

SELECT_OLD_CONTACTS = AcrossMerchants(
    "SELECT merchant_id, customer_id, kind, sealed, key_version, blind_index"
    " FROM customer_contacts WHERE key_version < $1 ORDER BY key_version LIMIT $2"
)

SELECT_CUSTOMERS = (
    f"SELECT {CUSTOMER_COLUMNS} FROM customers WHERE merchant_id = $1 AND customer_id IN (%s)"
)

SELECT_CONTACTS = (
    "SELECT customer_id, kind, sealed, key_version, blind_index FROM customer_contacts"
    " WHERE merchant_id = $1 AND customer_id IN (%s)"
)

SELECT_EXTERNAL_IDS = (
    "SELECT customer_id, source, external_id FROM customer_external_ids"
    " WHERE merchant_id = $1 AND customer_id IN (%s)"
)

SELECT_CONSENTS = (
    "SELECT customer_id, channel, granted, origin, changed_at FROM (SELECT customer_id, channel,"
    " granted, origin, changed_at, ROW_NUMBER() OVER (PARTITION BY customer_id, channel"
    " ORDER BY changed_at DESC) AS place FROM customer_consents WHERE merchant_id = $1"
    " AND customer_id IN (%s)) AS numbered WHERE place = 1"
)
"""The latest of each channel."""

OF_CUSTOMERS = (SELECT_CUSTOMERS, SELECT_CONTACTS, SELECT_EXTERNAL_IDS, SELECT_CONSENTS)
"""All that belongs to customers, whose ids are put in. Without an order: SQLite would take the
index that has it, and read all that the merchant has."""

CONTACT_OWNERS = (
    "SELECT kind, blind_index, customer_id FROM customer_contacts"
    " WHERE merchant_id = $1 AND kind = $2 AND blind_index IN (%s)"
)

EXTERNAL_OWNERS = (
    "SELECT source, external_id, customer_id FROM customer_external_ids"
    " WHERE merchant_id = $1 AND source = $2 AND external_id IN (%s)"
)

EXISTING_CUSTOMERS = (
    "SELECT customer_id FROM customers WHERE merchant_id = $1 AND customer_id IN (%s)"
)

MERGED_AMONG = (
    "SELECT customer_id, merged_into FROM customers"
    " WHERE merchant_id = $1 AND merged_into IS NOT NULL AND customer_id IN (%s)"
)


def with_values(sql: str, count: int, first: int) -> str:
    """The SQL with `count` parameters put in, numbered from `first`."""
    return sql % ", ".join([f"${number}" for number in range(first, first + count)])
