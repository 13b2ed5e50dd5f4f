"""An actor's timers: messages to itself, later."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import attrs
import trio

from runtime.system_messages import SystemMessage

if TYPE_CHECKING:
    from runtime.incarnation import Incarnation


@attrs.frozen(eq=False)
class TimerFired(SystemMessage):
    """A timer's message; read only if the timer was not cancelled or restarted meanwhile."""

    key: Hashable
    message: object


@attrs.define
class Timers:
    """Timers by key; starting a key again replaces the timer. They end with the actor.

    Timers run on Trio's clock. A message that is due goes through the system lane, so that a
    full mailbox cannot lose it.
    """

    _incarnation: Incarnation
    _scopes: dict[Hashable, trio.CancelScope] = attrs.field(factory=dict)
    _due: dict[Hashable, TimerFired] = attrs.field(factory=dict)

    def start(
        self, key: Hashable, delay_s: float, message: object, *, periodic: bool = False
    ) -> None:
        """Send `message` to the actor after `delay_s`, and every `delay_s` when periodic.

        A periodic timer that fires while its last message is still unread skips that beat.
        """
        self.cancel(key)
        scope = self._scopes[key] = trio.CancelScope()
        self._incarnation.start_task(self._run, key, delay_s, message, periodic, scope)

    def cancel(self, key: Hashable) -> None:
        """Stop the timer; a message of it that is due but unread is not read either."""
        self._due.pop(key, None)
        scope = self._scopes.pop(key, None)
        if scope is not None:
            scope.cancel()

    def claim(self, fired: TimerFired) -> bool:
        """Whether `fired` still counts; it does not count twice."""
        if self._due.get(fired.key) is not fired:
            return False
        del self._due[fired.key]
        return True

    async def _run(
        self,
        key: Hashable,
        delay_s: float,
        message: object,
        periodic: bool,
        scope: trio.CancelScope,
    ) -> None:
        with scope:
            while True:
                await trio.sleep(delay_s)
                if key not in self._due:
                    fired = self._due[key] = TimerFired(key, message)
                    self._incarnation.cell.signal(fired)
                if not periodic:
                    del self._scopes[key]
                    return
