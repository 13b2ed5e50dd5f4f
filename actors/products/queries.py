"""The products domain's SQL."""

from runtime.storage import Statement

UPSERT_PRODUCT = Statement(
    "products.upsert",
    "INSERT INTO products (merchant_id, sku, name, kind, price_minor, currency, updated_at,"
    " source_version, earns_points, search_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT (merchant_id, sku) DO UPDATE SET"
    " name = excluded.name, kind = excluded.kind, price_minor = excluded.price_minor,"
    " currency = excluded.currency, updated_at = excluded.updated_at,"
    " source_version = excluded.source_version, earns_points = excluded.earns_points,"
    " search_name = excluded.search_name"
    " WHERE excluded.source_version >= products.source_version",
    20,
)

DELETE_LATER_PRICES = Statement(
    "products.delete_later_prices",
    "DELETE FROM product_prices"
    " WHERE merchant_id = $1 AND sku = $2 AND effective_from >= $3 AND NOT planned",
    21,
)
"""Those that were in force at once, by a clock that has been set back since."""

UPSERT_PRICE = Statement(
    "products.upsert_price",
    "INSERT INTO product_prices (merchant_id, sku, effective_from, price_minor, currency, planned,"
    " recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (merchant_id, sku, effective_from) DO UPDATE SET"
    " price_minor = excluded.price_minor, currency = excluded.currency,"
    " planned = excluded.planned, recorded_at = excluded.recorded_at",
    22,
)

UPSERT_PLAN = Statement(
    "products.upsert_plan",
    "INSERT INTO plans (merchant_id, plan_id, sku, name, interval_unit, interval_count, trial_days,"
    " pause_days_max, source_version, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT (merchant_id, plan_id) DO UPDATE SET"
    " sku = excluded.sku, name = excluded.name, interval_unit = excluded.interval_unit,"
    " interval_count = excluded.interval_count, trial_days = excluded.trial_days,"
    " pause_days_max = excluded.pause_days_max, source_version = excluded.source_version,"
    " updated_at = excluded.updated_at WHERE excluded.source_version >= plans.source_version",
    23,
)

PRODUCT_COLUMNS = "sku, name, kind, price_minor, currency, earns_points, source_version"

SELECT_PRODUCTS = f"SELECT {PRODUCT_COLUMNS} FROM products WHERE merchant_id = $1 AND sku IN (%s)"

LIST_PRODUCTS = (
    f"SELECT {PRODUCT_COLUMNS} FROM products"
    " WHERE merchant_id = $1 AND sku > $2 ORDER BY sku LIMIT $3"
)

SEARCH_PRODUCTS = (
    f"SELECT {PRODUCT_COLUMNS} FROM products WHERE merchant_id = $1 AND sku > $2"
    " AND (search_name LIKE $4 ESCAPE '!' OR lower(sku) LIKE $5 ESCAPE '!')"
    " AND kind IN ($6, $7) ORDER BY sku LIMIT $3"
)

PRICES_IN_FORCE = (
    "SELECT sku, effective_from, price_minor, currency FROM (SELECT sku, effective_from,"
    " price_minor, currency, ROW_NUMBER() OVER (PARTITION BY sku ORDER BY effective_from DESC)"
    " AS place FROM product_prices WHERE merchant_id = $1"
    " AND (NOT planned OR effective_from <= $2) AND sku IN (%s)) AS numbered WHERE place = 1"
)

NEXT_PRICES = (
    "SELECT sku, effective_from, price_minor, currency FROM (SELECT sku, effective_from,"
    " price_minor, currency, ROW_NUMBER() OVER (PARTITION BY sku ORDER BY effective_from)"
    " AS place FROM product_prices WHERE merchant_id = $1"
    " AND planned AND effective_from > $2 AND sku IN (%s)) AS numbered WHERE place = 1"
)

LIST_PRICES = (
    "SELECT effective_from, price_minor, currency FROM product_prices"
    " WHERE merchant_id = $1 AND sku = $2 AND effective_from < $3"
    " ORDER BY effective_from DESC LIMIT $4"
)

SELECT_EXCLUSIONS = (
    "SELECT sku FROM products WHERE merchant_id = $1 AND NOT earns_points AND sku IN (%s)"
)

PLAN_COLUMNS = (
    "plan_id, sku, name, interval_unit, interval_count, trial_days, pause_days_max, source_version"
)

SELECT_PLANS = f"SELECT {PLAN_COLUMNS} FROM plans WHERE merchant_id = $1 AND plan_id IN (%s)"

LIST_PLANS = (
    f"SELECT {PLAN_COLUMNS} FROM plans"
    " WHERE merchant_id = $1 AND plan_id > $2 ORDER BY plan_id LIMIT $3"
)


def with_values(sql: str, count: int, first: int) -> str:
    """The SQL with `count` parameters put in, numbered from `first`."""
    return sql % ", ".join([f"${number}" for number in range(first, first + count)])
