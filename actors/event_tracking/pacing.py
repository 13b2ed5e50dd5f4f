"""How much is drained at a time, and how long the database is left alone in between."""

from typing import Final

import attrs

from runtime.foreground import Foreground
from runtime.parking import monotonic

KIB: Final = 1024


@attrs.frozen
class Manner:
    """Batches grow until a transaction takes `write_s`, from `bytes_first` up to `bytes_max`, and
    shrink where it takes twice that. `share` is of the time, in which it writes."""

    write_s: float
    bytes_first: int
    bytes_max: int
    share: float


BYTES_MIN: Final = 256 * KIB
"""Some 800 events. The fewer a transaction has, the more each of them costs: nearly each writes a
page in each of the indexes, which it would share with others."""

BESIDE: Final = Manner(write_s=0.04, bytes_first=512 * KIB, bytes_max=2_048 * KIB, share=0.7)
"""While people wait for the store. A writer of SQLite waits for a transaction under way, and the
busier the database is, the longer it is left alone."""

ALONE: Final = Manner(write_s=0.8, bytes_first=2_048 * KIB, bytes_max=8_192 * KIB, share=1.0)
"""While nobody does. Twice as many events at once write two thirds as much to SQLite's log; who
comes first waits for as long."""


@attrs.define(eq=False)
class Pace:
    _foreground: Foreground
    _bytes: dict[Manner, int] = attrs.field(factory=dict)
    _wrote_s: float = 0.0

    @property
    def manner(self) -> Manner:
        return BESIDE if self._foreground.busy else ALONE

    @property
    def batch_bytes(self) -> int:
        """Of the next transaction."""
        return self._bytes.get(self.manner, self.manner.bytes_first)

    def begin(self) -> float:
        """A step begins; the time, for `rest_s`."""
        self._wrote_s = 0.0
        return monotonic()

    def wrote(self, took_s: float) -> None:
        """A transaction took so long."""
        self._wrote_s = took_s
        manner, size = self.manner, self.batch_bytes
        if took_s > 2 * manner.write_s:
            self._bytes[manner] = max(BYTES_MIN, size // 2)
        elif took_s < manner.write_s:
            self._bytes[manner] = min(manner.bytes_max, size * 5 // 4)

    def rest_s(self, began: float) -> float:
        """How long to rest after a step, of which all but the writing counts as rest."""
        return max(0.0, began + self._wrote_s / self.manner.share - monotonic())
