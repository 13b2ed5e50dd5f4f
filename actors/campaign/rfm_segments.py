"""Segments as the domain that scores customers has them."""

from collections.abc import Sequence

import attrs

from actors.campaign.segments import PinnedRun, SegmentsGone
from actors.rfm_analytics.messages import QUERIES, GetNewestRun, ListMembers
from actors.vocabulary import Refusal
from runtime.system import ActorSystem


@attrs.frozen
class RfmSegments:
    """The `SegmentSource` of the application."""

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
        """One segment after another: `after` is the place of the segment, and the customer."""
        place, _, customer_id = after.partition(":")
        number = int(place or "0")
        question = ListMembers(merchant_id, run_id, segments[number], customer_id)
        answer = await system.ref(QUERIES).ask(question)
        if isinstance(answer, Refusal):
            raise SegmentsGone(answer.detail)
        if answer.next_after is not None:
            return answer.customer_ids, f"{number}:{answer.next_after}"
        following = number + 1
        return answer.customer_ids, f"{following}:" if following < len(segments) else None
