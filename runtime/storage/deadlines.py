"""How long a query may take: until the deadline in force, or a limit of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, inf

import trio

from runtime.context import current
from runtime.parking import monotonic
from runtime.storage.errors import StorageUnavailable

QUERY_TIMEOUT_S = 2.0
"""For queries of those who have no deadline, such as actors that work on batches."""

STEP_MS = 250
"""The server's own limit is rounded up to it, so that it seldom has to be told another one."""


@contextmanager
def until_deadline() -> Iterator[float]:
    """Ends the block at the deadline, which it gives, on Trio's clock.

    Raises `StorageUnavailable` then.
    """
    ambient = current.get()
    deadline = ambient.deadline if ambient is not None else inf
    if deadline == inf:
        deadline = monotonic() + QUERY_TIMEOUT_S
    with trio.CancelScope(deadline=deadline) as scope:
        yield deadline
    if scope.cancelled_caught:
        raise StorageUnavailable("the database took too long")


def server_timeout_ms(deadline: float) -> int:
    """What is left until `deadline` in whole steps, at least one."""
    return max(1, ceil((deadline - monotonic()) * 1000 / STEP_MS)) * STEP_MS
