"""What a message inherits from the work that sends it: deadline, trace, chain of askers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from typing import Protocol

import msgspec

from runtime.parking import monotonic


class Ambient(Protocol):
    """The context that is in force: of a request, or of the envelope an actor works on."""

    @property
    def deadline(self) -> float: ...
    @property
    def trace_id(self) -> str | None: ...
    @property
    def asking(self) -> tuple[object, ...]: ...
    @property
    def receiver(self) -> object: ...
    @property
    def number(self) -> int: ...
    @property
    def retries(self) -> object: ...
    @property
    def actor(self) -> object: ...


class Context(msgspec.Struct, frozen=True, eq=False):
    """`deadline` on Trio's clock, `asking` the actors that wait for what happens in here.

    `trace_id` is a trace id, or a W3C traceparent (see `runtime.tracing`). `receiver` is the
    actor whose mailbox stands still meanwhile, if one does; `work_of` the one whose task this is
    beside its mailbox. `retries` are the layers around this work that may repeat it
    (`runtime.policies.retry`). A msgspec struct and not an attrs class because it is made once
    for every batch and every use of the store: a fifth of the time.
    """

    deadline: float = inf
    trace_id: str | None = None
    asking: tuple[object, ...] = ()
    receiver: object = None
    number: int = 0
    retries: object = None
    work_of: object = None

    @property
    def actor(self) -> object:
        """The actor that does this work, if it is one."""
        return self.receiver or self.work_of


def context_of_batch(receiver: object, batch: Sequence[Ambient]) -> Context:
    """The context in which `receiver` handles these together: no deadline, all of their askers."""
    first = batch[0]
    if len(batch) == 1:
        trace_id, number = first.trace_id, first.number
        return Context(inf, trace_id, first.asking, receiver, number, first.retries)
    askers = dict.fromkeys(asker for each in batch for asker in each.asking)
    return Context(inf, first.trace_id, tuple(askers), receiver, first.number)


current: ContextVar[Ambient | None] = ContextVar("loyalnest_context", default=None)


@contextmanager
def request_context(*, deadline: float = inf, trace_id: str | None = None) -> Iterator[Context]:
    """Asks made inside inherit `deadline` (Trio's clock) and `trace_id`."""
    context = Context(deadline, trace_id)
    token = current.set(context)
    try:
        yield context
    finally:
        current.reset(token)


@contextmanager
def under_trace(trace_id: str | None) -> Iterator[None]:
    """What is sent, logged and enqueued inside belongs to this trace; all else is inherited as
    before. None changes nothing."""
    if trace_id is None:
        yield
        return
    ambient = current.get()
    context = Context(trace_id=trace_id) if ambient is None else _traced(ambient, trace_id)
    token = current.set(context)
    try:
        yield
    finally:
        current.reset(token)


def _traced(ambient: Ambient, trace_id: str) -> Context:
    return Context(
        ambient.deadline,
        trace_id,
        ambient.asking,
        ambient.receiver,
        ambient.number,
        ambient.retries,
        ambient.actor,
    )


def time_left_s() -> float:
    """Seconds until the deadline in force; infinity where there is none."""
    ambient = current.get()
    return ambient.deadline - monotonic() if ambient is not None else inf


def current_trace_id() -> str | None:
    """The trace of the work in progress, for what it leads to."""
    ambient = current.get()
    return ambient.trace_id if ambient is not None else None
