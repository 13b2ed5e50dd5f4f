"""Deadlines: how long a call and each of its attempts may take, and that nothing goes without."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

import trio

from runtime.context import Ambient, Context, current
from runtime.errors import Outcome
from runtime.parking import monotonic
from runtime.policies.errors import DeadlineExceeded, NoDeadline

_strict = False


def be_strict(strict: bool) -> bool:
    """Whether calls without a deadline raise `NoDeadline`, as they do in tests; as it was before.

    In production they go on under the limits of the adapters.
    """
    global _strict
    before, _strict = _strict, strict
    return before


def require_deadline(name: str) -> float:
    """The deadline in force, on Trio's clock; adapters ask for it before a call goes out.

    Infinity where there is none. Raises `NoDeadline` instead where that is strict.
    """
    ambient = current.get()
    deadline = ambient.deadline if ambient is not None else inf
    if deadline == inf and _strict:
        raise NoDeadline(f"a call of {name} has no deadline; go through its pipeline")
    return deadline


def narrowed(ambient: Ambient | None, deadline: float, retries: object = None) -> Context:
    """What is in force, with this deadline, and this layer of retries if there is one."""
    if ambient is None:
        return Context(deadline, retries=retries)
    return Context(
        deadline,
        ambient.trace_id,
        ambient.asking,
        ambient.receiver,
        ambient.number,
        retries if retries is not None else ambient.retries,
        ambient.actor,
    )


@contextmanager
def time_limit(name: str, limit_s: float, stage: str = "attempt") -> Iterator[float]:
    """Ends the block after `limit_s`, or at the deadline in force if that is sooner.

    Gives the deadline, on Trio's clock, which everything inside inherits. Raises
    `DeadlineExceeded` when the block was cut off, and at once, with nothing done, when no time
    is left. What shields itself in there is waited for.
    """
    ambient = current.get()
    now = monotonic()
    deadline = now + limit_s
    if ambient is not None and ambient.deadline < deadline:
        deadline = ambient.deadline
    if deadline <= now:
        raise DeadlineExceeded(name, "start", outcome=Outcome.NOT_DELIVERED)
    token = current.set(narrowed(ambient, deadline))
    try:
        with trio.CancelScope(deadline=deadline) as scope:
            yield deadline
    finally:
        current.reset(token)
    if scope.cancelled_caught:
        raise DeadlineExceeded(name, stage)
