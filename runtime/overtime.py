"""A watchdog for handlers that work longer on one message than they ever should."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import structlog
import trio
from trio.lowlevel import Task, current_task

from runtime.coalescing import until_next
from runtime.parking import monotonic

if TYPE_CHECKING:
    from runtime.actor import Actor
    from runtime.cell import Cell
    from runtime.envelope import Envelope
    from runtime.telemetry import Metrics

log = structlog.get_logger("loyalnest.overtime")

LOOK_S: Final = 10.0
"""Between two looks, so that nothing has to be noted down for each message."""

FRAMES_MAX: Final = 8
TEXT_MAX: Final = 500


class AtWork(Protocol):
    """A task in which messages are handled, one after the other."""

    @property
    def actor(self) -> Actor: ...
    @property
    def cell(self) -> Cell: ...

    def in_hand(self) -> Envelope | None:
        """What it works on, or None while it waits."""


@attrs.frozen
class Overdue:
    """A handler over its hard limit.

    `for_s` is how long it was seen at `message`, a type; the work may have begun up to `LOOK_S`
    earlier. `where` are the calls that it waits in, outermost first.
    """

    address: str
    actor: str
    message: str
    for_s: float
    limit_s: float
    where: str


@attrs.define(eq=False)
class Piece:
    """A piece of work as it was seen first."""

    envelope: Envelope
    since: float
    told: bool = False


class Overtime:
    """Who works for longer than `Actor.hard_limit_s`: told once, with where it stands, and counted.

    Nobody is ended by it. What awaits can be killed, and what shields itself or spins cannot.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kinds: set[type] = set()
        self._tasks: dict[AtWork, Task] = {}
        self._pieces: dict[AtWork, Piece] = {}

    def begin(self, worker: AtWork) -> None:
        """The current task works as `worker` from now on."""
        self._tasks[worker] = current_task()
        kind = type(worker.actor)
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._metrics.expect_handlers(kind.__name__)

    def end(self, worker: AtWork) -> None:
        """It does not any more."""
        self._tasks.pop(worker, None)
        self._done(worker, self._pieces.pop(worker, None))

    def overdue(self) -> tuple[Overdue, ...]:
        """Those that are over their limit now, as of the last look."""
        now = monotonic()
        return tuple(
            self._described(worker, piece, now)
            for worker, piece in self._pieces.items()
            if piece.told and worker.in_hand() is piece.envelope
        )

    async def run(self) -> None:
        """Look every `LOOK_S` until cancelled."""
        while True:
            await trio.sleep(until_next(LOOK_S))
            self._look(monotonic())

    def _look(self, now: float) -> None:
        before, self._pieces = self._pieces, {}
        for worker in self._tasks:
            envelope, piece = worker.in_hand(), before.get(worker)
            if piece is not None and piece.envelope is not envelope:
                self._done(worker, piece)
                piece = None
            if envelope is not None:
                self._pieces[worker] = piece = piece or Piece(envelope, now)
                if not piece.told and now - piece.since >= worker.actor.hard_limit_s:
                    self._tell(worker, piece, now)

    def _tell(self, worker: AtWork, piece: Piece, now: float) -> None:
        piece.told = True
        overdue = self._described(worker, piece, now)
        self._metrics.handler_over_limit(overdue.actor)
        log.error("handler_over_its_limit", **attrs.asdict(overdue))

    def _done(self, worker: AtWork, piece: Piece | None) -> None:
        if piece is not None and piece.told:
            log.warning(
                "handler_over_its_limit_ended",
                address=worker.cell.address,
                message=type(piece.envelope.message).__name__,
                for_s=round(monotonic() - piece.since, 3),
            )

    def _described(self, worker: AtWork, piece: Piece, now: float) -> Overdue:
        task = self._tasks.get(worker)
        return Overdue(
            address=worker.cell.address,
            actor=type(worker.actor).__name__,
            message=type(piece.envelope.message).__name__,
            for_s=round(now - piece.since, 3),
            limit_s=worker.actor.hard_limit_s,
            where=" > ".join(_calls(task))[-TEXT_MAX:] if task is not None else "",
        )


def _calls(task: Task) -> Iterator[str]:
    """Who called whom until the task began to wait; the innermost `FRAMES_MAX`."""
    frames = list(task.iter_await_frames())
    for frame, line in islice(frames, max(0, len(frames) - FRAMES_MAX), None):
        yield f"{frame.f_globals.get('__name__')}:{line} {frame.f_code.co_name}"
