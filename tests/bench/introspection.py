"""What introspection costs while nobody looks: `tell` and `ask` against another checkout's.

The other side is `LOYALNEST_BENCH_AGAINST`, the directory of a checkout without it; where that is
not set, both sides are this one, and the ratio shows how noisy the machine is. Both run in
processes of their own, in turns, many times.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.bench.harness import Figure, compare

HERE = Path(__file__).parents[2]
AGAINST = "LOYALNEST_BENCH_AGAINST"
ALTERNATIONS = 9
WITHIN = 0.97
TIMEOUT_S = 60

MEASURE = """
import sys, time
time.perf_counter = time.process_time
sys.path[:0] = [{here!r}, {here!r} + "/http"]
from tests.bench import messaging
print(max(messaging._with_counter(messaging.{what}) for _ in range(3)))
"""
"""The best of three, in time of the processor: others on the machine are not to be measured."""


def introspection() -> list[Figure]:
    other = Path(os.environ.get(AGAINST, HERE))
    return [
        compare(
            f"{name} with introspection switched off, against {_named(other)}",
            partial(_rate, HERE, what),
            partial(_rate, other, what),
            unit=unit,
            goal=WITHIN,
            rounds=ALTERNATIONS,
        )
        for name, what, unit in (
            ("tell", "_tell", "messages/s"),
            ("ask", "_ask", "round trips/s"),
        )
    ]


def _named(other: Path) -> str:
    return "a checkout without it" if other != HERE else "itself"


def _rate(checkout: Path, what: str) -> float:
    script = MEASURE.format(here=str(checkout), what=what)
    command: Sequence[str] = (sys.executable, "-c", script)
    done = subprocess.run(
        command, cwd=checkout, capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )
    return float(done.stdout)
