"""The second wall: what PostgreSQL refuses the application's role, whatever its queries say."""

from datetime import UTC, datetime

import pytest

from runtime import host
from runtime.storage import AcrossMerchants, Statement, StorageError, Write, migrate
from runtime.storage.port import APPLICATION_ROLE
from runtime.storage.postgres import PostgresDatabase
from supervisors.application import MIGRATIONS

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

NOW = datetime(2026, 1, 1, tzinfo=UTC)

INSERT_MERCHANT = Statement(
    "test.merchant",
    "INSERT INTO merchants (merchant_id, name, currency, created_at) VALUES ($1, $2, 'EUR', $3)",
    1,
)
INSERT_FOR_ANOTHER = Statement(
    "test.foreign",
    "INSERT INTO merchants (name, merchant_id, currency, created_at) VALUES ($1, $2, 'EUR', $3)",
    1,
)
LEDGER = ("points_transactions", "points_postings", "points_lot_movements")
APPEND_ONLY = (
    *LEDGER,
    "audit_entries",
    "admin_flag_history",
    "points_transfers",
    "points_transfer_parts",
    "gamification_definitions",
    "referral_steps",
    "campaign_changes",
    "campaign_members",
    "campaign_versions",
)

TABLES_OF_MERCHANTS = (
    "SELECT c.relname AS name, c.relrowsecurity AS secured, c.relkind = 'p' AS partitioned,"
    " has_table_privilege($1, c.oid, 'SELECT') AS readable,"
    " has_table_privilege($1, c.oid, 'UPDATE') AS changeable,"
    " has_table_privilege($1, c.oid, 'DELETE') AS deletable,"
    " has_table_privilege($1, c.oid, 'TRUNCATE') AS truncatable"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'merchant_id'"
    " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
)


async def two_merchants(app: PostgresDatabase) -> None:
    rows = [Write(INSERT_MERCHANT, (name, name, NOW)) for name in ("flora", "rival")]
    await app.append([(row,) for row in rows])


async def test_a_query_sees_the_merchant_it_names_and_no_other(app: PostgresDatabase) -> None:
    await two_merchants(app)
    careless = "SELECT merchant_id FROM merchants WHERE name <> $1 OR name = $1"
    assert [row[0] for row in await app.fetch(careless, "flora")] == ["flora"]
    assert [row[0] for row in await app.fetch(careless, "rival")] == ["rival"]
    assert [row[0] for row in await app.fetch("SELECT merchant_id FROM merchants")] == []


async def test_a_query_across_merchants_has_to_say_so(app: PostgresDatabase) -> None:
    await two_merchants(app)
    everybody = AcrossMerchants("SELECT merchant_id FROM merchants ORDER BY 1")
    assert [row[0] for row in await app.fetch(everybody)] == ["flora", "rival"]
    assert await app.fetch(str(everybody)) == []


async def test_no_change_reaches_the_rows_of_another_merchant(app: PostgresDatabase) -> None:
    await two_merchants(app)
    await app.execute("UPDATE merchants SET name = $1 || '!'", "flora")
    await app.execute("DELETE FROM merchants WHERE name <> $1", "flora")
    everybody = AcrossMerchants("SELECT name FROM merchants ORDER BY 1")
    assert [row[0] for row in await app.fetch(everybody)] == ["rival"]


async def test_a_row_for_another_merchant_than_its_first_value_is_refused(
    app: PostgresDatabase,
) -> None:
    with pytest.raises(StorageError, match="row-level security"):
        await app.append([(Write(INSERT_FOR_ANOTHER, ("flora", "rival", NOW)),)])


async def test_ids_with_the_look_of_a_list_open_nothing(app: PostgresDatabase) -> None:
    await two_merchants(app)
    query = "SELECT merchant_id FROM merchants WHERE $1 <> ''"
    for name in ("*", "flora,rival", "{flora}", "'"):
        seen = [row[0] for row in await app.fetch(query, name)]
        assert seen == [], name


async def test_the_applications_role_owns_nothing_and_bypasses_nothing(
    app: PostgresDatabase,
) -> None:
    row = await app.fetch_row(
        "SELECT current_user, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles"
        " WHERE rolname = current_user"
    )
    assert row is not None
    assert tuple(row) == (APPLICATION_ROLE, False, False, False)
    owned = "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = $1"
    assert await app.fetch_value(owned, APPLICATION_ROLE) == 0
    for attempt in (
        "ALTER TABLE merchants DISABLE ROW LEVEL SECURITY",
        "DROP POLICY of_merchant ON merchants",
        "CREATE TABLE mine (x BIGINT)",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(StorageError):
            await app.execute(attempt)


async def test_the_application_cannot_change_the_ledger(app: PostgresDatabase) -> None:
    for table in APPEND_ONLY:
        for change in (
            f"UPDATE {table} SET merchant_id = merchant_id",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(StorageError, match="permission denied"):
                await app.execute(change)
    with pytest.raises(StorageError, match="permission denied"):
        await app.fetch("SELECT * FROM points_transactions_p0")


async def test_every_table_of_merchants_is_behind_the_wall(owner: PostgresDatabase) -> None:
    rows = await owner.fetch(TABLES_OF_MERCHANTS, APPLICATION_ROLE)
    assert len(rows) >= 14
    for row in rows:
        append_only = row["name"] in APPEND_ONLY
        assert row["secured"], row["name"]
        assert row["readable"], row["name"]
        assert row["changeable"] is not append_only, row["name"]
        assert row["deletable"] is not append_only, row["name"]
        assert not row["truncatable"], row["name"]
    partitioned = {row["name"] for row in rows if row["partitioned"]}
    assert {*LEDGER, "points_lots", "orders", "idempotency_keys"} <= partitioned


async def test_rows_of_one_merchant_lie_in_one_partition(owner: PostgresDatabase) -> None:
    insert = "INSERT INTO idempotency_keys VALUES ($1, $2, 'f', '{}', now())"
    for merchant in range(12):
        for key in range(3):
            await owner.execute(insert, f"merchant-{merchant}", f"key-{key}")
    homes = await owner.fetch(
        "SELECT merchant_id, count(DISTINCT tableoid) FROM idempotency_keys GROUP BY 1"
    )
    assert {row[1] for row in homes} == {1}
    used = await owner.fetch_value("SELECT count(DISTINCT tableoid) FROM idempotency_keys")
    assert used > 1


async def test_a_process_without_rights_to_the_schema_can_serve_it_when_it_is_current(
    owner: PostgresDatabase, url: str
) -> None:
    await owner.execute("CREATE ROLE plain_login LOGIN IN ROLE loyalnest_app")
    try:
        plain = PostgresDatabase(url.replace("postgres@", "plain_login@"), 4)
        assert await migrate(plain, MIGRATIONS, NOW) == []
        await two_merchants(plain)
        assert len(await plain.fetch("SELECT name FROM merchants WHERE name = $1", "flora")) == 1
        await plain.close()
    finally:
        await owner.execute("DROP ROLE plain_login")
