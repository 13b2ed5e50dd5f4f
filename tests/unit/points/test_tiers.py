"""Tiers as a pure function: who qualifies, who keeps a tier, and who loses it when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.points.tier_messages import (
    CalendarUnit,
    Downgrade,
    Metric,
    Tier,
    TierTerms,
    Window,
)
from actors.points.tier_model import (
    MemberTier,
    check_terms,
    counts_from,
    evaluate,
    kept_until,
    place_of,
    reached,
)
from tests.unit.points.test_invariants import THOROUGHLY

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
TIERS = tuple(
    Tier(tier_id=name, name=name.title(), threshold=threshold)
    for name, threshold in (("silver", 100), ("gold", 500), ("platinum", 1_000))
)
TERMS = TierTerms(
    metric=Metric.POINTS,
    window=Window(rolling_days=30),
    downgrade=Downgrade.PERIOD_END,
    tiers=TIERS,
)


def after(days: float) -> datetime:
    return NOW + timedelta(days=days)


def told(member: MemberTier) -> tuple[str | None, datetime, datetime | None]:
    return member.tier_id, member.since, member.kept_until


def test_a_threshold_is_reached_with_the_last_point() -> None:
    assert [reached(TERMS, points) for points in (0, 99, 100, 499, 500, 10**6)] == [
        -1,
        -1,
        0,
        0,
        1,
        2,
    ]


def test_a_tier_is_kept_from_the_last_day_it_was_qualified_for() -> None:
    gold = evaluate(TERMS, None, 500, NOW)
    assert told(gold) == ("gold", NOW, after(30))
    renewed = evaluate(TERMS, gold, 520, after(10))
    assert told(renewed) == ("gold", NOW, after(40))
    kept = evaluate(TERMS, renewed, 0, after(39.9))
    assert told(kept) == ("gold", NOW, after(40))
    lost = evaluate(TERMS, kept, 120, after(40))
    assert told(lost) == ("silver", after(40), after(70))
    assert (gold.number, renewed.number, kept.number, lost.number) == (1, 1, 1, 2)


def test_one_step_at_a_time() -> None:
    terms = attrs.evolve(TERMS, downgrade=Downgrade.ONE_STEP)
    member = evaluate(terms, None, 1_000, NOW)
    steps = []
    for days in (30, 60, 90):
        member = evaluate(terms, member, 0, after(days))
        steps.append(member.tier_id)
    assert steps == ["gold", "silver", None]
    assert member.next_check_at is None


def test_at_once_or_never() -> None:
    at_once = attrs.evolve(TERMS, downgrade=Downgrade.IMMEDIATE)
    never = attrs.evolve(TERMS, downgrade=Downgrade.NEVER)
    assert evaluate(at_once, evaluate(at_once, None, 500, NOW), 0, after(1)).tier_id is None
    assert evaluate(never, evaluate(never, None, 500, NOW), 0, after(999)).tier_id == "gold"


@pytest.mark.parametrize(
    ("unit", "start", "end_of_next"),
    [
        (CalendarUnit.MONTH, datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)),
        (CalendarUnit.QUARTER, datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)),
        (CalendarUnit.YEAR, datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)),
    ],
)
def test_calendar_units_begin_and_end_where_calendars_say(
    unit: CalendarUnit, start: datetime, end_of_next: datetime
) -> None:
    terms = attrs.evolve(TERMS, window=Window(calendar=unit))
    assert counts_from(terms.window, NOW) == start - timedelta(microseconds=1)
    assert counts_from(terms.window, start) == start - timedelta(microseconds=1)
    assert kept_until(terms, NOW) == end_of_next
    december = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert counts_from(Window(calendar=CalendarUnit.YEAR), december).year == 2025


def test_a_tier_that_the_program_has_no_more_is_none() -> None:
    gold = evaluate(TERMS, None, 500, NOW)
    fewer = attrs.evolve(TERMS, tiers=TIERS[:1])
    assert place_of(fewer, "gold") == -1
    assert evaluate(fewer, gold, 100, after(1)).tier_id == "silver"
    assert evaluate(fewer, gold, 0, after(1)).tier_id is None


@THOROUGHLY
@given(
    st.sampled_from(Downgrade),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 45)), min_size=1, max_size=12),
)
def test_nobody_has_less_than_they_qualify_for_and_changes_are_counted(
    downgrade: Downgrade, rolling: bool, steps: list[tuple[int, int]]
) -> None:
    window = Window(rolling_days=30) if rolling else Window(calendar=CalendarUnit.MONTH)
    terms = attrs.evolve(TERMS, downgrade=downgrade, window=window)
    member: MemberTier | None = None
    now = NOW
    for qualifying, days in steps:
        now += timedelta(days=days)
        before, member = member, evaluate(terms, member, qualifying, now)
        place, reach = place_of(terms, member.tier_id), reached(terms, qualifying)
        assert place >= reach
        changed = before is None or before.tier_id != member.tier_id
        assert member.number == (before.number if before is not None else 0) + changed
        assert member.since == (now if changed or before is None else before.since)
        was = place_of(terms, before.tier_id) if before is not None else -1
        if downgrade is Downgrade.IMMEDIATE:
            assert place == reach
        if downgrade is Downgrade.NEVER:
            assert place == max(reach, was)
        if downgrade is Downgrade.ONE_STEP:
            assert place >= was - 1
        if place < was and before is not None and before.kept_until is not None:
            assert now >= before.kept_until
        assert (member.next_check_at is None) is (member.tier_id is None)
        assert evaluate(terms, member, qualifying, now) == member


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": Window()},
        {"window": Window(rolling_days=3, calendar=CalendarUnit.YEAR)},
        {"window": Window(rolling_days=0)},
        {"tiers": ()},
        {"tiers": (TIERS[0], TIERS[0])},
        {"tiers": (TIERS[1], TIERS[0])},
        {"tiers": (attrs.evolve(TIERS[0], threshold=-1),)},
        {"tiers": (attrs.evolve(TIERS[0], tier_id="a b"),)},
        {"currency": "EUR"},
        {"metric": Metric.SPEND},
        {"metric": Metric.SPEND, "currency": "eur"},
    ],
)
def test_programs_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    assert check_terms(TERMS) is None
    refusal = check_terms(attrs.evolve(TERMS, **wrong))
    assert refusal is not None
    assert refusal.code == "invalid_tiers"
