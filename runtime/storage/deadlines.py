"""How long a query may take: until the deadline in force, or a limit of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import ceil, inf

import trio

from runtime.context import current
from runtime.parking import monotonic
from runtime.policies.deadline import narrowed, require_deadline
from runtime.storage.errors import StorageUnavailable
from runtime.storage.policies import DEPENDENCY

QUERY_TIMEOUT_S = 2.0
"""For queries that neither a pipeline nor anybody else has given a deadline."""

STEP_MS = 250
"""The server's own limit is rounded up to it, so that it seldom has to be told another one."""

TOOK_TOO_LONG = "the database took too long"

_patience_s: ContextVar[float | None] = ContextVar("loyalnest_patience", default=None)


def patience_s() -> float | None:
    """What `patient` allows, where it does."""
    return _patience_s.get()


@contextmanager
def patient(limit_s: float) -> Iterator[None]:
    """Each query in the block may take `limit_s`, instead of what its pipeline allows.

    For those that nobody waits for at a counter, such as a verification. A deadline in force
    still holds.
    """
    token = _patience_s.set(limit_s)
    try:
        yield
    finally:
        _patience_s.reset(token)


@contextmanager
def until_deadline() -> Iterator[float]:
    """Ends the block at the deadline, which it gives, on Trio's clock.

    Raises `StorageUnavailable` then.
    """
    deadline = require_deadline(DEPENDENCY)
    if deadline == inf:
        deadline = monotonic() + QUERY_TIMEOUT_S
    with trio.CancelScope(deadline=deadline) as scope:
        yield deadline
    if scope.cancelled_caught:
        raise StorageUnavailable(TOOK_TOO_LONG)


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Everything in the block ends after `limit_s`, with `StorageUnavailable`; for those who use
    a store before it has a pipeline."""
    ambient = current.get()
    deadline = monotonic() + limit_s
    if ambient is not None:
        deadline = min(deadline, ambient.deadline)
    token = current.set(narrowed(ambient, deadline))
    try:
        with until_deadline():
            yield
    finally:
        current.reset(token)


def server_timeout_ms(deadline: float) -> int:
    """What is left until `deadline` in whole steps, at least one."""
    return max(1, ceil((deadline - monotonic()) * 1000 / STEP_MS)) * STEP_MS
