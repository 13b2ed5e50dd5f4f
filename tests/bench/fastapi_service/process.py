"""The service as a process that listens on the loopback address."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import jwt

from tests.bench.fastapi_service.app import ALGORITHM, DATABASE_VARIABLE, SECRET_VARIABLE

ROOT = Path(__file__).parents[3]
SECRET = "the benchmark's own secret, long enough for its algorithm"
COMMAND = (
    *("-m", "uvicorn", "tests.bench.fastapi_service.app:app"),
    *("--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"),
)
BACKLOG = 256
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@contextmanager
def fastapi_service(database_url: str) -> Iterator[int]:
    """Its port, once it answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listening:
        process = subprocess.Popen(
            [sys.executable, *COMMAND, f"--fd={listening.fileno()}"],
            cwd=ROOT,
            env={**os.environ, DATABASE_VARIABLE: database_url, SECRET_VARIABLE: SECRET},
            pass_fds=(listening.fileno(),),
        )
        port = listening.getsockname()[1]
        try:
            _wait_for_an_answer(port)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_an_answer(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.close()


def token_for(merchant_id: str) -> str:
    """A token of this service's own kind."""
    claims = {"merchant_id": merchant_id, "exp": int(time.time()) + 3600}
    return jwt.encode(claims, SECRET, algorithm=ALGORITHM)
