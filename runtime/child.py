"""The specification of a child: how to start it, when to restart it, how to stop it."""

import inspect
from collections.abc import Callable
from enum import Enum
from math import inf
from random import Random
from typing import Any

import attrs

from runtime.actor import Actor
from runtime.errors import StartFailed
from runtime.exits import ExitReason
from runtime.mailbox import MailboxSpec
from runtime.starting import Ignore

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


class ChildType(Enum):
    """`SUPERVISOR` makes `shutdown_s` infinite by default."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


def _default_shutdown_s(spec: "ChildSpec") -> float:
    return INFINITE if spec.type is ChildType.SUPERVISOR else DEFAULT_SHUTDOWN_S


@attrs.frozen
class ChildSpec:
    """How to start, restart and stop a child. Plain data: the supervisor that takes it checks it.

    `start` makes a fresh actor for each incarnation, or says `IGNORE`; what it raises, and
    anything else it returns, is a failed start. With SIMPLE_ONE_FOR_ONE it gets the arguments
    of `StartChild`. `name` registers the child's address for `system.ref`. `shutdown_s` is
    5 s, or infinite for what is declared a supervisor. Without a `type`, a child counts as a
    supervisor when its actor is one. `significant` children end their supervisor, see
    `AutoShutdown`.
    """

    id: str
    start: Callable[..., Actor | Ignore]
    restart: Restart = Restart.PERMANENT
    type: ChildType | None = attrs.field(default=None, kw_only=True)
    shutdown_s: float = attrs.field(default=attrs.Factory(_default_shutdown_s, takes_self=True))
    mailbox: MailboxSpec = attrs.field(factory=MailboxSpec)
    name: str | None = None
    start_timeout_s: float = DEFAULT_START_TIMEOUT_S
    significant: bool = attrs.field(default=False, kw_only=True)

    def make(self, arguments: tuple[Any, ...] = ()) -> Actor | Ignore:
        """A fresh actor, or `IGNORE`. Raises what `start` raises, and `StartFailed` for junk."""
        made: object = self.start(*arguments)
        if isinstance(made, Actor | Ignore):
            return made
        if inspect.iscoroutine(made):
            made.close()
        raise StartFailed(f"start of {self.id} returned {type(made).__name__}, not an actor")


class ChildState(Enum):
    """`RESTARTING` includes the wait of a backoff. `DOWN`: not running and not to be started,
    or not before those in front of it, when a group is restarted."""

    RUNNING = "running"
    RESTARTING = "restarting"
    DOWN = "down"


@attrs.frozen
class Backoff:
    """Waits between the restarts of a child: none before the first of a period, then `initial_s`,
    doubling up to `max_s`, each spread evenly by ± `jitter` of itself."""

    initial_s: float = 0.1
    max_s: float = 5.0
    jitter: float = 0.2

    def delay_s(self, restarts_in_period: int, random: Random) -> float:
        if restarts_in_period <= 1:
            return 0.0
        exponent = min(restarts_in_period - 2, _EXPONENT_MAX)
        delay = min(self.max_s, self.initial_s * 2.0**exponent)
        return delay * random.uniform(1 - self.jitter, 1 + self.jitter)


_EXPONENT_MAX = 64
"""Beyond any `max_s`; an unbounded one would overflow after a thousand restarts."""
