"""The one-file binary: built, and run where there is no Python."""

import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.binary import BinaryBuild
from tests.collector import collecting
from tests.integration.cli.program import FIXTURE, PATIENT
from tests.integration.shards.family import eventually, free_addresses, request

pytestmark = pytest.mark.slow

TIMEOUT_S = 240


@pytest.fixture(scope="module")
def binary(binary_build: BinaryBuild) -> Path:
    """`dist/loyalnest`, built into a folder of the tests."""
    return binary_build.wait()


def run(binary: Path, folder: Path, arguments: Sequence[str | Path]) -> str:
    """What it prints; without any environment there is no Python to be found."""
    done = subprocess.run(
        [binary, *arguments],
        cwd=folder,
        env={"TMPDIR": os.fspath(folder)},
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return done.stdout


def test_it_imports_verifies_and_issues_tokens(binary: Path, tmp_path: Path) -> None:
    imported = run(binary, tmp_path, ["import", "orders", FIXTURE, "--merchant", "shop"])
    assert "recorded    60" in imported
    assert run(binary, tmp_path, ["verify", "--merchant", "shop"]).endswith("clean\n")
    token = run(binary, tmp_path, ["token", "--merchant", "shop", "--role", "owner"])
    assert token.count(".") == 2
    assert run(binary, tmp_path, ["version"]).startswith("loyalnest 0.")


def test_it_serves_and_sends_traces(binary: Path, tmp_path: Path) -> None:
    with collecting() as collector:
        traces = ("--otlp-endpoint", collector.url, "--shutdown-delay-s", "0")
        with _serving(binary, tmp_path, traces) as address:
            ready = (200, {"status": "ok"})
            eventually(lambda: request(address, "GET", "/health/ready") == ready)
            for path, text in (("/docs", "<html"), ("/metrics", "# HELP")):
                assert text in request(address, "GET", path)[1]
            wanted = {"GET /docs", "GET /health/ready"}
            eventually(lambda: wanted <= collector.by_name().keys())


def test_it_keeps_a_shard_of_a_plan_stops_it_and_leaves_nothing_behind(
    binary: Path, tmp_path: Path
) -> None:
    with free_addresses(run(binary, tmp_path, ["plan", "one"])) as plan:
        (tmp_path / "plan.toml").write_text(plan)
        _keep_a_shard(binary, tmp_path, tomllib.loads(plan))


def _keep_a_shard(binary: Path, tmp_path: Path, plan: dict[str, Any]) -> None:
    def shard() -> dict[str, Any]:
        _, health = request(plan["health"], "GET", "/health")
        found: dict[str, Any] = health["shards"]["all"]
        return found

    server = subprocess.Popen(
        [binary, "serve", "--plan", "plan.toml", "--shutdown-delay-s", "0"],
        cwd=tmp_path,
        env={**PATIENT, "TMPDIR": os.fspath(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert server.stdout is not None
        assert next(line for line in server.stdout if "health of all" in line)
        eventually(lambda: shard()["state"] == "ready" and shard()["memory_mib"] > 30)
        api, pid = plan["shards"]["all"]["http"], shard()["pid"]
        eventually(lambda: request(api, "GET", "/health/ready")[0] == 200)
        assert len(list(tmp_path.glob("_MEI*"))) == 1
        os.killpg(server.pid, signal.SIGINT)  # as a terminal does
        assert server.wait(TIMEOUT_S) == 0
        assert not Path(f"/proc/{pid}").exists()
        assert not list(tmp_path.glob("_MEI*"))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.communicate()


@contextmanager
def _serving(binary: Path, tmp_path: Path, more: Sequence[str]) -> Iterator[str]:
    """The address of a server with a shop to look at, which ends in order."""
    server = subprocess.Popen(
        [binary, "serve", "--demo", "--http-bind", "127.0.0.1:0", *more],
        cwd=tmp_path,
        env={**PATIENT, "TMPDIR": os.fspath(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().rpartition(" ")[2].strip()
        yield url.removeprefix("http://")
        server.terminate()
        assert server.wait(TIMEOUT_S) == 0
    finally:
        server.kill()
        server.communicate()
