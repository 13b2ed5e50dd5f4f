"""What the test servers promise to the tests that torment them."""

import select
import subprocess
import time

import pytest

from tests.servers import PostgresServer, RedisServer, Server, running

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
LOOK_S = 0.01


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
        assert server.ready(PATIENCE_S)
        server.pause()
        assert not server.ready(0.05)
        server.resume()
        assert server.ready(PATIENCE_S)


def session(server: PostgresServer) -> "subprocess.Popen[str]":
    """A client with a session of its own, which answers line by line."""
    return subprocess.Popen(
        [str(server.binary("psql")), "-qAt", server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(client: "subprocess.Popen[str]", sql: str) -> None:
    assert client.stdin is not None
    client.stdin.write(sql + ";\n")
    client.stdin.flush()


def answer(client: "subprocess.Popen[str]") -> str:
    assert client.stdout is not None
    return client.stdout.readline().strip()


def until_over(pid: int) -> None:
    """It has been killed, and takes a moment to end."""
    end = time.monotonic() + PATIENCE_S
    while not is_over(pid):
        assert time.monotonic() < end
        time.sleep(LOOK_S)


def is_over(pid: int) -> bool:
    """Whether a process has ended, though nobody may have asked for its exit status yet."""
    states = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return states.stdout.strip()[:1] in ("", "Z")


def test_a_frozen_postgresql_is_silent_in_its_sessions_too_until_it_resumes() -> None:
    with running(PostgresServer) as server, session(server) as client:
        ask(client, "SELECT 'before'")
        assert answer(client) == "before"
        server.freeze_all()
        ask(client, "SELECT 'frozen'")
        assert client.stdout is not None
        readable, _, _ = select.select([client.stdout], [], [], 0.2)
        assert readable == []
        server.resume_all()
        assert answer(client) == "frozen"


@pytest.mark.parametrize("frozen", [False, True])
def test_a_kill_ends_the_sessions_of_postgresql_too(frozen: bool) -> None:
    with running(PostgresServer) as server, session(server) as client:
        ask(client, "SELECT pg_backend_pid()")
        pid = int(answer(client))
        if frozen:
            server.freeze_all()
        server.kill()
        ask(client, "SELECT 'nobody'")
        assert client.wait(PATIENCE_S) != 0
        until_over(pid)
        server.start()
        assert query(server, server.url, "SELECT 1") == "1"


@pytest.mark.parametrize(("real", "setting"), [(True, "on"), (False, "off")])
def test_commits_are_real_where_a_test_asks_for_it(real: bool, setting: str) -> None:
    with running(PostgresServer, real_commits=real) as server:
        assert query(server, server.url, "SHOW fsync") == setting
