"""The program with secrets in files: what it refuses, what it never tells, what it notices."""

import json
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.auth.keys import KeyStore, load_signing_key
from actors.auth.messages import Role
from actors.core.data_keys import DataKeyStore
from cli.tokens import new_token
from tests.integration.cli.program import PATIENT, Finished, Running, run, started
from tests.integration.secrets.test_database_password import LOGIN, sql
from tests.servers import PostgresServer, RedisServer
from tests.servers import running as server_running

pytestmark = pytest.mark.slow

CANARY = "c4n4ry-" + secrets.token_hex(8)
NOTICED_S = 120.0
POLL_S = 0.1
REQUEST_PAUSE_S = 0.01


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL that asks one login for a password, and has a migrated database."""
    with server_running(PostgresServer, with_schema=True) as server:
        access = server.directory / "data" / "pg_hba.conf"
        access.write_text(f"local all {LOGIN} scram-sha-256\n{access.read_text()}")
        login = f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{CANARY}' IN ROLE loyalnest_app"
        sql(server, login, "SELECT pg_reload_conf()")
        yield server


def secret(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def production(tmp_path: Path, server: PostgresServer) -> dict[str, Any]:
    """The environment of a server in production, everything as it should be."""
    database = server.migrated_database().replace("postgres@", f"{LOGIN}@")
    load_signing_key(tmp_path / "data")
    DataKeyStore(tmp_path / "data").read()
    return {
        "LOYALNEST_ENVIRONMENT": "production",
        "LOYALNEST_DATABASE_URL": database,
        "LOYALNEST_DATABASE_PASSWORD_FILE": secret(tmp_path / "password", CANARY),
        "LOYALNEST_LOG_LEVEL": "debug",
        "LOYALNEST_HTTP_BIND": "127.0.0.1:0",
    }


def told(finished: Finished) -> str:
    return finished.out + finished.err


def token(keys: Path | KeyStore) -> str:
    return new_token(keys, Role.PLATFORM, None)


def asked(url: str, bearer: str, path: str = "/v1/auth/me") -> httpx.Response:
    headers = {"authorization": f"Bearer {bearer}"}
    return httpx.get(url + path, headers=headers, timeout=NOTICED_S, verify=False)


def test_production_tells_every_reason_why_it_does_not_start(tmp_path: Path) -> None:
    done = run(
        *("serve", "--demo"),
        cwd=tmp_path,
        LOYALNEST_ENVIRONMENT="production",
        LOYALNEST_DATABASE_URL=f"postgresql://me:{CANARY}@db/x",
        LOYALNEST_REDIS_URL_FILE=secret(tmp_path / "redis", f"redis://:{CANARY}@cache", 0o644),
        LOYALNEST_CHAOS_ALLOWED="yes",
    )
    assert (done.code, done.out) == (2, "")
    assert all(line.startswith("loyalnest: production: ") for line in done.err_lines)
    for part in ("database_url", "redis: readable by others", "signing-key", "chaos", "--demo"):
        assert sum(part in line for line in done.err_lines) == 1, part
    assert CANARY not in told(done)


def test_config_shows_what_is_wrong_and_no_secret(tmp_path: Path) -> None:
    extra: dict[str, Any] = {"LOYALNEST_DATABASE_URL": f"postgresql://me@db/x?password={CANARY}"}
    shown = run("config", cwd=tmp_path, **extra)
    refused = run("config", "--json", cwd=tmp_path, LOYALNEST_ENVIRONMENT="production", **extra)
    assert (shown.code, refused.code) == (0, 2)
    assert json.loads(refused.out)["database_url"]["value"].endswith("password=***")
    assert "belongs in a file" in refused.err
    assert CANARY not in told(shown) + told(refused)


def test_a_server_in_production_never_tells_its_secrets(
    tmp_path: Path, server: PostgresServer
) -> None:
    extra = production(tmp_path, server)
    with started("serve", cwd=tmp_path, fresh=True, **extra) as program:
        url = program.url()
        bodies = [
            asked(url, token(tmp_path / "data"), path).text
            for path in ("/health", "/metrics", "/v1/auth/me", "/v1/merchant", "/nowhere")
        ]
        for name in ("cmdline", "environ"):
            assert CANARY.encode() not in Path(f"/proc/{program.pid}/{name}").read_bytes()
        server.pause()
        bodies.append(asked(url, token(tmp_path / "data"), "/v1/admin/dead-letters").text)
        server.resume()
        program.send(signal.SIGTERM)
        assert program.wait() == 0
        assert CANARY not in program.err + "".join(bodies)
    assert "schema_migrated" not in program.err


def test_a_wrong_password_is_one_line_without_it(tmp_path: Path, server: PostgresServer) -> None:
    extra = production(tmp_path, server) | {"LOYALNEST_LOG_LEVEL": "info"}
    secret(tmp_path / "password", f"wrong-{CANARY}")
    done = run("serve", cwd=tmp_path, **extra)
    assert (done.code, len(done.err_lines)) == (1, 1), done
    assert "password authentication failed" in done.err
    assert CANARY not in told(done)


def test_a_password_that_is_replaced_is_used_without_a_failed_request(
    tmp_path: Path, server: PostgresServer
) -> None:
    extra = PATIENT | production(tmp_path, server)
    with started("serve", cwd=tmp_path, **extra) as program:
        url, bearer = program.url(), token(tmp_path / "data")
        statuses: list[int] = []
        secret(tmp_path / "password", f"next-{CANARY}")
        sql(server, f"ALTER ROLE {LOGIN} PASSWORD 'next-{CANARY}'")
        begun = time.monotonic()
        while "secret_replaced" not in program.err:
            assert time.monotonic() - begun < NOTICED_S
            statuses.append(asked(url, bearer, "/v1/admin/dead-letters").status_code)
            time.sleep(REQUEST_PAUSE_S)
        server.restart()
        _until(lambda: asked(url, bearer, "/v1/admin/dead-letters").status_code == 200)
        sql(server, f"ALTER ROLE {LOGIN} PASSWORD '{CANARY}'")
        assert set(statuses) == {200}
        assert CANARY not in program.err


def _until(condition: object) -> None:
    begun = time.monotonic()
    while not condition():  # type: ignore[operator]
        assert time.monotonic() - begun < NOTICED_S
        time.sleep(POLL_S)


@contextmanager
def serving(tmp_path: Path) -> Iterator[tuple[Running, str]]:
    extra: dict[str, Any] = PATIENT
    with started("serve", "--http-bind", "127.0.0.1:0", cwd=tmp_path, **extra) as program:
        yield program, program.url()


def rotate_by_command(tmp_path: Path) -> None:
    assert run("keys", "rotate", cwd=tmp_path).code == 0


def rotate_here(tmp_path: Path) -> None:
    KeyStore(tmp_path / "data").rotate(datetime.now(UTC))


def test_a_rotation_of_the_keys_refuses_no_token(tmp_path: Path) -> None:
    """Also not the first one of the new key, a moment after, nor an old one after a restart."""
    with serving(tmp_path) as (_, url):
        old = token(tmp_path / "data")
        for rotate in (rotate_by_command, rotate_here, rotate_here):
            assert asked(url, old).status_code == 200
            rotate(tmp_path)
            assert asked(url, token(tmp_path / "data")).status_code == 200
            assert asked(url, old).status_code == 200
    with serving(tmp_path) as (_, url):
        assert asked(url, old).status_code == 200
        listed = json.loads(run("keys", "list", "--json", cwd=tmp_path).out)
        assert [row["state"].split()[0] for row in listed] == ["signs", *["accepted"] * 3]


def test_tokens_of_a_revoked_key_are_refused_in_time(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        old = token(tmp_path / "data")
        kid = load_signing_key(tmp_path / "data").kid
        refused = run("keys", "revoke", kid, cwd=tmp_path)
        assert (refused.code, len(refused.err_lines)) == (1, 1)
        rotate_here(tmp_path)
        assert run("keys", "revoke", kid, cwd=tmp_path).code == 0
        assert run("keys", "revoke", kid, cwd=tmp_path).code == 2
        _until(lambda: asked(url, old).status_code == 401)
        assert asked(url, token(tmp_path / "data")).status_code == 200


def test_a_mounted_key_that_is_replaced_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes does it: the directory that a symbolic link leads to is another one."""
    for name in ("1", "2"):
        load_signing_key(tmp_path / name)
    data = tmp_path / "..data"
    data.symlink_to("1")
    key = data / "signing-key.pem"
    store = KeyStore(tmp_path / "data", key)
    extra: dict[str, Any] = PATIENT | {"LOYALNEST_SIGNING_KEY_FILE": str(key)}
    with started("serve", "--http-bind", "127.0.0.1:0", cwd=tmp_path, **extra) as program:
        url = program.url()
        old = token(store)
        (tmp_path / "..data_tmp").symlink_to("2")
        (tmp_path / "..data_tmp").replace(data)
        new = token(store)
        assert [asked(url, each).status_code for each in (new, old, new)] == [200] * 3


def test_a_redis_password_in_a_file_is_used(tmp_path: Path) -> None:
    with server_running(RedisServer) as redis:
        extra: dict[str, Any] = {
            "LOYALNEST_REDIS_URL": redis.url,
            "LOYALNEST_REDIS_PASSWORD_FILE": secret(tmp_path / "redis", CANARY),
            "LOYALNEST_HTTP_BIND": "127.0.0.1:0",
        }
        with started("serve", cwd=tmp_path, **extra) as program:
            program.url()
            _until(lambda: "cache_connection_lost" in program.err)
            assert CANARY not in program.err
