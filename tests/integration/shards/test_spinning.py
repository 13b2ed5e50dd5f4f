"""A shard that spins for ten seconds takes a core, and nothing of the others' loops."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from cli.demo import MERCHANT_ID
from tests.integration.shards.family import Sharded, eventually, sharded, under_load
from tests.servers import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.long]

SPIN_S = 10
LAG_MAX_S = 0.05
BEATS_MIN = 80
"""In ten seconds: the loop's lag is measured ten times a second."""

BUCKET = re.compile(r'^loyalnest_loop_lag_seconds_bucket\{le="([^"]+)".*\} (\S+)$', re.MULTILINE)

SPINNING = f"""
import signal, time

def spin(number, frame):
    end = time.monotonic() + {SPIN_S}
    while time.monotonic() < end:
        pass

signal.signal(signal.SIGUSR1, spin)
"""
"""Python runs this at its start in each shard: a signal makes its loop call what does not end."""


def lags(program: Sharded, shard: str) -> dict[float, float]:
    """How many times the loop has been late by at most so many seconds, since its start."""
    return {float(le): float(count) for le, count in BUCKET.findall(program.metrics(shard))}


def p99(before: dict[float, float], after: dict[float, float]) -> float:
    """The end of the bucket that the 99th percentile between two looks is in."""
    counts = {le: after[le] - before[le] for le in sorted(after)}
    beats = counts[float("inf")]
    assert beats >= BEATS_MIN
    return next(le for le, count in counts.items() if count >= 0.99 * beats)


def test_the_loops_of_the_others_turn_as_before_while_one_shard_spins(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SPINNING)
    url, here = postgres.new_database(), str(tmp_path)
    with sharded(
        tmp_path, url, MERCHANT_ID, "--demo", silence_s=3 * SPIN_S, python_path=here
    ) as program:
        eventually(program.all_ready)
        others = ("edge", "money")
        with under_load(
            me=lambda _number: program.ask("GET", "/v1/auth/me"),
            products=lambda _number: program.ask("GET", "/v1/products"),
        ) as clients:
            quiet = {name: lags(program, name) for name in others}
            time.sleep(SPIN_S)
            began = {name: lags(program, name) for name in others}
            spinning = program.pid("engagement")
            os.kill(spinning, signal.SIGUSR1)
            time.sleep(SPIN_S)
            ended = {name: lags(program, name) for name in others}
        usual = {name: p99(quiet[name], began[name]) for name in others}
        meanwhile = {name: p99(began[name], ended[name]) for name in others}
        assert max(meanwhile.values()) <= LAG_MAX_S, (usual, meanwhile)
        for client in clients.values():
            assert set(client.statuses()) == {200}
        eventually(lambda: bool(program.logged("loop_turns_again")))
        (told,) = program.logged("loop_turns_again")
        assert (told["shard"], told["stood_still_s"] >= SPIN_S - 1) == ("engagement", True)
        assert program.pid("engagement") == spinning
