"""What a supervisor knows of a child: specification, restart rules, state."""

from collections import deque
from collections.abc import Callable
from enum import Enum
from math import inf
from random import Random
from typing import Any

import attrs

from runtime.actor import Actor
from runtime.cell import Cell
from runtime.exits import ExitReason
from runtime.incarnation import Incarnation
from runtime.mailbox import MailboxSpec

BRUTAL = 0.0
"""`shutdown_s` of a child that is killed without being asked to stop."""

INFINITE = inf
"""`shutdown_s` of a child that may take any time to stop; usual for supervisors."""

DEFAULT_SHUTDOWN_S = 5.0
DEFAULT_START_TIMEOUT_S = 30.0


class Restart(Enum):
    """Which ends of a child lead to a restart: all, unexpected ones, or none."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"

    def applies_to(self, reason: ExitReason) -> bool:
        if self is Restart.TRANSIENT:
            return not reason.expected
        return self is Restart.PERMANENT


class Strategy(Enum):
    """Who is restarted when a child ends: it alone, all children, or it and those after it.

    SIMPLE_ONE_FOR_ONE: like one_for_one, for any number of children made from one template.
    """

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"
    SIMPLE_ONE_FOR_ONE = "simple_one_for_one"


@attrs.frozen
class ChildSpec:
    """How to start, restart and stop a child.

    `start` makes a fresh actor for each incarnation; with SIMPLE_ONE_FOR_ONE it gets the
    arguments of `StartChild`. `name` registers the child's address for `system.ref`.
    """

    id: str
    start: Callable[..., Actor]
    restart: Restart = Restart.PERMANENT
    shutdown_s: float = DEFAULT_SHUTDOWN_S
    mailbox: MailboxSpec = attrs.field(factory=MailboxSpec)
    name: str | None = None
    start_timeout_s: float = DEFAULT_START_TIMEOUT_S


class ChildState(Enum):
    """`RESTARTING` includes the wait of a backoff. `DOWN`: ended and not to be restarted."""

    RUNNING = "running"
    RESTARTING = "restarting"
    DOWN = "down"


@attrs.define(eq=False)
class Child:
    """A child and its present incarnation."""

    spec: ChildSpec
    cell: Cell
    arguments: tuple[Any, ...] = ()
    state: ChildState = ChildState.DOWN
    incarnation: Incarnation | None = None
    starts: int = 0
    last_exit: ExitReason | None = None


@attrs.frozen
class Backoff:
    """Waits between restarts: none before the first of a period, then `initial_s`, doubling
    up to `max_s`, each spread evenly by ± `jitter` of itself."""

    initial_s: float = 0.1
    max_s: float = 5.0
    jitter: float = 0.2

    def delay_s(self, restarts_in_period: int, random: Random) -> float:
        if restarts_in_period <= 1:
            return 0.0
        delay = min(self.max_s, self.initial_s * 2.0 ** (restarts_in_period - 2))
        return delay * random.uniform(1 - self.jitter, 1 + self.jitter)


@attrs.define
class Intensity:
    """At most `limit` restarts in any `period_s`, counted in a sliding window."""

    limit: int
    period_s: float
    _times: deque[float] = attrs.field(factory=deque)

    def admit(self, now: float) -> bool:
        """Count a restart at `now`; false when it is one too many."""
        while self._times and self._times[0] <= now - self.period_s:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self.limit

    @property
    def count(self) -> int:
        """Restarts in the window, as of the last `admit`."""
        return len(self._times)
