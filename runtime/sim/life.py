"""One life of a simulated process: from its start to its end, orderly or not."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType

import attrs
import trio

from runtime.ports import Ports
from runtime.sim.findings import Findings
from runtime.sim.system import SimulatedSystem
from runtime.sim.trace import Trace

MAIN = "main"
"""The shard of a program that has only one."""


class Life:
    """What a process is to the world around it.

    `system` is there while the tree runs. `up` is set when it has come up, `over` when it is to
    end, `gone` when nothing of it is left. One that is `cut_off` cannot reach the store; one that
    was `replaced` has another one beside it that took over. `shard` is which part of the program
    it runs, and `generation` counts the processes that have been that.
    """

    def __init__(
        self,
        name: str,
        ports: Ports,
        trace: Trace,
        findings: Findings,
        tasks_max: int,
        shard: str = MAIN,
        generation: int = 1,
    ) -> None:
        self.name = name
        self.shard = shard
        self.generation = generation
        self.system = SimulatedSystem(name, ports, trace, findings, tasks_max)
        self.ports = ports
        self.up = trio.Event()
        self.over = trio.Event()
        self.gone = trio.Event()
        self.crashed = False
        self.cut_off = False
        self.root = ""
        self.crash_at_commit = 0.0
        self.down_s = 0.0
        self.replaced = False
        self.scope = trio.CancelScope()
        self.requests: trio.Nursery | None = None
        self._trace = trace
        self._protected: dict[trio.CancelScope, None] = {}

    @property
    def serving(self) -> bool:
        """Whether clients find somebody there."""
        return self.up.is_set() and not self.over.is_set()

    def receive(self, request: Callable[[], Awaitable[None]]) -> None:
        """Serve a request, which ends with the process at the latest."""
        if self.requests is not None:
            self.requests.start_soon(request)

    def protected(self) -> AbstractContextManager[object]:
        """What was begun outside of the process is not cancelled, but it ends with the process."""
        return _Protected(self._protected, trio.CancelScope(shield=not self.crashed))

    def crash(self, down_s: float) -> None:
        """End at once: no handler ends, no `stopped` is called, nothing more reaches the world.

        Whoever keeps the process starts another one after `down_s`.
        """
        if self.crashed or self.gone.is_set():
            return
        self._trace.note("crash", self.name)
        self.crashed, self.down_s = True, down_s
        self.over.set()
        for scope in self._protected:
            scope.shield = False
        self.system.ref(self.root).kill()
        self.scope.cancel()

    def commits(self, side: float) -> bool:
        """Whether this commit, before it or after it, is the one to crash at."""
        if not self.crash_at_commit or (self.crash_at_commit > 0) is not (side > 0):
            return False
        self.crash_at_commit = 0.0
        self.crash(self.down_s)
        return True


@attrs.frozen
class _Protected:
    """A block within a scope that is among those of a life. No generator, which costs more than
    many of the blocks."""

    _among: dict[trio.CancelScope, None]
    _scope: trio.CancelScope

    def __enter__(self) -> None:
        self._among[self._scope] = None
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        del self._among[self._scope]
        return self._scope.__exit__(kind, error, traceback)
