"""Campaigns' segments are those of the analytics domain."""

from collections.abc import Sequence

import attrs

from actors.campaign.segments import PinnedRun, SegmentsGone
from actors.rfm_analytics.messages import QUERIES, GetNewestRun, ListMembers
from actors.vocabulary import Refusal
from runtime.system import ActorSystem


@attrs.frozen
class RfmSegments:
    """Asks `rfm_analytics`. A place in several segments is the number of one, and a customer in
    it: they are read one after another."""

    async def newest(self, system: ActorSystem, merchant_id: str) -> PinnedRun | None:
        run = await system.ref(QUERIES).ask(GetNewestRun(merchant_id))
        if run is None:
            return None
        return PinnedRun(run.run_id, run.as_of, run.fresh(system.clock.now()))

    async def members(
        self,
        system: ActorSystem,
        merchant_id: str,
        run_id: str,
        segments: Sequence[str],
        after: str,
    ) -> tuple[tuple[str, ...], str | None]:
        """See `SegmentSource`."""
        number, _, behind = after.partition(":")
        index = int(number or 0)
        if index >= len(segments):
            return (), None
        question = ListMembers(merchant_id, run_id, segments[index], behind)
        found = await system.ref(QUERIES).ask(question)
        if isinstance(found, Refusal):
            raise SegmentsGone(run_id)
        if found.next_after is not None:
            return found.customer_ids, f"{index}:{found.next_after}"
        following = f"{index + 1}:" if index + 1 < len(segments) else None
        return found.customer_ids, following
