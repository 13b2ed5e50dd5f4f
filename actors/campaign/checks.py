"""What must hold of a campaign's definition."""

import re
from collections.abc import Callable

from actors.campaign.messages import (
    MAX_BONUS,
    MAX_CONDITIONS,
    MAX_DAYS_BEFORE,
    MAX_LISTED,
    MAX_PERCENT,
    MAX_PRIORITY,
    MAX_REPEATS,
    RULE_KINDS,
    Audience,
    AudienceKind,
    Automation,
    Broadcast,
    Budget,
    CampaignKind,
    Content,
    Definition,
    FixedBonus,
    Goal,
    GoalMetric,
    Multiplier,
    Schedule,
    SendChannel,
    Trigger,
)
from actors.campaign.schedule import moment_of, zone_of
from actors.campaign.templates import check_content
from actors.vocabulary import ID_PATTERN, MAX_AMOUNT, Refusal, RefusalKind

PLAIN_PERCENT = 100
MAX_NAME = 200
MAX_SUBJECT = 500
MAX_BODY = 20_000

ID = re.compile(ID_PATTERN)


class Unfit(Exception):
    """Ends the checks. It never leaves this module."""


def check_definition(definition: Definition) -> Refusal | None:
    """A refusal with the first thing that is wrong."""
    try:
        _check(definition)
    except Unfit as error:
        return Refusal(RefusalKind.INVALID, "invalid_campaign", str(error))
    return None


def _check(definition: Definition) -> None:
    _require(1 <= len(definition.name) <= MAX_NAME, f"name must have 1 to {MAX_NAME} characters")
    _check_effect(definition)
    _check_schedule(definition.schedule)
    _check_audience(definition.audience)
    _check_budget("budget", definition.budget)
    _check_budget("member_budget", definition.member_budget)
    budgets = (definition.budget, definition.member_budget)
    _require(
        definition.kind in RULE_KINDS or all(budget.points is None for budget in budgets),
        "a budget in points goes with bonuses alone",
    )
    _within("priority", definition.priority, -MAX_PRIORITY, MAX_PRIORITY)
    _within("unit_cost_minor", definition.unit_cost_minor, 0, MAX_AMOUNT)
    group = definition.exclusivity_group
    _require(group is None or ID.fullmatch(group) is not None, "exclusivity_group must be an id")
    _require(
        definition.currency is not None or not _speaks_of_money(definition),
        "currency is needed where anything is said in money",
    )


def _check_effect(definition: Definition) -> None:
    given = {kind for kind in CampaignKind if getattr(definition, kind.value) is not None}
    kind = definition.kind
    _require(given == {kind}, f"{kind.value} must be given, and no other effect")
    effect = getattr(definition, kind.value)
    _EFFECTS[kind](effect)


def _check_multiplier(effect: Multiplier) -> None:
    _within("multiplier.percent", effect.percent, PLAIN_PERCENT + 1, MAX_PERCENT)


def _check_bonus(effect: FixedBonus) -> None:
    _within("fixed_bonus.points", effect.points, 1, MAX_BONUS)
    _within("fixed_bonus.order_min_minor", effect.order_min_minor, 0, MAX_AMOUNT)


def _check_goal(effect: Goal) -> None:
    _within("goal.points", effect.points, 1, MAX_BONUS)
    _within("goal.target", effect.target, 1, MAX_AMOUNT)
    _within("goal.repeats_max", effect.repeats_max, 1, MAX_REPEATS)


def _check_broadcast(effect: Broadcast) -> None:
    _check_content("broadcast", effect.content, None)


def _check_automation(effect: Automation) -> None:
    _check_content("automation", effect.content, effect.trigger)
    _within("automation.days_before", effect.days_before, 0, MAX_DAYS_BEFORE)


def _check_content(field: str, content: Content, trigger: Trigger | None) -> None:
    is_mail = content.channel is SendChannel.EMAIL
    _require(1 <= len(content.body) <= MAX_BODY, f"{field}.content.body is empty or too long")
    subject, html = content.subject, content.html
    _require((subject is not None) is is_mail, f"{field}.content.subject goes with e-mail alone")
    _require(html is None or is_mail, f"{field}.content.html goes with e-mail alone")
    _require(subject is None or len(subject) <= MAX_SUBJECT, f"{field}.content.subject is too long")
    _require(html is None or len(html) <= MAX_BODY, f"{field}.content.html is too long")
    trouble = check_content(content, trigger)
    if trouble is not None:
        raise Unfit(f"{field}.content.{trouble.detail}")


_EFFECTS: dict[CampaignKind, Callable[..., None]] = {
    CampaignKind.MULTIPLIER: _check_multiplier,
    CampaignKind.FIXED_BONUS: _check_bonus,
    CampaignKind.GOAL: _check_goal,
    CampaignKind.BROADCAST: _check_broadcast,
    CampaignKind.AUTOMATION: _check_automation,
}


def _check_schedule(schedule: Schedule) -> None:
    zone = zone_of(schedule.zone)
    if zone is None:
        raise Unfit("schedule.zone is no IANA time zone")
    local = (schedule.starts_at, schedule.ends_at)
    _require(
        all(each is None or each.tzinfo is None for each in local),
        "times of the schedule are local, without an offset",
    )
    try:
        starts_at, ends_at = (moment_of(each, zone) for each in local)
    except (OverflowError, ValueError):
        raise Unfit("a time of the schedule is out of range") from None
    bounded = starts_at is not None and ends_at is not None
    _require(not bounded or starts_at < ends_at, "ends_at must be after starts_at")  # type: ignore[operator]
    quiet = schedule.quiet
    _require(quiet is None or quiet.begins != quiet.ends, "quiet hours must leave time to send")


def _check_audience(audience: Audience) -> None:
    kind, names, conditions = audience.kind, audience.names, audience.conditions
    named = kind in {AudienceKind.SEGMENT, AudienceKind.TIER, AudienceKind.LIST}
    _require(bool(names) is named, "audience.names go with segments, tiers and lists alone")
    filtered = kind is AudienceKind.FILTER
    _require(bool(conditions) is filtered, "audience.conditions go with filters alone")
    _require(len(names) <= MAX_LISTED, f"at most {MAX_LISTED} audience.names")
    _require(len(set(names)) == len(names), "each of audience.names stands there once")
    _require(all(map(ID.fullmatch, names)), "audience.names must be ids")
    _require(len(conditions) <= MAX_CONDITIONS, f"at most {MAX_CONDITIONS} audience.conditions")
    for condition in conditions:
        _within("audience.conditions.value", condition.value, 0, MAX_AMOUNT)


def _check_budget(field: str, budget: Budget) -> None:
    for name in ("points", "money_minor", "count"):
        value = getattr(budget, name)
        if value is not None:
            _within(f"{field}.{name}", value, 0, MAX_AMOUNT)


def _speaks_of_money(definition: Definition) -> bool:
    bonus, goal = definition.fixed_bonus, definition.goal
    return any(
        (
            definition.unit_cost_minor,
            definition.budget.money_minor is not None,
            definition.member_budget.money_minor is not None,
            bonus is not None and bonus.order_min_minor,
            goal is not None and goal.metric is GoalMetric.SPEND,
        )
    )


def _require(holds: bool, detail: str) -> None:
    if not holds:
        raise Unfit(detail)


def _within(field: str, value: int, least: int, most: int) -> None:
    _require(least <= value <= most, f"{field} must be {least} to {most}")
