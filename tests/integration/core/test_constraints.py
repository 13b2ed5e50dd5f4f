"""Invariants that the tables hold by themselves, whatever SQL the application's role sends."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime import host
from runtime.storage import ConstraintViolation, Database, migrate, open_database
from supervisors.application import MIGRATIONS
from tests.servers import PostgresServer
from tests.stores import unhurried

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
INDEX = "0" * 32

CONTACT = (
    "INSERT INTO customer_contacts (merchant_id, customer_id, kind, sealed, key_version,"
    " blind_index) VALUES ($1, $2, $3, 'x', 1, $4)"
)
EXTERNAL_ID = (
    "INSERT INTO customer_external_ids (merchant_id, source, external_id, customer_id)"
    " VALUES ($1, 'shop', '1', $2)"
)
SUBSCRIPTION = (
    "INSERT INTO subscriptions (merchant_id, starts_at, ends_at, plan) VALUES ($1, $2, $3, $4)"
)
REFUND = (
    "INSERT INTO refunds (merchant_id, order_id, refund_id, amount_minor, refunded_at, recorded_at)"
    " VALUES ($1, $2, $3, $4, $5, $5)"
)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Two merchants, a customer of each, and an order of the first."""
    url = f"sqlite:///{tmp_path}/x.db"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.migrated_database()
    database = await open_database(url)
    await migrate(database, MIGRATIONS, NOW)
    with unhurried():
        for merchant in ("flora", "rival"):
            await database.execute(
                "INSERT INTO merchants (merchant_id, name, currency, created_at)"
                " VALUES ($1, 'x', 'EUR', $2)",
                merchant,
                NOW,
            )
            await database.execute(
                "INSERT INTO customers (merchant_id, customer_id, created_at) VALUES ($1, $2, $3)",
                merchant,
                f"of-{merchant}",
                NOW,
            )
        await database.execute(
            "INSERT INTO orders (merchant_id, order_id, customer_id, ordered_at, currency,"
            " total_minor, items, lines, recorded_at)"
            " VALUES ($1, 'o-1', 'of-flora', $2, 'EUR', 100, 1, $3, $2)",
            "flora",
            NOW,
            [],
        )
        yield database
    await database.close()


async def refused(database: Database, sql: str, *values: object) -> None:
    with pytest.raises(ConstraintViolation):
        await database.execute(sql, *values)


async def test_an_address_belongs_to_one_customer_of_a_merchant(store: Database) -> None:
    await store.execute(CONTACT, "flora", "of-flora", "email", INDEX)
    await store.execute(CONTACT, "rival", "of-rival", "email", INDEX)
    add = "INSERT INTO customers (merchant_id, customer_id, created_at) VALUES ($1, 'second', $2)"
    await store.execute(add, "flora", NOW)
    await refused(store, CONTACT, "flora", "second", "email", INDEX)
    await store.execute(CONTACT, "flora", "second", "phone", INDEX)
    await refused(store, CONTACT, "flora", "second", "fax", "1" * 32)


async def test_nothing_refers_to_another_merchants_rows(store: Database) -> None:
    await refused(store, CONTACT, "flora", "of-rival", "email", INDEX)
    await refused(store, EXTERNAL_ID, "flora", "of-rival")
    await refused(store, REFUND, "rival", "o-1", "r-1", 10, NOW)
    merge = "UPDATE customers SET merged_into = $2 WHERE merchant_id = $1"
    await refused(store, merge, "flora", "of-rival")
    await refused(store, merge, "flora", "of-flora")
    consent = (
        "INSERT INTO customer_consents (merchant_id, customer_id, channel, changed_at, granted,"
        " origin) VALUES ($1, 'of-rival', 'email', $2, TRUE, 'x')"
    )
    await refused(store, consent, "flora", NOW)


async def test_subscriptions_do_not_overlap(store: Database) -> None:
    await store.execute(SUBSCRIPTION, "flora", NOW, LATER, "starter")
    await refused(store, SUBSCRIPTION, "flora", NOW + timedelta(days=1), None, "growth")
    await refused(store, SUBSCRIPTION, "flora", NOW - timedelta(days=9), None, "growth")
    await refused(store, SUBSCRIPTION, "flora", LATER, LATER, "growth")
    await store.execute(SUBSCRIPTION, "flora", LATER, None, "growth")
    await store.execute(SUBSCRIPTION, "rival", NOW, None, "growth")
    stretch = "UPDATE subscriptions SET ends_at = $2 WHERE merchant_id = $1 AND plan = 'starter'"
    await refused(store, stretch, "flora", LATER + timedelta(days=1))


async def test_there_are_no_other_plans(store: Database) -> None:
    await refused(store, SUBSCRIPTION, "flora", NOW, None, "platinum")


async def test_no_more_is_refunded_than_was_paid(store: Database) -> None:
    raise_it = "UPDATE orders SET refunded_minor = $2 WHERE merchant_id = $1"
    await store.execute(raise_it, "flora", 100)
    await refused(store, raise_it, "flora", 101)
    await refused(store, raise_it, "flora", -1)
    await store.execute(REFUND, "flora", "o-1", "r-1", 10, NOW)
    await refused(store, REFUND, "flora", "o-1", "r-1", 10, NOW)
    await refused(store, REFUND, "flora", "o-1", "r-2", 0, NOW)


async def test_an_erased_customer_has_no_name(store: Database) -> None:
    name = "UPDATE customers SET display_name = 'Ada' WHERE merchant_id = $1"
    await store.execute(name, "flora")
    erase = "UPDATE customers SET erased_at = $2 WHERE merchant_id = $1"
    await refused(store, erase, "flora", NOW)


async def test_an_import_counts_its_rows_right(store: Database) -> None:
    insert = (
        "INSERT INTO imports (merchant_id, import_id, kind, state, dry_run, currency, created_by,"
        " created_at, parts, size_bytes) VALUES ($1, 'i-1', $2, 'uploading', FALSE, 'EUR', 'x',"
        " $3, 0, 0)"
    )
    await refused(store, insert, "flora", "invoices", NOW)
    await store.execute(insert, "flora", "orders", NOW)
    await refused(store, "UPDATE imports SET rows_read = 1 WHERE merchant_id = $1", "flora")
    await refused(store, "UPDATE imports SET state = 'done' WHERE merchant_id = $1", "flora")
