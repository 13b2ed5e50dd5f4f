"""How much is done in one step, and how long the rest after it is."""

from typing import Final

import attrs
import trio

from runtime.foreground import Foreground

SLICE: Final = 500
"""Customers of a step while nobody waits for the store: a transaction of some 20 ms."""

SLICE_BESIDE: Final = 10
"""While people do: as long as a step takes, somebody may have to wait longer than usual."""

REST_BESIDE_S: Final = 0.05
REST_SHARE: Final = 10.0
REST_MAX_S: Final = 0.5
"""Beside people, the job rests after each step for so long, or for this share of the time that the
step took if that is more, so that most of them meet no step at all, and goes on in a quiet moment.
Alone it goes on at once."""


@attrs.frozen
class Pace:
    """Of a job. `most` bounds its steps, whoever waits."""

    _foreground: Foreground
    most: int = SLICE

    @property
    def customers(self) -> int:
        """Of the next step."""
        return min(self.most, SLICE_BESIDE) if self._foreground.busy else self.most

    async def rest(self, took_s: float) -> None:
        """After a step that took so long. A checkpoint in any case."""
        if self._foreground.busy:
            await trio.sleep(min(REST_MAX_S, max(REST_BESIDE_S, took_s * REST_SHARE)))
            await self._foreground.quiet()
        else:
            await trio.lowlevel.checkpoint()
