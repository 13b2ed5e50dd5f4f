"""`serve` as a process: start, banner, errors, signals."""

import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.program import PATIENT, ROOT, TIMEOUT_S, environment, run, started

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
HALF_A_REQUEST = (
    b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"expect: 100-continue\r\ncontent-length: 9\r\n\r\n"
)
PIPE_FILLING_REQUESTS = 400


def get(url: str, headers: dict[str, str] | None = None, body: str | None = None) -> Any:
    data = body.encode() if body is not None else None
    request = urllib.request.Request(url, data, headers or {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        return json.load(response)


def pasted(line: str) -> Any:
    """Do what a curl line of the banner does."""
    words = shlex.split(line.partition("curl -s ")[2])
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    body = words[words.index("-d") + 1] if "-d" in words else None
    return get(words[0], headers, body)


def test_a_signal_stops_it_in_order_with_exit_code_0(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with started(*SERVE, cwd=tmp_path) as server:
            assert get(f"{server.url()}/health/ready")["status"] == "ok"
            server.send(number)
            assert server.wait() == 0
            events = [json.loads(line)["event"] for line in server.err.splitlines()]
            assert "listener_stopped" in events
    assert (tmp_path / "data" / "loyalnest.db.lock").read_bytes() == b""


def address_of(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


def wait_until_it_accepts_no_more(address: tuple[str, int]) -> None:
    with suppress(ConnectionError):
        while True:
            socket.create_connection(address, timeout=TIMEOUT_S).close()


def test_the_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    hangs = ("--http-drain-s", "300", "--http-body-timeout-s", "300", "--shutdown-max-s", "300")
    with started(*SERVE, *hangs, cwd=tmp_path) as server:
        address = address_of(server.url())
        with socket.create_connection(address) as unfinished:
            unfinished.sendall(HALF_A_REQUEST)
            assert unfinished.recv(12) == b"HTTP/1.1 100", "it has arrived"
            server.send(signal.SIGTERM)
            wait_until_it_accepts_no_more(address)
            server.send(signal.SIGTERM)
            assert server.wait() == 128 + signal.SIGTERM


def test_a_signal_during_the_start_stops_it_too(tmp_path: Path) -> None:
    with started(*SERVE, cwd=tmp_path) as server:
        while not (tmp_path / "data").exists():
            os.sched_yield()
        server.send(signal.SIGTERM)
        assert server.wait() == 0
        assert "Traceback" not in server.err


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("serve", "--http-bind", bind, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err_lines == [f"loyalnest: cannot listen on {bind}: Address already in use"]


def test_a_second_process_on_the_same_data_is_told_who_has_it(tmp_path: Path) -> None:
    with started(*SERVE, cwd=tmp_path, **PATIENT) as server:
        url = server.url()
        done = run(*SERVE, cwd=tmp_path)
        assert (done.code, done.out, len(done.err_lines)) == (1, "", 1)
        assert f"pid {server.pid} at {url}" in done.err
        assert get(f"{url}/health/ready")["status"] == "ok"


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(*SERVE, "--data-dir", "file/data", cwd=tmp_path)
    assert (done.code, done.out, len(done.err_lines)) == (1, "", 1)
    assert f"data directory {tmp_path}/file/data: Not a directory" in done.err


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database" * 100)
    done = run(*SERVE, "--database-url", "sqlite:///notes.txt", cwd=tmp_path)
    assert (done.code, done.out, len(done.err_lines)) == (1, "", 1)
    assert "notes.txt" in done.err
    assert (tmp_path / "notes.txt").read_text() == "not a database" * 100


def test_the_lines_of_the_demo_banner_work_when_pasted(tmp_path: Path) -> None:
    with started(*SERVE, "--demo", cwd=tmp_path, **PATIENT) as server:
        balance = pasted(server.line_with("a balance:"))
        receipt = pasted(server.line_with("an earn:"))
    assert balance["posted"] > 0
    assert receipt["balance"]["posted"] == balance["posted"] + 25


def test_the_demo_is_the_same_after_a_restart_and_its_ledger_is_clean(tmp_path: Path) -> None:
    balances = []
    for _ in range(2):
        with started(*SERVE, "--demo", cwd=tmp_path, fresh=True, **PATIENT) as server:
            balances.append(pasted(server.line_with("a balance:"))["posted"])
            server.send(signal.SIGTERM)
            assert server.wait() == 0
    assert balances[0] == balances[1]
    done = run("verify", "--merchant", "demo", cwd=tmp_path)
    assert done.code == 0, done
    assert done.out.splitlines()[-1] == "clean"


def test_a_ledger_that_was_tampered_with_is_not_clean(tmp_path: Path) -> None:
    with started(*SERVE, "--demo", cwd=tmp_path, **PATIENT) as server:
        server.line_with("an earn:")
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    with closing(sqlite3.connect(tmp_path / "data" / "loyalnest.db")) as database, database:
        database.execute("UPDATE points_accounts SET member = member + 1")
    done = run("verify", "--merchant", "demo", cwd=tmp_path)
    assert done.code == 1
    assert "MISMATCH customer cust-001" in done.out
    assert done.out.splitlines()[-1] == "NOT CLEAN"


def test_verify_asks_the_server_that_has_the_data(tmp_path: Path) -> None:
    with started(*SERVE, "--demo", cwd=tmp_path, **PATIENT) as server:
        server.line_with("an earn:")
        done = run("verify", "--merchant", "demo", cwd=tmp_path)
        assert done.code == 0, done
        assert done.out.splitlines()[-1] == "clean"
        server.logged("/v1/points/verify")


def test_verify_of_an_unknown_merchant_fails(tmp_path: Path) -> None:
    done = run("verify", "--merchant", "nobody", cwd=tmp_path)
    assert (done.code, done.err_lines) == (1, ["loyalnest: there is no merchant nobody"])


def test_a_log_that_nobody_reads_does_not_stop_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), started(*SERVE, cwd=tmp_path, stderr=writing, **PATIENT) as server:
        os.close(writing)
        url = server.url()
        for _ in range(PIPE_FILLING_REQUESTS):
            with suppress(urllib.error.HTTPError):
                get(f"{url}/{'x' * 2000}")
        assert get(f"{url}/health/ready")["status"] == "ok"
        server.send(signal.SIGTERM)
        assert server.wait() == 0


def test_without_an_endpoint_for_traces_their_library_is_not_even_loaded() -> None:
    code = "import sys, main, cli.serve; print([m for m in sys.modules if 'opentelemetry' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(PYTHONPATH=f"{ROOT}:{ROOT / 'http'}"),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n"
