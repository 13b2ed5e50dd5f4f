"""What a campaign is: its effect, when it runs, for whom, and what it may cost."""

from datetime import datetime, time
from enum import Enum

import attrs

MAX_PERCENT = 10_000
MAX_BONUS = 10**6
MAX_REPEATS = 1_000
MAX_LISTED = 1_000
"""Customers in an explicit list."""

MAX_CONDITIONS = 10
MAX_PRIORITY = 1_000
MAX_DAYS_BEFORE = 90


class CampaignKind(Enum):
    """The first three are rules on earn, the others send messages."""

    MULTIPLIER = "multiplier"
    FIXED_BONUS = "fixed_bonus"
    GOAL = "goal"
    BROADCAST = "broadcast"
    AUTOMATION = "automation"


RULE_KINDS = frozenset({CampaignKind.MULTIPLIER, CampaignKind.FIXED_BONUS, CampaignKind.GOAL})


@attrs.frozen(kw_only=True)
class Multiplier:
    """An order's own points times `percent` / 100: 200 doubles them. What it adds is rounded
    down."""

    percent: int


@attrs.frozen(kw_only=True)
class FixedBonus:
    """`points` for each order whose eligible total is at least `order_min_minor`."""

    points: int
    order_min_minor: int = 0


class GoalMetric(Enum):
    """What counts towards a goal: orders, or the minor units of their eligible totals."""

    ORDERS = "orders"
    SPEND = "spend"


@attrs.frozen(kw_only=True)
class Goal:
    """`points` each time a member's count reaches another `target`, `repeats_max` times at most."""

    metric: GoalMetric
    target: int
    points: int
    repeats_max: int = 1


class SendChannel(Enum):
    EMAIL = "email"
    SMS = "sms"
    WEBHOOK = "webhook"


@attrs.frozen(kw_only=True)
class Content:
    """What is sent: templates. Only e-mail has a `subject`, and may have `html` beside the plain
    `body`."""

    channel: SendChannel
    body: str
    subject: str | None = None
    html: str | None = None


@attrs.frozen(kw_only=True)
class Broadcast:
    """One message to every member of the audience."""

    content: Content


class Trigger(Enum):
    BIRTHDAY = "birthday"
    POINTS_EXPIRING = "points_expiring"
    TIER_CHANGED = "tier_changed"


@attrs.frozen(kw_only=True)
class Automation:
    """A message whenever `trigger` concerns a member. `days_before` is how early that is said of a
    birthday or of points that expire."""

    trigger: Trigger
    content: Content
    days_before: int = 0


@attrs.frozen(kw_only=True)
class QuietHours:
    """From `begins` to `ends`, local times of the schedule's zone, perhaps across midnight, nothing
    is sent."""

    begins: time
    ends: time


@attrs.frozen(kw_only=True)
class Schedule:
    """Local times (without an offset) in an IANA `zone`.

    Without `starts_at` a campaign begins when it is started, without `ends_at` it runs until it is
    ended. A time that a change of clocks leaves out comes later by the length of the gap; of one
    that exists twice the first counts.
    """

    zone: str = "UTC"
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    quiet: QuietHours | None = None


class AudienceKind(Enum):
    ALL = "all"
    SEGMENT = "segment"
    TIER = "tier"
    FILTER = "filter"
    LIST = "list"


class Attribute(Enum):
    """What a filter may look at, of a customer at the time of the start: number and eligible
    spend (minor units, net of refunds, in the merchant's currency) of orders that were not
    cancelled, whole days since the last one, and since the customer was created."""

    ORDERS = "orders"
    SPEND_MINOR = "spend_minor"
    DAYS_SINCE_ORDER = "days_since_order"
    DAYS_SINCE_CREATED = "days_since_created"


class Comparison(Enum):
    AT_LEAST = "at_least"
    AT_MOST = "at_most"


@attrs.frozen(kw_only=True)
class Condition:
    attribute: Attribute
    comparison: Comparison
    value: int


@attrs.frozen(kw_only=True)
class Audience:
    """Who it is for; frozen when the campaign starts, except for `ALL` of a rule on earn, which
    is everybody at any time.

    `names` are the segments or tiers, or the customers of a list; `conditions` all hold for those
    of a filter.
    """

    kind: AudienceKind = AudienceKind.ALL
    names: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


EVERYBODY = Audience()


@attrs.frozen(kw_only=True)
class Budget:
    """What may be spent at most; None: no limit. `count` counts bonuses given, or messages sent;
    `money_minor` is what they cost, by the `unit_cost_minor` of the campaign."""

    points: int | None = None
    money_minor: int | None = None
    count: int | None = None


UNLIMITED = Budget()


@attrs.frozen(kw_only=True)
class Definition:
    """A campaign as its merchant describes it: of the five effects, the one that `kind` names.

    With a `currency` only orders in it count. Of campaigns in one `exclusivity_group` an order
    gets the effect of one: that of the highest `priority`, then of the lowest id, that has any.
    `unit_cost_minor` is what 100 points, or one message, cost, in minor units of `currency`.
    """

    name: str
    kind: CampaignKind
    multiplier: Multiplier | None = None
    fixed_bonus: FixedBonus | None = None
    goal: Goal | None = None
    broadcast: Broadcast | None = None
    automation: Automation | None = None
    schedule: Schedule = Schedule()
    audience: Audience = EVERYBODY
    budget: Budget = UNLIMITED
    member_budget: Budget = UNLIMITED
    unit_cost_minor: int = 0
    currency: str | None = None
    priority: int = 0
    exclusivity_group: str | None = None
