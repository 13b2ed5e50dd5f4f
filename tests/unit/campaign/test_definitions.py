"""Definitions of campaigns: what makes sense, and when their local times are."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from actors.campaign.checks import check_definition
from actors.campaign.messages import (
    Audience,
    AudienceKind,
    Budget,
    CampaignKind,
    Definition,
    Multiplier,
    Schedule,
)
from actors.campaign.schedule import moments_of
from gateway.campaign_bodies import MADE
from tests.trees import START
from tests.unit.campaign.sending import broadcast

DOUBLE = Definition(name="Double", kind=CampaignKind.MULTIPLIER, multiplier=Multiplier(percent=200))
NOON = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - a local time


@pytest.mark.parametrize(
    ("zone", "local_time", "utc"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 1, 59), datetime(2026, 3, 29, 0, 59)),  # noqa: DTZ001
        ("Europe/Berlin", datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 1, 30)),  # noqa: DTZ001
        ("Europe/Berlin", datetime(2026, 3, 29, 3, 0), datetime(2026, 3, 29, 1, 0)),  # noqa: DTZ001
        ("Europe/Berlin", datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 30)),  # noqa: DTZ001
        ("Europe/Berlin", datetime(2026, 10, 25, 3, 0), datetime(2026, 10, 25, 2, 0)),  # noqa: DTZ001
        ("Australia/Lord_Howe", datetime(2026, 10, 4, 2, 15), datetime(2026, 10, 3, 15, 45)),  # noqa: DTZ001
    ],
)
def test_local_times_around_a_change_of_clocks(
    zone: str, local_time: datetime, utc: datetime
) -> None:
    starts_at, ends_at = moments_of(Schedule(zone=zone, starts_at=local_time))
    assert (starts_at, ends_at) == (utc.replace(tzinfo=UTC), None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"multiplier": None}, "multiplier must be given"),
        ({"multiplier": Multiplier(percent=100)}, "multiplier.percent"),
        ({"schedule": Schedule(zone="Mars/Base")}, "zone"),
        ({"schedule": Schedule(starts_at=START)}, "without an offset"),
        ({"schedule": Schedule(starts_at=NOON, ends_at=NOON)}, "after starts_at"),
        ({"audience": Audience(kind=AudienceKind.LIST)}, "names"),
        ({"audience": Audience(names=("gold",))}, "names"),
        ({"audience": Audience(kind=AudienceKind.FILTER)}, "conditions"),
        ({"unit_cost_minor": 5}, "currency"),
        ({"name": ""}, "name"),
        ({"priority": 1_001}, "priority"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    assert check_definition(DOUBLE) is None
    refusal = check_definition(attrs.evolve(DOUBLE, **changes))
    assert refusal is not None
    assert refusal.code == "invalid_campaign"
    assert said in refusal.detail


@pytest.mark.parametrize("name", ["budget", "member_budget"])
def test_a_budget_in_points_is_refused_where_nothing_is_given_points(name: str) -> None:
    in_messages: dict[str, Any] = {name: Budget(count=2)}
    assert check_definition(broadcast(**in_messages)) is None
    in_points: dict[str, Any] = {name: Budget(points=2)}
    refusal = check_definition(broadcast(**in_points))
    assert refusal is not None
    assert "points" in refusal.detail


def test_bodies_have_the_fields_of_the_definitions_that_they_make() -> None:
    for body, made in MADE.items():
        assert set(body.__struct_fields__) == {field.name for field in attrs.fields(made)}
