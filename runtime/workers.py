"""Workers: an actor that handles several messages at the same time, up to a bound."""

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import structlog
import trio

from runtime.actor import Actor
from runtime.cell import Cell
from runtime.context import Context, current
from runtime.envelope import QUEUED, TAKEN, Envelope
from runtime.errors import ActorDown, AskTimeout, Outcome

log = structlog.get_logger("loyalnest.workers")


@attrs.frozen(eq=False)
class Work:
    """What one task of an actor works on; see `runtime.overtime.AtWork`."""

    actor: Actor
    cell: Cell
    envelope: Envelope

    def in_hand(self) -> Envelope:
        return self.envelope


class Workers(Actor):
    """A bulkhead: each message is handled by `receive` in a task of its own.

    At most `concurrency` at once; the others wait in the mailbox. A task runs in a scope that
    ends at its sender's deadline. One that raises answers its asker with `ActorDown` (outcome
    unknown) and is logged, or with the error itself where `passes_on` says so; its neighbours
    and the actor go on.
    """

    batch_max: ClassVar[int] = 64
    concurrent: ClassVar[bool] = True
    concurrency: ClassVar[int] = 16

    def __init__(self) -> None:
        self._permits = trio.Semaphore(self.concurrency)

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        for envelope in batch:
            envelope.state = QUEUED
        for envelope in batch:
            await self._permits.acquire()
            if envelope.withdrawn:
                self._permits.release()
                envelope.receiver.put_back(envelope)
                continue
            envelope.state = TAKEN
            self.start_task(self._handle, envelope)

    async def _handle(self, envelope: Envelope) -> None:
        try:
            if envelope.withdrawn:  # since the task was started
                envelope.receiver.put_back(envelope)
            else:
                await self._measured(envelope)
        finally:
            self._permits.release()

    async def _measured(self, envelope: Envelope) -> None:
        if envelope.sent_at:
            self._incarnation.begin_timing(envelope)
        work = Work(self, self._incarnation.cell, envelope)
        self.system.overtime.begin(work)
        try:
            with self._incarnation.handling((envelope,)):
                await self._work_on(envelope)
        finally:
            self.system.overtime.end(work)
        if envelope.sent_at:
            self._incarnation.end_timing(envelope)

    async def _work_on(self, envelope: Envelope) -> None:
        current.set(
            Context(
                deadline=envelope.deadline,
                trace_id=envelope.trace_id,
                asking=envelope.asking,
                number=envelope.number,
                retries=envelope.retries,
                work_of=self._incarnation.cell,
            )
        )
        try:
            with trio.CancelScope(deadline=envelope.deadline) as scope:
                envelope.scope = scope
                envelope.reply(await self.receive(envelope.message))
            if scope.cancelled_caught:
                gone = envelope.asker is None and envelope.state is TAKEN
                envelope.receiver.failed += not gone
                envelope.fail(self._too_late(envelope.message))
        except self.passes_on as error:
            envelope.receiver.failed += 1
            envelope.fail(error)
        except Exception as error:
            self._failed(envelope, error)

    def _too_late(self, message: Any) -> AskTimeout:
        return AskTimeout(self.ref.address, message, "deadline passed while it was worked on")

    def _failed(self, envelope: Envelope, error: Exception) -> None:
        envelope.receiver.failed += 1
        name = type(envelope.message).__name__
        log.error("worker_failed", actor=self.ref.address, message=name, exc_info=error)
        detail = f"failed: {type(error).__name__}"
        envelope.fail(
            ActorDown(self.ref.address, envelope.message, detail, outcome=Outcome.UNKNOWN)
        )
