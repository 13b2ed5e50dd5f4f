"""The order in which work is given up when there is too much of it."""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Priority(Enum):
    """From what goes last to what goes first. The values are labels of metrics."""

    PROBES = "probes"
    WEBHOOKS = "webhooks"
    WRITES = "writes"
    READS = "reads"
    DASHBOARDS = "dashboards"

    __hash__ = object.__hash__
    """Members are unique; that of `Enum` is slower, and shows where requests are refused."""


SHARES: Final[Mapping[Priority, float]] = {
    Priority.WEBHOOKS: 1.0,
    Priority.WRITES: 0.9,
    Priority.READS: 0.75,
    Priority.DASHBOARDS: 0.4,
}
"""How far the limit may be used up when work of a priority is admitted. What is left above that
is for those of higher priority. Probes do not count in the limit."""
