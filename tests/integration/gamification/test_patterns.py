"""Patterns in real processes: one that spins is ended, and nobody else notices."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import pytest
import trio

from actors.gamification import matching, pattern_worker
from actors.gamification.limits import RULE_LIMIT_S
from actors.gamification.matching import (
    PATTERNS,
    Match,
    Patterns,
    worker_command,
)
from runtime import ActorSystem, ChildSpec, Supervisor
from runtime.process_workers import worker_environment
from runtime.processes import WorkerEnded, WorkerFailed, WorkerProcess, framed
from tests.integration.gateway.helpers import eventually
from tests.integration.worker_processes import PATIENCE_S, ended, note_starts

pytestmark = pytest.mark.slow

SPINS = Match("(A+)+B", ("A" * 32,))
WITHOUT_ITS_ALARM = (
    "import runpy, sys; worker = runpy.run_path(sys.argv[1]);"
    f" worker['main'].__globals__['LIMIT_S'] = {PATIENCE_S}; worker['main']()"
)
"""Starts a worker that the system does not end before we do, should we stand still."""

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def patterns(*, alarm: bool = True) -> AsyncIterator[tuple[ActorSystem, list[int]]]:
    """A running actor that gives a rule all its time, and the process ids of its children so
    far, which have no `alarm` of their own where that may come first."""
    with pytest.MonkeyPatch.context() as patch:
        pids = note_starts(patch)
        patch.setattr(matching, "RULE_LIMIT_S", PATIENCE_S)
        if not alarm:
            command = [sys.executable, "-I", "-c", WITHOUT_ITS_ALARM, pattern_worker.__file__]
            patch.setattr(matching, "worker_command", lambda: command)
        root = ChildSpec(
            "root", lambda: Supervisor((ChildSpec("patterns", Patterns, name=PATTERNS),))
        )
        async with ActorSystem().run(root) as system:
            yield system, pids
    for pid in pids:
        assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_one_process_answers_one_request_after_another() -> None:
    async with patterns() as (system, pids):
        ref = system.ref(PATTERNS)
        assert pids == []
        assert await ref.ask(Match("R[A-Z]+", ("ROSES", "TULIPS", "ROSES-1"))) == (
            True,
            False,
            False,
        )
        assert await ref.ask(Match("T.*", ("TULIPS",))) == (True,)
        with pytest.raises(WorkerFailed, match="error"):
            await ref.ask(Match("(", ("TULIPS",)))
        assert len(pids) == 1


async def test_a_pattern_that_spins_is_ended_and_the_loop_goes_on() -> None:
    async with patterns(alarm=False) as (system, pids):
        ref = system.ref(PATTERNS)
        await ref.ask(Match("R.*", ("ROSES",)))
        lags: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(matching, "RULE_LIMIT_S", RULE_LIMIT_S)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(measure, lags)
                for _ in range(3):
                    begun = time.monotonic()
                    with trio.fail_after(PATIENCE_S), pytest.raises(WorkerEnded, match="200 ms"):
                        await ref.ask(SPINS)
                    assert time.monotonic() - begun >= RULE_LIMIT_S
                    assert not alive(pids[-1])
                nursery.cancel_scope.cancel()
        assert median(lags) < RULE_LIMIT_S / 2
        assert await ref.ask(Match("R.*", ("ROSES",))) == (True,)
        assert len(pids) == 4


async def measure(lags: list[float]) -> None:
    while True:
        due = trio.current_time() + 0.005
        await trio.sleep_until(due)
        lags.append(trio.current_time() - due)


async def test_a_process_that_is_killed_is_replaced() -> None:
    async with patterns() as (system, pids):
        ref = system.ref(PATTERNS)
        await ref.ask(Match("R.*", ("ROSES",)))
        os.kill(pids[0], 9)
        await eventually(lambda: ended(pids[0]))
        assert await ref.ask(Match("R.*", ("ROSES",))) == (True,)
        assert len(pids) == 2


async def test_who_gives_up_leaves_no_process_behind() -> None:
    async with patterns(alarm=False) as (system, pids):
        ref = system.ref(PATTERNS)
        await ref.ask(Match("R.*", ("ROSES",)))
        with trio.move_on_after(0.05) as gave_up:
            await ref.ask(SPINS)
        assert gave_up.cancelled_caught
        await eventually(lambda: ended(pids[0]))


def test_a_process_whose_parent_is_gone_ends_by_itself() -> None:
    """Nobody kills it here: an alarm of the system does, and the end of its input."""
    process = subprocess.Popen(
        worker_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(os.environ),
    )
    assert process.stdin is not None
    process.stdin.write(framed(b'{"pattern": "(A+)+B", "skus": ["' + b"A" * 32 + b'"]}'))
    process.stdin.close()
    assert process.wait(PATIENCE_S) != 0
    assert process.stdout is not None
    process.stdout.close()


async def test_what_is_no_worker_does_not_start() -> None:
    for command in (["./nothing-there"], [sys.executable, "-c", "print('hello there')"]):
        with pytest.raises(WorkerFailed):
            await WorkerProcess.start(command, {})


def test_a_worker_sees_no_secrets() -> None:
    seen = worker_environment({"PATH": "p", "LOYALNEST_DATABASE_URL": "secret", "_PYI_X": "x"})
    assert seen == {"PATH": "p", "_PYI_X": "x"}


async def test_the_program_itself_is_a_worker() -> None:
    """As the one-file program starts itself."""
    command = [sys.executable, str(ROOT / "main.py"), "pattern-worker"]
    process = await WorkerProcess.start(command, worker_environment(os.environ))
    try:
        request = b'{"pattern": "R.*", "skus": ["ROSES", "TULIPS"]}'
        assert await process.ask(request, PATIENCE_S) == b"[true, false]"
    finally:
        await process.close()
    assert process.ended
