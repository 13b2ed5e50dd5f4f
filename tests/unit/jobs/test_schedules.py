"""When schedules are due: days, hours, and clocks that are put forward and back."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.jobs import Daily, Every, Hourly
from runtime.jobs.schedules import Slot, Timing

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("timing", "now", "slot", "moment", "after"),
    [
        (Daily(time(3), BERLIN), "2026-01-15 01:59", "2026-01-14", "2026-01-14 02:00",
         "2026-01-15 02:00"),
        (Daily(time(3), BERLIN), "2026-01-15 02:00", "2026-01-15", "2026-01-15 02:00",
         "2026-01-16 02:00"),
        (Daily(time(3), BERLIN), "2026-07-15 01:00", "2026-07-15", "2026-07-15 01:00",
         "2026-07-16 01:00"),
        (Daily(time(23, 30), ZoneInfo("America/New_York")), "2026-01-15 04:30", "2026-01-14",
         "2026-01-15 04:30", "2026-01-16 04:30"),
        (Hourly(), "2026-01-15 05:00", "2026-01-15T05Z", "2026-01-15 05:00", "2026-01-15 06:00"),
        (Hourly(30), "2026-01-15 00:29", "2026-01-14T23Z", "2026-01-14 23:30",
         "2026-01-15 00:30"),
        (Every(90), "2026-01-01 00:01:40", "2026-01-01T00:01:30Z", "2026-01-01 00:01:30",
         "2026-01-01 00:03:00"),
    ],
)  # fmt: skip
def test_latest_slot_and_the_next(
    timing: Timing, now: str, slot: str, moment: str, after: str
) -> None:
    """Clause Q11."""
    assert timing.latest(utc(now)) == Slot(slot, utc(moment))
    assert timing.next_moment(utc(now)) == utc(after)


def test_a_time_that_the_clocks_skip_comes_as_much_later() -> None:
    """Clause Q11: 02:30 does not exist in Berlin on 29 March 2026."""
    daily = Daily(time(2, 30), BERLIN)
    slot = daily.latest(utc("2026-03-29 12:00"))
    assert slot == Slot("2026-03-29", utc("2026-03-29 01:30"))
    assert slot.moment.astimezone(BERLIN).time() == time(3, 30)
    assert daily.latest(utc("2026-03-29 01:29")).name == "2026-03-28"
    assert daily.next_moment(slot.moment) == utc("2026-03-30 00:30")


def test_a_time_that_comes_twice_counts_once_and_the_first_time() -> None:
    """Clause Q11: 02:30 comes at 00:30 and at 01:30 UTC in Berlin on 25 October 2026."""
    daily = Daily(time(2, 30), BERLIN)
    for now in ("2026-10-25 00:30", "2026-10-25 01:30", "2026-10-26 01:29"):
        assert daily.latest(utc(now)) == Slot("2026-10-25", utc("2026-10-25 00:30"))
    assert daily.next_moment(utc("2026-10-25 00:45")) == utc("2026-10-26 01:30")


def test_hours_go_on_while_local_clocks_are_changed() -> None:
    """Clause Q11."""
    hours = [utc("2026-10-25 00:00") + timedelta(hours=n) for n in range(4)]
    assert [Hourly().latest(hour.astimezone(BERLIN)).moment for hour in hours] == hours


def test_a_date_that_a_zone_leaves_out_is_no_slot_of_its_own_for_long() -> None:
    """Clause Q11: Samoa had no 30 December 2011."""
    daily = Daily(time(6), APIA)
    names = [daily.latest(utc("2011-12-28 00:00") + timedelta(hours=n)).name for n in range(120)]
    assert names == sorted(names)


EARLIEST = datetime(1990, 1, 1)  # noqa: DTZ001 - Hypothesis adds the zone
LATEST = datetime(2037, 1, 1)  # noqa: DTZ001
MOMENTS = st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))
TIMINGS: st.SearchStrategy[Timing] = st.one_of(
    st.builds(Every, st.integers(1, 100_000)),
    st.builds(Hourly, st.integers(0, 59)),
    st.builds(Daily, st.times(), st.sampled_from([BERLIN, LORD_HOWE, ZoneInfo("UTC")])),
)


@given(TIMINGS, MOMENTS)
def test_slots_follow_one_another_without_gap_or_overlap(timing: Timing, now: datetime) -> None:
    """Clause Q11."""
    slot, after = timing.latest(now), timing.next_moment(now)
    assert slot.moment <= now < after
    following = timing.latest(after)
    assert following.moment == after
    assert following.name > slot.name
    assert timing.latest(after - timedelta(microseconds=1)) == slot


def test_a_schedule_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least a second"):
        Every(0)
    with pytest.raises(ValueError, match="0 to 59"):
        Hourly(60)
