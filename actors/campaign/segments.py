"""What campaigns need of the domain that has the segments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import attrs

from runtime.system import ActorSystem


@attrs.frozen
class PinnedRun:
    """A run whose segments never change. `fresh`: young enough to act upon."""

    run_id: str
    as_of: datetime
    fresh: bool


class SegmentSource(Protocol):
    """Asks for segments. What it raises are errors of asks and of the store."""

    async def newest(self, system: ActorSystem, merchant_id: str) -> PinnedRun | None:
        """The run that is served; None where there was none yet."""

    async def members(
        self,
        system: ActorSystem,
        merchant_id: str,
        run_id: str,
        segments: Sequence[str],
        after: str,
    ) -> tuple[tuple[str, ...], str | None]:
        """Some of the customers in one of `segments`, and what to go on with as `after`; None at
        the end. Raises `SegmentsGone` when the run's members are not kept any more."""


class SegmentsGone(Exception):
    """The run's members are not kept any more."""
