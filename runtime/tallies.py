"""Counters and histograms for one thread: those of Prometheus, at a third of their price.

Whatever happens in the program is counted on its loop, several times in each request. Prometheus's
own take a lock for each number, since others may be counted by several threads.
"""

from bisect import bisect_left
from typing import Any

import prometheus_client


class Counter(prometheus_client.Counter):
    """Counts in the thread of the loop, and nowhere else."""

    def inc(self, amount: float = 1, exemplar: Any = None) -> None:
        """Count so many more. Raises `ValueError` for less than 0; there are no exemplars."""
        if amount < 0:
            raise ValueError("a counter counts up")
        self._value._value += amount


class Histogram(prometheus_client.Histogram):
    """Observes in the thread of the loop, and nowhere else."""

    def observe(self, amount: float, exemplar: Any = None) -> None:
        """Put it into its bucket; there are no exemplars."""
        self._sum._value += amount
        self._buckets[bisect_left(self._upper_bounds, amount)]._value += 1
