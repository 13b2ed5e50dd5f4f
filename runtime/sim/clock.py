"""The wall clock of a simulation: it runs with virtual time, and may be set."""

from datetime import UTC, datetime, timedelta

import attrs
import trio

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When simulations begin."""


@attrs.define(eq=False)
class SimulatedClock:
    """`start` at the virtual time 0, and then off by what it was set to. Timers do not see that."""

    start: datetime = START
    offset: timedelta = timedelta()

    def now(self) -> datetime:
        return self.start + self.offset + timedelta(seconds=trio.current_time())

    def jump(self, seconds: float) -> None:
        """Set the clock ahead of the right time, or behind it where `seconds` is negative."""
        self.offset = timedelta(seconds=seconds)

    def heal(self) -> None:
        """Set it right."""
        self.offset = timedelta()
