"""Logins that own the schema, and logins that may only serve it, none of them a superuser."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import attrs
import pytest
import trio

from runtime import host
from runtime.ports import system_ports
from runtime.storage import MigrationError, migrate
from runtime.storage.postgres import PostgresDatabase
from supervisors.application import MIGRATIONS
from tests.integration.cli.program import run
from tests.servers import PostgresServer
from tests.stores import unhurried
from tests.trees import running_tree

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
number = count(1).__next__


@attrs.frozen
class Logins:
    """A database of its own, and the URL by which each login reaches it."""

    superuser: PostgresDatabase
    name: str
    url: str

    def of(self, login: str) -> str:
        return self.url.replace("postgres@", f"{login}@")


@pytest.fixture
async def logins(postgres: PostgresServer) -> AsyncIterator[Logins]:
    """The roles `<name>_owner` and `<name>_serve`, gone again afterwards."""
    url, name = postgres.new_database(), f"roles_{number()}"
    superuser = PostgresDatabase(url, 4, role=None)
    database = url.partition("?")[0].rpartition("/")[2]
    with unhurried():
        await superuser.execute("CREATE ROLE loyalnest_app_probe")  # roles can be made at all
        await superuser.execute("DROP ROLE loyalnest_app_probe")
        await superuser.execute(f"CREATE ROLE {name}_owner LOGIN CREATEROLE")
        await superuser.execute(f"ALTER DATABASE {database} OWNER TO {name}_owner")
        await superuser.execute(f"CREATE ROLE {name}_serve LOGIN")
        yield Logins(superuser, name, url)
        for login in ("owner", "serve"):
            await superuser.execute(f"REASSIGN OWNED BY {name}_{login} TO postgres")
            await superuser.execute(f"DROP OWNED BY {name}_{login}")
            await superuser.execute(f"DROP ROLE {name}_{login}")
    await superuser.close()


async def may_use_the_role(logins: Logins, login: str) -> None:
    """What the first migration does by itself, where the role is this cluster's first."""
    await logins.superuser.execute(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'loyalnest_app')"
        " THEN CREATE ROLE loyalnest_app NOLOGIN; END IF; END $$"
    )
    await logins.superuser.execute(f"GRANT loyalnest_app TO {login} WITH ADMIN OPTION")


async def test_one_login_that_owns_the_database_does_everything(logins: Logins) -> None:
    owner = f"{logins.name}_owner"
    await may_use_the_role(logins, owner)
    async with running_tree(logins.of(owner), system_ports()) as tree:
        await tree.create("ann")
        await tree.earn(10)
        assert (await tree.verify()).clean


async def test_an_owner_that_may_grant_the_role_but_not_take_it_grants_it_to_itself(
    logins: Logins,
) -> None:
    owner = f"{logins.name}_owner"
    await may_use_the_role(logins, owner)
    await logins.superuser.execute(f"GRANT loyalnest_app TO {owner} WITH SET FALSE, INHERIT FALSE")
    async with running_tree(logins.of(owner), system_ports()) as tree:
        await tree.create("ann")
        await tree.earn(10)
        assert (await tree.balance()).posted == 10


async def test_a_login_that_may_only_serve_is_told_who_has_to_migrate(logins: Logins) -> None:
    serve = PostgresDatabase(logins.of(f"{logins.name}_serve"), 4)
    with pytest.raises(MigrationError, match="run `loyalnest migrate` with one that may"):
        await migrate(serve, MIGRATIONS, NOW)
    await serve.close()


async def test_a_login_that_may_not_take_the_role_is_refused_at_the_start(
    logins: Logins, tmp_path: Path
) -> None:
    owner = PostgresDatabase(logins.of(f"{logins.name}_owner"), 4)
    await may_use_the_role(logins, f"{logins.name}_owner")
    await migrate(owner, MIGRATIONS, NOW)
    await owner.close()
    await logins.superuser.execute(f"GRANT SELECT ON schema_migrations TO {logins.name}_serve")
    url = logins.of(f"{logins.name}_serve")
    started = partial(run, "serve", cwd=tmp_path, LOYALNEST_DATABASE_URL=url)
    ended = await trio.to_thread.run_sync(started)
    assert ended.code == 1
    assert 'permission denied to set role "loyalnest_app"' in ended.err_lines[-1]
