"""What the test servers promise to the tests that torment them."""

import pytest

from tests.servers import PostgresServer, RedisServer, Server, running

pytestmark = pytest.mark.slow


def query(server: PostgresServer, url: str, sql: str) -> str:
    return server.tool("psql", "-qAt", "-c", sql, url).strip()


def test_every_new_database_is_empty_and_its_own(postgres: PostgresServer) -> None:
    first, second = postgres.new_database(), postgres.new_database()
    query(postgres, first, "create table here (n int)")
    tables = "select count(*) from pg_tables where tablename = 'here'"
    assert (query(postgres, first, tables), query(postgres, second, tables)) == ("1", "0")


def test_postgresql_keeps_its_data_over_a_restart_and_a_kill() -> None:
    with running(PostgresServer) as server:
        query(server, server.url, "create table kept (n int)")
        for end in (server.stop, server.kill):
            pid = server.pid
            query(server, server.url, "insert into kept values (1)")
            end()
            server.start()
            assert server.pid != pid
        assert query(server, server.url, "select count(*) from kept") == "2"


@pytest.mark.parametrize("kind", [PostgresServer, RedisServer])
def test_a_server_ends_with_its_block_even_when_paused(kind: type[Server]) -> None:
    with running(kind) as server:
        assert server.process is not None
        process = server.process
        server.pause()
    assert process.returncode is not None
    assert not server.directory.exists()


def test_a_paused_redis_answers_again_after_it_resumes() -> None:
    with running(RedisServer) as server:
        assert server.ready()
        server.pause()
        assert not server.ready(0.05)
        server.resume()
        assert server.ready()
