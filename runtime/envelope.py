"""The envelope every message travels in."""

from __future__ import annotations

from enum import IntEnum
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Protocol

import msgspec
from trio.lowlevel import Task, reschedule

from runtime.parking import WOKEN

if TYPE_CHECKING:
    from runtime.cell import Cell

next_number = count(1).__next__
"""Numbers envelopes within the process, for causation."""


class Work(Protocol):
    """What is done for an envelope: a cancel scope, or anything else that can be called off."""

    def cancel(self) -> None: ...


class EnvelopeState(IntEnum):
    """`TAKEN`: the receiver has begun to work on it, so it may have an effect."""

    QUEUED = 0
    TAKEN = 1
    DONE = 2


QUEUED, TAKEN, DONE = EnvelopeState


class Envelope(msgspec.Struct, eq=False, gc=False, kw_only=True):
    """A message on its way.

    `deadline` is on Trio's clock, `asking` are the actors that wait for the answer, `causation`
    is the number of the envelope that its sender was working on (0: none). A `plain` one needs
    nothing but its message handled: no answer, no deadline, no timing. `scope` is that of the
    work, where it is not the receiver's main one: it is cancelled when nobody waits any more.
    A msgspec struct and not an attrs class because it is made once per message: 80 ns against
    160 ns, and not tracked by the garbage collector, so whoever ends a wait also clears what
    could close a cycle (`asker`, `answer`, `error`).
    """

    message: object
    receiver: Cell
    number: int
    causation: int = 0
    plain: bool = False
    deadline: float = inf
    trace_id: str | None = None
    asking: tuple[object, ...] = ()
    retries: object = None
    state: EnvelopeState = QUEUED
    asker: Task | None = None
    waiting: set[Envelope] | None = None
    scope: Work | None = None
    sent_at: float = 0.0
    answer: object = None
    error: BaseException | None = None

    @property
    def actor(self) -> Cell:
        """Whoever works on it."""
        return self.receiver

    @property
    def expects_reply(self) -> bool:
        """Whether somebody still waits for an answer."""
        return self.asker is not None

    @property
    def withdrawn(self) -> bool:
        """Whether it was an ask, and its asker has gone or was told that it expired."""
        return self.asker is None and self.waiting is not None

    def reply(self, value: object) -> None:
        """Answer; without effect when nobody waits any more."""
        self.state = DONE
        asker = self.asker
        if asker is not None:
            self.asker = None
            self.answer = value
            if self.waiting is not None:
                self.waiting.discard(self)
            if asker.custom_sleep_data is self:
                reschedule(asker, WOKEN)

    def fail(self, error: BaseException) -> None:
        """Answer with an exception, which the asker's `ask` raises."""
        if self.asker is not None:
            self.error = error
        self.reply(None)

    def abandon(self) -> None:
        """The asker has gone: drop the message if it is unread, or cancel the work on it."""
        self.asker = self.answer = self.error = None
        if self.waiting is not None:
            self.waiting.discard(self)
        if self.state is QUEUED:
            self.receiver.withdraw(self)
        elif self.state is TAKEN:
            self._cancel_work()

    def time_out(self, error: BaseException) -> None:
        """As `abandon`, but the asker is there, and gets `error`."""
        state = self.state
        self.fail(error)
        if state is QUEUED:
            self.receiver.withdraw(self)
        elif state is TAKEN:
            self._cancel_work()

    def _cancel_work(self) -> None:
        if self.scope is not None:
            self.scope.cancel()
        else:
            self.receiver.cancel_work(self)
