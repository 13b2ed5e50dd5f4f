"""Bodies of the campaign routes, and the definitions they make."""

from datetime import datetime, time
from typing import Annotated, Any

import attrs
from msgspec import Meta

from actors.campaign.messages import (
    MAX_BONUS,
    MAX_CONDITIONS,
    MAX_DAYS_BEFORE,
    MAX_LISTED,
    MAX_PERCENT,
    MAX_PRIORITY,
    MAX_REPEATS,
    Attribute,
    Audience,
    AudienceKind,
    Automation,
    Broadcast,
    Budget,
    CampaignKind,
    Comparison,
    Condition,
    Content,
    Definition,
    FixedBonus,
    Goal,
    GoalMetric,
    Multiplier,
    QuietHours,
    Schedule,
    SendChannel,
    Trigger,
)
from actors.vocabulary import MAX_AMOUNT
from gateway.bodies import PROSE_PATTERN, Amount, Body, Currency, Id, Text

Local = Annotated[datetime, Meta(tz=False, description="local time, without an offset")]
LocalTime = Annotated[time, Meta(tz=False, description="local time of day")]
Zone = Annotated[str, Meta(min_length=1, max_length=64, description="IANA time zone")]
Bonus = Annotated[int, Meta(ge=1, le=MAX_BONUS)]
Limit = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
Prose = Annotated[str, Meta(min_length=1, max_length=20_000, pattern=PROSE_PATTERN)]
Subject = Annotated[str, Meta(min_length=1, max_length=500, pattern=PROSE_PATTERN)]


class MultiplierBody(Body, frozen=True, kw_only=True):
    """200 doubles an order's own points."""

    percent: Annotated[int, Meta(gt=100, le=MAX_PERCENT)]


class FixedBonusBody(Body, frozen=True, kw_only=True):
    """Points for each order of at least `order_min_minor`."""

    points: Bonus
    order_min_minor: Limit = 0


class GoalBody(Body, frozen=True, kw_only=True):
    """Points each time a member's orders, or what they spend, reach another `target`."""

    metric: GoalMetric
    target: Amount
    points: Bonus
    repeats_max: Annotated[int, Meta(ge=1, le=MAX_REPEATS)] = 1


class ContentBody(Body, frozen=True, kw_only=True):
    """Templates. `subject` and `html` go with e-mail alone."""

    channel: SendChannel
    body: Prose
    subject: Subject | None = None
    html: Prose | None = None


class BroadcastBody(Body, frozen=True, kw_only=True):
    content: ContentBody


class AutomationBody(Body, frozen=True, kw_only=True):
    """A message whenever `trigger` concerns a member, `days_before` it where that can be known."""

    trigger: Trigger
    content: ContentBody
    days_before: Annotated[int, Meta(ge=0, le=MAX_DAYS_BEFORE)] = 0


class QuietHoursBody(Body, frozen=True, kw_only=True):
    begins: LocalTime
    ends: LocalTime


class ScheduleBody(Body, frozen=True, kw_only=True):
    """Without `starts_at` it begins when it is started, without `ends_at` it runs until it is
    cancelled."""

    zone: Zone = "UTC"
    starts_at: Local | None = None
    ends_at: Local | None = None
    quiet: QuietHoursBody | None = None


class ConditionBody(Body, frozen=True, kw_only=True):
    attribute: Attribute
    comparison: Comparison
    value: Limit


class AudienceBody(Body, frozen=True, kw_only=True):
    """`names` of segments, tiers or customers; `conditions` of a filter, which all hold."""

    kind: AudienceKind = AudienceKind.ALL
    names: Annotated[tuple[Id, ...], Meta(max_length=MAX_LISTED)] = ()
    conditions: Annotated[tuple[ConditionBody, ...], Meta(max_length=MAX_CONDITIONS)] = ()


class BudgetBody(Body, frozen=True, kw_only=True):
    """Null: no limit. `count` is of bonuses or messages, `money_minor` of what they cost."""

    points: Limit | None = None
    money_minor: Limit | None = None
    count: Limit | None = None


class CampaignBody(Body, frozen=True, kw_only=True):
    """A campaign. Of the five effects, the one that `kind` names is given, and no other.

    With a `currency`, only orders in it count. Of the campaigns in one `exclusivity_group` an
    order gets one: that of the highest `priority` that adds anything. `unit_cost_minor` is what 100
    points, or one message, cost.
    """

    name: Text
    kind: CampaignKind
    multiplier: MultiplierBody | None = None
    fixed_bonus: FixedBonusBody | None = None
    goal: GoalBody | None = None
    broadcast: BroadcastBody | None = None
    automation: AutomationBody | None = None
    schedule: ScheduleBody = ScheduleBody()
    audience: AudienceBody = AudienceBody()
    budget: BudgetBody = BudgetBody()
    member_budget: BudgetBody = BudgetBody()
    unit_cost_minor: Limit = 0
    currency: Currency | None = None
    priority: Annotated[int, Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY)] = 0
    exclusivity_group: Id | None = None

    def definition(self) -> Definition:
        made: Definition = _made(self)
        return made


MADE: dict[type[Body], Any] = {
    MultiplierBody: Multiplier,
    FixedBonusBody: FixedBonus,
    GoalBody: Goal,
    ContentBody: Content,
    BroadcastBody: Broadcast,
    AutomationBody: Automation,
    QuietHoursBody: QuietHours,
    ScheduleBody: Schedule,
    ConditionBody: Condition,
    AudienceBody: Audience,
    BudgetBody: Budget,
    CampaignBody: Definition,
}
"""By body, the value with the same fields."""


def _made(body: Any) -> Any:
    """The value that a body stands for, field by field."""
    if isinstance(body, tuple):
        return tuple(map(_made, body))
    made = MADE.get(type(body))
    if made is None:
        return body
    fields = (field.name for field in attrs.fields(made))
    return made(**{name: _made(getattr(body, name)) for name in fields})
