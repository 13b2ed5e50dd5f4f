"""Every public coroutine of the runtime has a test of its checkpoints and its cancellation.

They are found by reading the sources, so that one which is added has to be put somewhere.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.unit.runtime import test_every_coroutine, test_every_coroutine_in_memory

ROOT = Path(__file__).parents[3]
SIMULATION: Final = "sim"
"""Its parts stand in for those that are tested here, and are tested in `tests/sim`."""

TABLES = (*test_every_coroutine.CALLS, *test_every_coroutine_in_memory.CALLS)

ELSEWHERE: Final[dict[str, frozenset[str]]] = {
    "tests/contract/test_cancellation.py": frozenset(
        {
            "DatabaseHandle",
            "DatabaseShare",
            "Guarded",
            "MeasuredDatabase",
            "PostgresDatabase",
            "SqliteDatabase",
        }
    ),
    "tests/contract/test_link_transports.py": frozenset({"WebSocketNetwork", "WebSocketTransport"}),
    "tests/contract/test_cache.py": frozenset({"RedisCache", "Subscription.receive"}),
    "tests/contract/test_spool.py": frozenset({"FileSpool", "MemorySpool"}),
    "tests/integration/host/test_call.py": frozenset({"call"}),
    "tests/unit/runtime/test_cancellation.py": frozenset({"ActorSystem.run", "send", "ask"}),
    "tests/unit/runtime/test_foreground.py": frozenset({"Foreground.quiet", "Turns.take"}),
    "tests/unit/runtime/test_links.py": frozenset({"Links", "Peer.change", "Session"}),
    "tests/unit/runtime/test_processes.py": frozenset({"WorkerProcess"}),
    "tests/unit/runtime/test_process_workers.py": frozenset({"ProcessWorkers"}),
    "tests/unit/policies/test_bulkhead.py": frozenset({"Bulkhead.permit"}),
    "tests/unit/policies/test_limiters.py": frozenset({"LocalLimiter.take"}),
}
"""Classes, or single names, by the file that tests them."""

INSIDE: Final = frozenset(
    {
        # the lives of actors, which only the runtime drives, and what it asks of them
        "Actor",
        "Cell.wait_for_room",
        "Children",
        "Tenure",
        "observed",
        # steps of the relay, the job runner and their children
        "Dispatcher",
        "Outlet",
        "Lane",
        "Rescuer",
        "Settler",
        # the first part of a link
        "Handshake",
        # what the adapters of a store or cache are made of
        "Checkpoints",
        "Connections",
        "Listener",
        "Session",
        "SessionPool",
        "open_redis",
        "cache.redis_connections.send",
        "cache.redis_connections.close",
        "storage.postgres_session.connect",
        "storage.postgres_session.log_in",
        "register",
        "open_sqlite_file",
        # what a pipeline asks of its admissions, by way of `Pipeline.call`
        "DatabaseHandle.through",
    }
)
"""Not for callers: they are tested by way of what is."""

HOOKS: Final = frozenset({"started", "receive", "receive_batch", "receive_system", "stopped"})
"""What an actor is asked by the runtime."""

LASTING: Final = frozenset(
    {
        "AskDeadlines.run",
        "CacheHandle.follow",
        "Cached.follow",
        "Expiries.run",
        "NoticeConnection",
        "Notices.listen",
        "Overtime.run",
        "look_for_ever",
        "measure_for_ever",
        "prune_for_ever",
    }
)
"""These go on until they are cancelled, which every test does that uses them."""


def _public_coroutines(source: str) -> Iterator[str]:
    """`Class.method` and `function`, without protocols, and the hooks of what has a base."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            bases = " ".join(map(ast.unparse, node.bases))
            if "Protocol" not in bases:
                hooks = HOOKS if bases else frozenset()
                yield from (f"{node.name}.{name}" for name in _methods(node) if name not in hooks)


def _methods(node: ast.ClassDef) -> Iterator[str]:
    for member in node.body:
        if isinstance(member, ast.AsyncFunctionDef) and not member.name.startswith("_"):
            yield member.name


@cache
def _found() -> dict[str, str]:
    """All of them, by their name with the module before it."""
    root = ROOT / "runtime"
    found = {}
    for path in sorted(root.rglob("*.py")):
        module = path.relative_to(root).with_suffix("")
        if module.parts[0] != SIMULATION:
            for name in _public_coroutines(path.read_text()):
                found[".".join((*module.parts, name))] = name
    return found


def _covered(qualified: str, name: str) -> bool:
    tested = {key.split()[0] for key in TABLES}.union(*ELSEWHERE.values())
    names = {qualified, name, name.split(".", maxsplit=1)[0]}
    return not names.isdisjoint(tested | INSIDE | LASTING)


@pytest.mark.slow
def test_every_coroutine_has_its_tests() -> None:
    missing = [where for where, name in _found().items() if not _covered(where, name)]
    assert missing == []


def test_nothing_is_named_that_does_not_exist() -> None:
    found = _found()
    there = {part for where, name in found.items() for part in (where, name, name.split(".")[0])}
    assert (INSIDE | LASTING).union(*ELSEWHERE.values()) - there == set()
    assert [file for file in ELSEWHERE if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("async def f(): ...", ["f"]),
        ("async def _f(): ...", []),
        ("def f(): ...", []),
        ("class A(B):\n async def f(self): ...\n async def receive(self): ...", ["A.f"]),
        ("class A:\n async def receive(self): ...\n async def _g(self): ...", ["A.receive"]),
        ("class A(Protocol):\n async def f(self): ...", []),
        ("class _A:\n async def f(self): ...", []),
        ("async def receive(): ...", ["receive"]),
    ],
)
def test_the_sources_are_read_as_meant(source: str, names: list[str]) -> None:
    assert list(_public_coroutines(source)) == names
