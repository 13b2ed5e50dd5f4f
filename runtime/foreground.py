"""Who goes first: what somebody waits for, before work that can wait.

An import, a run or a broadcast has all the time there is, and would still take turns with requests
as if it were one of them: each of the steps of a request would wait for one of theirs. So that
work is done in small slices, each of which begins when nothing else is to be done here.
"""

from math import inf
from types import TracebackType

import trio
from trio.testing import wait_all_tasks_blocked

from runtime.parking import monotonic
from runtime.ports import GiveWay, stay

SLICE_S = 0.0003
"""How long work in the background holds the loop at once, and whoever comes meanwhile."""

AFTER_S = 0.002
"""For so long after a request the next one is not expected: many come at regular intervals."""

ALONE_S = 0.01
"""Who has made no request for so long is not expected either."""

PATIENCE_S = 0.02
"""How long work waits for its turn at most, so that it gets on where no moment is quiet."""

CALLS_MAX = 64
"""Parts of the work in one slice, where time stands still."""

LINGERS_S = 1.0
"""So long after somebody waited for a commit, others are believed to come."""


class Foreground:
    """What somebody waits for now: `with foreground:` while a request is worked on.

    A request that has ended here has not ended for its client: that is mostly a process which the
    system wakes up on the processor of the one that wrote the answer, and which waits there until
    this one rests. Measured, on two processors: of the answers beside an import, one in ten took
    over 2 ms from one to the other, and takes 0.5 ms since work first gives way, by `give_way`.
    """

    def __init__(self, give_way: GiveWay = stay) -> None:
        self._give_way = give_way
        self._gave_way_at = float("-inf")
        self._count = 0
        self._ended_at = float("-inf")
        self._ended = trio.Event()
        self._queue = trio.Lock()
        self._commits_until = float("-inf")

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._count -= 1
        if not self._count:
            self._ended_at = monotonic()
            self._ended.set()

    def commit_awaited(self) -> None:
        """Somebody waits for a commit; in the background nobody does."""
        self._commits_until = monotonic() + LINGERS_S

    @property
    def in_progress(self) -> bool:
        """Whether a request is worked on now."""
        return self._count > 0

    @property
    def busy(self) -> bool:
        """Whether somebody waited for a commit lately. Work that has the store for itself while
        nobody does may take more of it at a time."""
        return monotonic() < self._commits_until

    async def quiet(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait for a moment when no request is in progress or expected, no task can run and no I/O
        is ready; whether it came within `patience_s`. Those who wait get their moments one after
        another.

        A checkpoint.
        """
        with trio.move_on_after(patience_s):
            if self._queue.locked():
                await self._queue.acquire()
            else:
                self._queue.acquire_nowait()  # `_is_quiet` is a checkpoint, one is enough
            try:
                while not await self._is_quiet():
                    pass
            finally:
                self._queue.release()
            return True
        return False

    async def _is_quiet(self) -> bool:
        """Look once; where it is not, after waiting until it may be."""
        alone_at = self._ended_at + ALONE_S
        if self._count or self._ended_at + AFTER_S < monotonic() < alone_at:
            self._ended = trio.Event()
            with trio.move_on_at(inf if self._count else alone_at):
                await self._ended.wait()
            return False
        ended_at = self._ended_at
        await wait_all_tasks_blocked(0.0)
        if self._count or ended_at != self._ended_at:
            return False
        if ended_at != self._gave_way_at:
            self._gave_way_at = ended_at
            self._give_way()
            return False
        return True


class Turns:
    """The slices of one piece of work, which calls `take` between any two of its small parts.

    With `foreground`, every slice waits for a quiet moment; without, it lets others run.
    """

    def __init__(self, foreground: Foreground | None) -> None:
        self._foreground = foreground
        self._until = float("-inf")
        self._calls = 0

    async def take(self) -> None:
        """Go on, or wait for the next slice where this one is over. Not always a checkpoint."""
        self._calls += 1
        if self._calls < CALLS_MAX and monotonic() < self._until:
            return
        if self._foreground is not None:
            await self._foreground.quiet()
        else:
            await trio.lowlevel.checkpoint()
        self._calls, self._until = 0, monotonic() + SLICE_S
