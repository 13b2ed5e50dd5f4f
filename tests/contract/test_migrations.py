"""Migrations: applied once, in order, and never behind anybody's back."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.core.cipher import Vault, generated_keys
from actors.core.customer_queries import SEARCH_BY_CONTACT
from runtime import host
from runtime.storage import (
    ConstraintViolation,
    Database,
    Dialect,
    MigrationError,
    Migrations,
    StorageError,
    migrate,
    schema,
)
from runtime.storage.schema import Migration, read_migrations
from supervisors.application import MIGRATIONS

pytestmark = pytest.mark.trio(run=host.run)

NOW = datetime(2026, 1, 1, tzinfo=UTC)

Package = Callable[[dict[str, str]], Migrations]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Makes a package of migration files; called again, it replaces the files."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "sample_migrations"

    def make(files: dict[str, str]) -> Migrations:
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.sql"):
            old.unlink()
        (folder / "__init__.py").touch()
        for name, sql in files.items():
            (folder / name).write_text(sql)
        return Migrations("sample", "sample_migrations")

    yield make
    sys.modules.pop("sample_migrations", None)


FIRST = {"0001_first.sql": "CREATE TABLE a (x BIGINT);\nCREATE TABLE b (x BIGINT);\n"}


async def test_files_are_applied_in_order_and_later_ones_later(
    database: Database, package: Package
) -> None:
    assert await migrate(database, [package(FIRST)], NOW) == ["sample/0001_first"]
    more = FIRST | {"0002_more.sql": "ALTER TABLE a ADD COLUMN y BIGINT;"}
    assert await migrate(database, [package(more)], NOW) == ["sample/0002_more"]
    await database.execute("INSERT INTO a (x, y) VALUES (1, 2)")


async def test_a_changed_file_is_refused(database: Database, package: Package) -> None:
    await migrate(database, [package(FIRST)], NOW)
    with pytest.raises(MigrationError, match="was changed after it had been applied"):
        await migrate(database, [package({"0001_first.sql": "CREATE TABLE c (x BIGINT);"})], NOW)


async def test_a_database_of_a_newer_version_is_refused(
    database: Database, package: Package
) -> None:
    await migrate(database, [package(FIRST)], NOW)
    with pytest.raises(MigrationError, match="newer version"):
        await migrate(database, [package({})], NOW)


async def test_a_gap_in_the_numbers_is_refused(database: Database, package: Package) -> None:
    with pytest.raises(MigrationError, match="without gaps"):
        await migrate(database, [package({"0002_second.sql": "SELECT 1;"})], NOW)


async def test_a_file_that_fails_leaves_nothing_behind(
    database: Database, package: Package
) -> None:
    bad = {"0001_bad.sql": "CREATE TABLE a (x);\nNONSENSE;\n"}
    with pytest.raises(StorageError):
        await migrate(database, [package(bad)], NOW)
    assert await migrate(database, [package(FIRST)], NOW) == ["sample/0001_first"]


async def test_files_for_another_dialect_are_left_out(database: Database, package: Package) -> None:
    other = next(dialect for dialect in Dialect if dialect is not database.dialect)
    files = {
        f"0001_both.{database.dialect.value}.sql": "CREATE TABLE a (x BIGINT);",
        f"0001_both.{other.value}.sql": "SELECT nothing_of_this_dialect();",
    }
    assert await migrate(database, [package(files)], NOW) == ["sample/0001_both"]


async def test_the_applications_own_migrations_apply_to_an_empty_store(database: Database) -> None:
    applied = await migrate(database, MIGRATIONS, NOW)
    assert {name.partition("/")[0] for name in applied} == {
        "admin_core",
        "admin_features",
        "auth",
        "campaign",
        "campaign_deliveries",
        "core",
        "event_tracking",
        "gamification",
        "jobs",
        "points",
        "products",
        "referrals",
        "rfm_analytics",
    }
    assert await migrate(database, MIGRATIONS, NOW) == []


async def test_ledger_entries_can_be_neither_changed_nor_deleted(database: Database) -> None:
    await migrate(database, MIGRATIONS, NOW)
    await database.execute(
        "INSERT INTO points_postings (merchant_id, transaction_id, account, points)"
        " VALUES ('m', 't', 'member', 1)"
    )
    for change in ("UPDATE points_postings SET points = 2", "DELETE FROM points_postings"):
        with pytest.raises(StorageError, match="never change"):
            await database.execute(change)


async def test_addresses_are_found_by_the_shorter_indexes_of_those_that_were_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(component: Migrations, dialect: Dialect) -> dict[int, Migration]:
        files = read_migrations(component, dialect)
        return {n: file for n, file in files.items() if component.component != "core" or n < 9}

    with monkeypatch.context() as patch:
        patch.setattr(schema, "read_migrations", before)
        await migrate(database, MIGRATIONS, NOW)
    vault = Vault(generated_keys())
    add = (
        "INSERT INTO customer_contacts (merchant_id, customer_id, kind, sealed, key_version,"
        " blind_index) VALUES ('m', $2, 'email', $3, 7, $1)"
    )
    about = ("m", "email", "ada@example.com")
    await database.execute(
        "INSERT INTO merchants (merchant_id, name, currency, created_at)"
        " VALUES ('m', 'M', 'EUR', $1)",
        NOW,
    )
    for customer_id in ("ada", "eve"):
        await database.execute(
            "INSERT INTO customers (merchant_id, customer_id, created_at) VALUES ('m', $1, $2)",
            customer_id,
            NOW,
        )
    await database.execute(add, vault.blind_index(*about), "ada", "sealed")
    assert await migrate(database, MIGRATIONS, NOW) == ["core/0009_shorter_indexes"]
    index = vault.contact_index(*about)
    assert await database.fetch_value(SEARCH_BY_CONTACT, "m", "email", index) == "ada"
    kept = "SELECT sealed, key_version FROM customer_contacts"
    assert [tuple(row) for row in await database.fetch(kept)] == [("sealed", 7)]
    for refused in (index, vault.blind_index("m", "email", "eve@example.com")):
        with pytest.raises(ConstraintViolation):
            await database.execute(add, refused, "eve", "sealed")
    await database.execute(add, vault.contact_index("m", "email", "eve@example.com"), "eve", "x")
