"""Points as other domains hear of them, for merchants that somebody follows."""

from datetime import datetime

import attrs

from runtime.message import Call

FOLLOWING = "points.following"
"""Name of the actor that notes for which merchants to tell of points."""

POINTS_POSTED = "points.posted"
"""Topic of the outbox event that tells of points that were earned, or taken back again, for
merchants that are followed; payload: `PointsPosted`."""


@attrs.frozen
class FollowPoints(Call[None]):
    """To `FOLLOWING`: tell of this merchant's points from now on. Again is harmless."""

    merchant_id: str


@attrs.frozen(kw_only=True)
class PostedPoints:
    """`amount` is signed. `earned_by` is the earning that this is, or, where points were
    `taken_back`, the one that they had come from."""

    transaction_id: str
    earned_by: str
    amount: int
    taken_back: bool
    effective_at: datetime


@attrs.frozen
class PointsPosted:
    """Payload of the outbox event: what one entry did. Events of a customer come in the order of
    the ledger."""

    customer_id: str
    postings: tuple[PostedPoints, ...]
