"""A process that an actor keeps: what ends it, what that leads to, and how it is stopped."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from config.plans import DOMAINS, Plan, RestartBounds, ShardPlan
from runtime import ActorSystem
from runtime.kept_process import MIB, WAITS, ProcessSpec, ProcessState
from supervisors.health import Status
from supervisors.parent import ParentBoard, ShardCondition, end_in_order, parent

pytestmark = pytest.mark.slow

BEATS = """
import os, signal, socket, sys, time
beat = b'{"status": "ok", "ready": true, "facts": {"pid": "%d"}}\\n' % os.getpid()
parent = socket.socket(fileno=int(sys.argv[-1]))
def tell(beat=beat):
    parent.send(beat)
"""
TURN = "while True:\n    tell(); time.sleep(0.05)\n"
TURNS = BEATS + TURN
STOPS_IN_ORDER = BEATS + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + TURN
STOPS_NEVER = BEATS + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + TURN
FALLS_SILENT = BEATS + "tell(); time.sleep(60)\n"
SPEAKS_WHEN_ASKED = (
    BEATS
    + """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
tell()
signal.sigwait({signal.SIGUSR1})
tell(beat.replace(b"true", b"false"))
time.sleep(60)
"""
)
GROWS = BEATS + "tell(); held = bytearray(256 << 20)\n" + TURN
TALKS_NONSENSE = BEATS + "parent.send(b'hello\\n'); time.sleep(60)\n"
STOPS_LATE = (
    BEATS
    + """
def stop(*_):
    time.sleep(1.0)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
"""
    + TURN
)
STOPS_SILENTLY = (
    BEATS
    + """
def stop(*_):
    tell(beat.replace(b"true", b"false"))
    signal.sigwait({signal.SIGUSR1})
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
"""
    + TURN
)
HANGS_UP = BEATS + "tell(); parent.close(); time.sleep(60)\n"
NEVER_BEATS = "import time; time.sleep(60)"
ENDS = "import sys; sys.exit(3)"

LONG_S = 60.0
AT_ONCE_S = 15.0


class Family:
    """A parent with processes that run these scripts; the limits are those of `a`."""

    def __init__(self, scripts: dict[str, str], **limits: float) -> None:
        edge, *_ = scripts
        shards = {
            name: ShardPlan(name=name, domains=DOMAINS, http="h:1" if name == edge else None)
            for name in scripts
        }
        plan = Plan(shards=shards, relay=edge, restarts=RestartBounds(5, 600.0))
        self.board = ParentBoard(plan, {name: ProcessState(name) for name in scripts})
        self.specs = {
            name: self._spec(name, script, limits if name == "a" else {})
            for name, script in scripts.items()
        }
        self.system = ActorSystem()

    def _spec(self, name: str, script: str, limits: Mapping[str, float]) -> ProcessSpec:
        memory_mib = limits.get("memory_mib")
        return ProcessSpec(
            name=name,
            command=(sys.executable, "-c", script),
            environment=dict(os.environ),
            start_s=limits.get("start_s", LONG_S),
            silence_s=limits.get("silence_s", LONG_S),
            stop_s=limits.get("stop_s", LONG_S),
            memory_max_bytes=int(memory_mib) * MIB if memory_mib is not None else None,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Family"]:
        async with self.system.run(parent(self.board, self.specs)):
            yield self

    def state(self, name: str = "a") -> ProcessState:
        return self.board.states[name]


async def eventually(condition: Callable[[], bool]) -> None:
    with trio.fail_after(LONG_S):
        while not condition():  # noqa: ASYNC110 - a process says nothing of its end to others
            await trio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_one_that_is_killed_is_started_again_at_once_and_the_others_go_on() -> None:
    async with Family({"a": TURNS, "b": TURNS}).running() as family:
        a, b = family.state("a"), family.state("b")
        await eventually(lambda: a.ready and b.ready)
        assert family.board.readiness is Status.OK
        first, other = a.pid, b.pid
        assert first is not None
        began = trio.current_time()
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: a.pid not in {None, first})
        assert trio.current_time() - began < AT_ONCE_S
        assert a.last_end == "exited, SIGKILL"
        await eventually(lambda: a.ready)
        assert (a.starts, b.starts, b.pid) == (2, 1, other)


@pytest.mark.parametrize(
    ("script", "limits", "why"),
    [
        (FALLS_SILENT, {"silence_s": 0.5}, "silence, SIGKILL"),
        (NEVER_BEATS, {"start_s": 1.5}, "silence, SIGKILL"),
        (GROWS, {"memory_mib": 128}, "memory, SIGKILL"),
        (TALKS_NONSENSE, {}, "junk, SIGKILL"),
        (HANGS_UP, {"silence_s": 0.5}, "silence, SIGKILL"),
    ],
    ids=["silent", "never beats", "grows", "talks nonsense", "hangs up"],
)
async def test_one_that_does_not_do_what_it_should_is_ended_alone_and_started_again(
    script: str, limits: dict[str, float], why: str
) -> None:
    async with Family({"b": TURNS, "a": script}, **limits).running() as family:
        await eventually(lambda: family.state().starts >= 2)
        assert family.state().last_end == why
        assert family.state("b").starts == 1


async def test_one_that_ends_again_and_again_is_declared_down_and_the_parent_goes_on() -> None:
    async with Family({"b": TURNS, "a": ENDS}).running() as family:
        await eventually(lambda: "a" in family.board.down)
        assert family.board.condition("a") is ShardCondition.DOWN
        assert (family.state().starts, family.state().last_end) == (6, "exited, code 3")
        await eventually(lambda: family.state("b").ready)
        assert family.board.readiness is Status.DEGRADED
        assert family.state("b").starts == 1
        value = family.system.metrics.registry.get_sample_value
        assert value("loyalnest_shard_declared_down", {"shard": "a"}) == 1
        assert value("loyalnest_shard_declared_down", {"shard": "b"}) == 0
        assert value("loyalnest_shard_ends_total", {"shard": "a", "reason": "exited"}) == 6


async def there_after_each(family: Family) -> dict[str, set[str]]:
    """Stop in order; of each, those that were still there when it was seen to be gone."""
    there: dict[str, set[str]] = {}
    pids = {name: state.pid or 0 for name, state in family.board.states.items()}
    assert all(pids.values())

    async def note(name: str) -> None:
        await eventually(lambda: gone(pids[name]))
        there[name] = {other for other, pid in pids.items() if not gone(pid)}

    async with trio.open_nursery() as nursery:
        for name in pids:
            nursery.start_soon(note, name)
        await end_in_order(family.system, family.board, family.specs)
    return there


async def test_those_that_serve_the_api_stop_first_and_nobody_is_started_again() -> None:
    scripts = {"edge": STOPS_LATE, "a": STOPS_IN_ORDER, "b": STOPS_IN_ORDER}
    async with Family(scripts).running() as family:
        await eventually(lambda: family.board.readiness is Status.OK)
        there = await there_after_each(family)
        assert "edge" not in there["a"] | there["b"]
        assert [state.starts for state in family.board.states.values()] == [1, 1, 1]


async def test_one_that_stops_has_its_time_for_that_without_a_word(mock_clock: MockClock) -> None:
    mock_clock.rate = 1.0
    async with Family({"a": STOPS_SILENTLY}, stop_s=10 * WAITS * LONG_S).running() as family:
        await eventually(lambda: family.state().ready)
        process = family.state()._process
        assert process is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_in_order, family.system, family.board, family.specs)
            await eventually(lambda: not family.state().ready)
            await silence_passes(mock_clock)
            process.send_signal(signal.SIGUSR1)
        assert process.returncode == 0


async def silence_passes(clock: MockClock) -> None:
    """Each jump is one long wait to whoever waits for a beat, and more of them make a silence."""
    for _ in range(WAITS):
        await wait_all_tasks_blocked()
        clock.jump(LONG_S)
    await wait_all_tasks_blocked()


async def test_a_parent_that_stood_still_itself_does_not_take_that_for_silence(
    mock_clock: MockClock,
) -> None:
    mock_clock.rate = 1.0
    async with Family({"a": SPEAKS_WHEN_ASKED}).running() as family:
        state = family.state()
        await eventually(lambda: state.ready)
        mock_clock.jump(100 * LONG_S)
        await wait_all_tasks_blocked()
        assert state.pid is not None
        os.kill(state.pid, signal.SIGUSR1)
        await eventually(lambda: not state.ready)
        assert (state.starts, state.last_end) == (1, None)
        await silence_passes(mock_clock)
        await eventually(lambda: state.last_end == "silence, SIGKILL")


async def test_one_that_does_not_stop_in_its_time_is_ended_by_force() -> None:
    async with Family({"a": STOPS_NEVER}, stop_s=0.2).running() as family:
        await eventually(lambda: family.state().ready)
        pid = family.state().pid
        assert pid is not None
        await end_in_order(family.system, family.board, family.specs)
        await eventually(lambda: gone(pid))


async def test_no_process_outlives_a_parent_that_is_cancelled() -> None:
    pids: list[int | None] = []
    with trio.CancelScope() as scope:
        async with Family({"a": STOPS_NEVER}, stop_s=0.2).running() as family:
            await eventually(lambda: family.state().ready)
            pids.append(family.state().pid)
            scope.cancel()
            await trio.sleep_forever()
    (pid,) = pids
    assert pid is not None
    assert gone(pid)
