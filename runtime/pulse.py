"""The pulse of the loop: whether it still turns, and how late it wakes those who sleep."""

from typing import Final

import attrs
import trio

from runtime.actor import Actor
from runtime.exits import ExitReason
from runtime.parking import monotonic

BEAT_S: Final = 0.1

STALLED_S: Final = 5.0
"""A loop that has not beaten for so long counts as stalled."""


@attrs.define
class Pulse:
    """Beaten inside the loop. Other threads may read `beats`: it grows as long as the loop turns.

    `beaten_at` is on Trio's clock, and None before the first beat.
    """

    beats: int = 0
    beaten_at: float | None = None

    def beat(self) -> None:
        self.beats += 1
        self.beaten_at = monotonic()

    def rest(self) -> None:
        """Nobody beats any more, and that is no stall."""
        self.beaten_at = None

    @property
    def stalled(self) -> bool:
        """Whether the last beat is too long ago; to be asked inside the loop.

        Code that runs in the loop can ask only when the loop has turned again, so this is true
        for a moment after a stall, and while the heart alone gets no turn.
        """
        return self.beaten_at is not None and monotonic() - self.beaten_at > STALLED_S


class Heart(Actor):
    """Beats every `BEAT_S` and measures by how much it wakes too late: the lag of the loop."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    async def started(self) -> None:
        self._pulse.beat()
        self.start_task(self._beat)

    async def stopped(self, reason: ExitReason) -> None:
        self._pulse.rest()

    async def _beat(self) -> None:
        due = monotonic()
        while True:
            due += BEAT_S
            await trio.sleep_until(due)
            self._pulse.beat()
            now = monotonic()
            self.system.metrics.loop_lag.observe(max(0.0, now - due))
            due = max(due, now - BEAT_S)
