"""A machine that stands still again and again: `pytest -p tests.stalls`, to find what has no time.

The process of the tests stops at random moments, for up to three seconds, and with it all that
tests run in themselves. `STALLS_SEED` chooses the moments.
"""

import os
import signal
import time
from collections.abc import Iterator
from random import Random

import pytest

LENGTHS_S = (0.05, 0.1, 0.2, 0.4, 1.1, 3.1)
PAUSE_LEAST_S, PAUSE_MAX_S = 0.02, 0.8

_random = Random(os.environ.get("STALLS_SEED", "1"))


def stand_still(_number: int, _frame: object) -> None:
    time.sleep(_random.choice(LENGTHS_S))
    stand_still_soon()


def stand_still_soon() -> None:
    signal.setitimer(signal.ITIMER_REAL, _random.uniform(PAUSE_LEAST_S, PAUSE_MAX_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    signal.signal(signal.SIGALRM, stand_still)
    stand_still_soon()
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
