"""The flow of an import: batches are sent a few at a time, and settled in the order of the file."""

from collections import deque
from collections.abc import Iterable
from math import inf

import attrs
import trio

from actors.core.messages import Order, OrderStatus, RowError
from actors.points.messages import EarnRule
from actors.vocabulary import Refusal
from cli.errors import CommandFailed
from cli.importing.checkpoint import Checkpoint, CheckpointFile
from cli.importing.progress import View
from cli.importing.reader import Batch
from cli.importing.report import ErrorReport
from cli.importing.sinks import Sink
from cli.importing.tally import Outcome, Tally
from runtime import ActorError

IN_FLIGHT = 4
"""Batches under way at a time."""

ATTEMPTS = 6
FIRST_PAUSE_S = 0.25

CHECKPOINT_EVERY_S = 1.0
BACKLOG_POLL_S = 0.2
BACKLOG_STALLED_S = 60.0
"""The wait for the points gives up when nothing has moved for so long."""


class StaleCheckpoint(Exception):
    """The store has not got what the checkpoint says was recorded."""


@attrs.define(eq=False)
class _Sending:
    batch: Batch
    outcomes: list[Outcome] = attrs.field(factory=list)
    done: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class Pipeline:
    """Sends the batches of one file. `tally` is of everything settled so far."""

    sink: Sink
    report: ErrorReport
    checkpoints: CheckpointFile
    view: View
    size_bytes: int
    rule: EarnRule | None = None
    tally: Tally = attrs.field(factory=Tally)
    customers: set[str] = attrs.field(factory=set)
    _saved_at: float = -inf
    _known: dict[int, list[Outcome]] = attrs.field(factory=dict)

    async def run(self, batches: Iterable[Batch], resume: Checkpoint | None) -> None:
        """Send everything behind `resume`. Raises `StaleCheckpoint` before anything is sent
        twice in vain, and `CommandFailed` when the other side stays away."""
        done = resume.batches if resume is not None else 0
        if resume is not None:
            self.tally = resume.tally
        pending: deque[_Sending] = deque()
        async with trio.open_nursery() as nursery:
            for batch in batches:
                self.customers.update(order.customer_id for order in batch.orders)
                if batch.number < done:
                    await self._skip(batch, last=batch.number == done - 1)
                    continue
                if len(pending) == IN_FLIGHT:
                    await self._settle(pending.popleft())
                sending = _Sending(batch)
                pending.append(sending)
                nursery.start_soon(self._send, sending)
            while pending:
                await self._settle(pending.popleft())

    async def _skip(self, batch: Batch, *, last: bool) -> None:
        """Sent before. The last one is sent again, which shows whether the store still has it."""
        if not last:
            await trio.lowlevel.checkpoint()
            return
        outcomes = await self._attempt(batch.orders)
        if OrderStatus.RECORDED in outcomes:
            self._known[batch.number] = outcomes
            raise StaleCheckpoint

    def start_over(self) -> None:
        """Forget everything but the outcomes that are known already."""
        self.tally = Tally()
        self.customers.clear()
        self.report.start_at(0)

    async def _send(self, sending: _Sending) -> None:
        known = self._known.pop(sending.batch.number, None)
        sending.outcomes = known if known is not None else await self._attempt(sending.batch.orders)
        sending.done.set()

    async def _attempt(self, orders: tuple[Order, ...]) -> list[Outcome]:
        """Send, and send again when that failed: orders recorded twice are duplicates."""
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.sink.send(orders) if orders else []
            except ActorError as error:
                if attempt == ATTEMPTS:
                    raise CommandFailed(f"{error}; run the same command to go on") from error
            await trio.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("unreachable")

    async def _settle(self, sending: _Sending) -> None:
        await sending.done.wait()
        batch = sending.batch
        refused = []
        for order, line, outcome in zip(batch.orders, batch.lines, sending.outcomes, strict=True):
            self.tally.add(order, outcome, self.rule)
            if isinstance(outcome, Refusal):
                refused.append(RowError(line, "order_id", order.order_id, outcome.detail))
        self.tally.add_errors(len(batch.errors))
        self.report.add(sorted([*batch.errors, *refused], key=lambda error: error.line))
        self.view.reading(batch.end, self.size_bytes, self.tally)
        self._save(batch.number + 1)

    def _save(self, batches: int) -> None:
        now = trio.current_time()
        if now - self._saved_at >= CHECKPOINT_EVERY_S:
            self._saved_at = now
            self.checkpoints.save(Checkpoint(batches, self.tally, self.report.size_bytes))

    async def wait_for_points(self) -> None:
        """Wait until all recorded orders have their points. Raises `CommandFailed`."""
        least, moved_at = None, trio.current_time()
        while backlog := await self.sink.backlog():
            self.view.crediting(backlog)
            if least is None or backlog < least:
                least, moved_at = backlog, trio.current_time()
            if trio.current_time() - moved_at > BACKLOG_STALLED_S:
                raise CommandFailed(
                    f"{backlog} orders still wait for their points; --log-level warning shows why"
                )
            await trio.sleep(BACKLOG_POLL_S)
