"""The program on PostgreSQL: one server, commands beside it, and a server that replaces it."""

import signal
from pathlib import Path

import pytest

from tests.integration.cli.program import FIXTURE, PATIENT, run, started
from tests.integration.cli.test_serve import get
from tests.servers import PostgresServer

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
MERCHANT = ("--merchant", "shop")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def test_commands_beside_a_server_go_through_it_and_do_not_replace_it(
    tmp_path: Path, url: str
) -> None:
    with started(*SERVE, cwd=tmp_path, LOYALNEST_DATABASE_URL=url, **PATIENT) as server:
        address = server.url()
        imported = run(
            "import", "orders", FIXTURE, *MERCHANT, cwd=tmp_path, LOYALNEST_DATABASE_URL=url
        )
        assert imported.code == 0, imported.err
        verified = run("verify", *MERCHANT, cwd=tmp_path, LOYALNEST_DATABASE_URL=url)
        assert verified.out.splitlines()[-1] == "clean"
        assert get(f"{address}/health/ready")["status"] == "ok"
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    alone = run("verify", *MERCHANT, cwd=tmp_path, LOYALNEST_DATABASE_URL=url)
    assert alone.out.splitlines()[-1] == "clean", alone.err


def test_a_newer_server_replaces_the_one_that_runs(tmp_path: Path, url: str) -> None:
    with started(*SERVE, cwd=tmp_path, LOYALNEST_DATABASE_URL=url, **PATIENT) as older:
        older.url()
        with started(*SERVE, cwd=tmp_path, LOYALNEST_DATABASE_URL=url, **PATIENT) as newer:
            address = newer.url()
            verified = run("token", *MERCHANT, "--role", "owner", cwd=tmp_path)
            assert verified.code == 0
            assert get(f"{address}/health/ready")["status"] == "ok"
            older.send(signal.SIGTERM)
            assert older.wait() == 0
            assert get(f"{address}/health/ready")["status"] == "ok"


def test_the_schema_is_migrated_once_and_checked(tmp_path: Path, url: str) -> None:
    check = run("migrate", "--check", cwd=tmp_path, LOYALNEST_DATABASE_URL=url)
    assert check.code == 1
    assert all(line.startswith("missing ") for line in check.out.splitlines())
    done = run("migrate", cwd=tmp_path, LOYALNEST_DATABASE_URL=url)
    assert done.code == 0
    assert len(done.out.splitlines()) == len(check.out.splitlines())
    again = run("migrate", "--check", cwd=tmp_path, LOYALNEST_DATABASE_URL=url)
    assert (again.code, again.out) == (0, "up to date\n")


def test_a_database_that_cannot_be_used_is_one_line(tmp_path: Path, url: str) -> None:
    missing = url.replace("/test_", "/nothing_")
    for wrong in (missing, "postgresql://nobody@127.0.0.1:1/x"):
        answer = run("migrate", "--check", cwd=tmp_path, LOYALNEST_DATABASE_URL=wrong)
        assert answer.code == 1
        assert len(answer.err_lines) == 1, answer.err
