"""Shards that were thought dead, and a parent that is: nobody writes who should not."""

import os
import signal
import subprocess
import tomllib
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.program import PATIENT, Running, run, started
from tests.integration.shards.family import (
    PLAN,
    eventually,
    free_addresses,
    request,
    sharded,
)
from tests.servers import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.long]

MERCHANT = "shop"
KEY = "shards-know-each-other-by-this"
AT_ONCE_S = 15


def shards_of(parent: int) -> list[int]:
    """Process ids of those that a parent has started."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    pairs = (map(int, line.split()) for line in listed.stdout.splitlines())
    return [child for child, its_parent in pairs if its_parent == parent]


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_shards_whose_parent_is_killed_end_by_themselves(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with sharded(tmp_path, postgres.new_database(), MERCHANT) as program:
        children = shards_of(program.running.pid)
        assert len(children) == 3
        os.kill(program.running.pid, signal.SIGKILL)
        eventually(lambda: all(map(gone, children)))


def test_a_second_signal_ends_all_of_them_at_once(postgres: PostgresServer, tmp_path: Path) -> None:
    flags = ("--shutdown-max-s", str(10 * AT_ONCE_S))
    with sharded(tmp_path, postgres.new_database(), MERCHANT, *flags) as program:
        children = shards_of(program.running.pid)
        os.kill(program.pid("edge"), signal.SIGSTOP)  # so that it does not stop in order
        program.running.send(signal.SIGTERM)
        eventually(lambda: bool(program.logged("stopping")))
        program.running.send(signal.SIGTERM)
        assert eventually(lambda: all(map(gone, children))) < AT_ONCE_S
        assert program.running.wait() == 128 + signal.SIGTERM


def test_a_shard_that_was_stopped_while_another_took_its_place_writes_nothing_any_more(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.new_database()
    plan, moved = tmp_path / "plan.toml", tmp_path / "moved.toml"
    (tmp_path / "links.key").write_text(KEY)
    (tmp_path / "links.key").chmod(0o600)

    environment: dict[str, Any] = {**PATIENT, "LOYALNEST_DATABASE_URL": url}

    def shard(name: str, file: Path) -> AbstractContextManager[Running]:
        return started(
            "shard",
            name,
            "--plan",
            file,
            "--link-key-file",
            tmp_path / "links.key",
            cwd=tmp_path,
            **environment,
        )

    with ExitStack() as stack:
        text, ports = (stack.enter_context(free_addresses(PLAN.read_text())) for _ in range(2))
        addresses = tomllib.loads(text)["shards"]
        plan.write_text(text)
        elsewhere = tomllib.loads(ports)["shards"]["money"]
        for port in ("link", "metrics"):
            text = text.replace(addresses["money"][port], elsewhere[port])
        moved.write_text(text)
        api = addresses["edge"]["http"]
        edge, _, money = (
            stack.enter_context(shard(name, plan)) for name in ("edge", "engagement", "money")
        )
        edge.url()
        made = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=tmp_path)
        token = made.out.split()[-1]
        eventually(lambda: request(api, "GET", "/v1/products", token)[0] == 200)
        os.kill(money.pid, signal.SIGSTOP)
        eventually(lambda: request(api, "GET", "/v1/orders", token)[0] == 503)
        with shard("money", moved):
            eventually(lambda: request(api, "GET", "/v1/orders", token)[0] == 200)
            os.kill(money.pid, signal.SIGCONT)
            ready = addresses["money"]["metrics"]
            eventually(
                lambda: request(ready, "GET", "/health/ready") == (503, {"status": "taken over"})
            )
            assert request(api, "GET", "/v1/orders", token)[0] == 200
            assert "journal_taken_over" in money.err
