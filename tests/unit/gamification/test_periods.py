"""Units of the calendar: every day is in one, and their names lead back to them."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gamification.messages import Calendar, Window
from actors.gamification.periods import (
    ALL_TIME,
    ends_at,
    local_day,
    period_named,
    period_of,
    window_at,
)

DAYS = st.dates(date(1971, 1, 1), date(2200, 1, 1)).map(date.toordinal)


@pytest.mark.parametrize("calendar", Calendar)
@given(today=DAYS)
def test_every_day_is_in_one_period_that_its_name_leads_to(calendar: Calendar, today: int) -> None:
    period = period_of(calendar, today)
    assert today in period
    assert period_named(calendar, period.name) == period
    following = period_of(calendar, period.last + 1)
    assert following.first == period.last + 1
    assert following.name > period.name


@pytest.mark.parametrize(
    ("calendar", "name"),
    [
        (Calendar.MONTH, "2026-13"),
        (Calendar.MONTH, "2026-1"),
        (Calendar.WEEK, "2026-W54"),
        (Calendar.WEEK, "2025-W53"),
        (Calendar.QUARTER, "2026-Q5"),
        (Calendar.DAY, "2026-02-30"),
        (Calendar.YEAR, "0000"),
        (Calendar.YEAR, "2026-01"),
        (None, "2026"),
    ],
)
def test_other_names_lead_nowhere(calendar: Calendar | None, name: str) -> None:
    assert period_named(calendar, name) is None


def test_names_are_those_of_iso_8601() -> None:
    new_year = date(2027, 1, 1).toordinal()
    names = [period_of(calendar, new_year).name for calendar in Calendar]
    assert names == ["2027-01-01", "2026-W53", "2027-01", "2027-Q1", "2027"]
    assert period_named(None, "always") == ALL_TIME


def test_a_day_begins_where_the_merchant_is() -> None:
    moment = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)
    assert date.fromordinal(local_day(moment, ZoneInfo("Europe/Zurich"))) == date(2026, 3, 30)
    assert date.fromordinal(local_day(moment, ZoneInfo("America/New_York"))) == date(2026, 3, 29)


def test_a_month_ends_by_the_clocks_of_the_zone() -> None:
    march = period_of(Calendar.MONTH, date(2026, 3, 1).toordinal())
    ended = ends_at(march, ZoneInfo("Europe/Zurich"))
    assert ended.astimezone(UTC) == datetime(2026, 3, 31, 22, tzinfo=UTC)


def test_a_rolling_window_ends_with_the_day() -> None:
    window = window_at(Window(rolling_days=7), 1_000)
    assert (window.first, window.last) == (994, 1_000)
    assert window_at(Window(), 1_000) == ALL_TIME
