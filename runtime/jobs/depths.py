"""How deep each queue is: counted now and then, and kept up to date in between."""

from collections.abc import Mapping
from datetime import datetime

import attrs
import structlog

from runtime.jobs.messages import QueueDepth
from runtime.jobs.model import LIVE, JobState, QueuePolicy

log = structlog.get_logger("loyalnest.jobs")

FILLING = 0.8
"""Part of `depth_max` from which a queue is said to be filling up."""


@attrs.define
class Depths:
    """The depths as last counted, and what was enqueued here since."""

    _policies: Mapping[str, QueuePolicy]
    _counts: dict[str, dict[JobState, int]] = attrs.field(factory=dict)
    _added: dict[str, int] = attrs.field(factory=dict)
    _oldest: dict[str, datetime] = attrs.field(factory=dict)
    _filling: set[str] = attrs.field(factory=set)
    _seen: set[str] = attrs.field(factory=set)
    _moving: set[str] = attrs.field(
        default=attrs.Factory(lambda own: set(own._policies), takes_self=True)
    )

    def counted(
        self, counts: dict[str, dict[JobState, int]], oldest: dict[str, datetime]
    ) -> list[str]:
        """Replace what was known. Those queues of which something may be new: all at first, then
        those that hold anything, or did when they were last counted."""
        new = sorted(self._moving | self._added.keys() | counts.keys())
        self._counts, self._oldest = counts, oldest
        self._added = {}
        self._seen |= counts.keys()
        self._moving = set(counts)
        for queue in new:
            self._watch(queue)
        return new

    def added(self, queue: str) -> None:
        """A job was enqueued here."""
        self._added[queue] = self._added.get(queue, 0) + 1
        self._watch(queue)

    def queues(self) -> list[str]:
        """Every queue that is declared or has had jobs, by name."""
        return sorted({*self._policies, *self._seen})

    def count(self, queue: str, state: JobState) -> int:
        return self._counts.get(queue, {}).get(state, 0)

    def depth(self, queue: str, now: datetime) -> QueueDepth:
        live = self._live(queue)
        depth_max = self.depth_max(queue)
        oldest = self._oldest.get(queue, now)
        return QueueDepth(
            queue=queue,
            depth=live,
            depth_max=depth_max,
            filling=live >= FILLING * depth_max,
            full=live >= depth_max,
            dead=self.count(queue, JobState.DEAD),
            oldest_age_s=max(0.0, (now - oldest).total_seconds()),
        )

    def depth_max(self, queue: str) -> int:
        """A queue that another process runs has the usual bound here."""
        policy = self._policies.get(queue)
        return (policy or QueuePolicy(name=queue)).depth_max

    def _live(self, queue: str) -> int:
        return sum(self.count(queue, state) for state in LIVE) + self._added.get(queue, 0)

    def _watch(self, queue: str) -> None:
        """Warn once when a queue fills up; again only after it was less full."""
        live, depth_max = self._live(queue), self.depth_max(queue)
        if live < FILLING * depth_max:
            self._filling.discard(queue)
        elif queue not in self._filling:
            self._filling.add(queue)
            log.warning("queue_filling", queue=queue, depth=live, depth_max=depth_max)
