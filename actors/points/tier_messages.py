"""What may be said of tiers: how members qualify, which they have, and what is missing."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call

TIERS = "points.tiers"
"""Name of the actor that keeps tier programs and the tiers of members."""

TIER_CHANGED = "points.tier_changed"
"""Topic of the outbox event that follows every change of a member's tier; payload:
`TierChange`."""

TIERS_MAX = 20


class Metric(Enum):
    """What counts: the money of orders that earned points, or the points that were earned. Both
    without what was taken back."""

    SPEND = "spend"
    POINTS = "points"


class CalendarUnit(Enum):
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@attrs.frozen(kw_only=True)
class Window:
    """The time in which it counts: the last `rolling_days`, or the `calendar` unit (UTC) that is
    under way. One of the two."""

    rolling_days: int | None = None
    calendar: CalendarUnit | None = None


class Downgrade(Enum):
    """When a member who no longer qualifies loses the tier.

    At once; when the time is over for which it was kept (`rolling_days` after it was last
    qualified for, or the end of the calendar unit after that), to the tier qualified for then or by
    one step at a time; or never.
    """

    IMMEDIATE = "immediate"
    PERIOD_END = "period_end"
    ONE_STEP = "one_step"
    NEVER = "never"


@attrs.frozen(kw_only=True)
class Tier:
    """`threshold` in minor units of money or in points."""

    tier_id: str
    name: str
    threshold: int


@attrs.frozen(kw_only=True)
class TierTerms:
    """A merchant's tiers, the lowest first. `currency` is that of the spend that counts."""

    metric: Metric
    window: Window
    downgrade: Downgrade
    tiers: tuple[Tier, ...]
    currency: str | None = None


@attrs.frozen
class TierProgram:
    """Version 0 has no terms: the merchant has no tiers."""

    version: int
    terms: TierTerms | None


@attrs.frozen
class GetTiers(Call[TierProgram]):
    merchant_id: str


@attrs.frozen
class PutTiers(Call[TierProgram | Refusal]):
    """Add the next version. Members are looked at anew by and by, and when they are asked for."""

    merchant_id: str
    terms: TierTerms


@attrs.frozen(kw_only=True)
class Standing:
    """A member's tier as of `as_of`, and the way to the next one.

    `qualifying` is what counts since `counts_from`. A tier that is not qualified for any more is
    kept until `kept_until` (None: for good, or not at all). `missing` until `next_tier`.
    """

    customer_id: str
    tier: Tier | None
    since: datetime | None
    kept_until: datetime | None
    metric: Metric
    qualifying: int
    counts_from: datetime
    next_tier: Tier | None
    missing: int
    program_version: int
    as_of: datetime


@attrs.frozen
class GetStanding(Call[Standing | Refusal]):
    merchant_id: str
    customer_id: str


@attrs.frozen(kw_only=True)
class TierChange:
    """`number` counts a member's changes. None: no tier."""

    customer_id: str
    number: int
    from_tier: str | None
    to_tier: str | None
    qualifying: int
    program_version: int
    changed_at: datetime


@attrs.frozen
class ListTierChanges(Call[Page[TierChange] | Refusal]):
    """Newest first."""

    merchant_id: str
    customer_id: str
    limit: int = 50
    cursor: str | None = None
