"""Units of the calendar, in local days: the month of a day, its name, its first and last day.

Days are ordinals (`date.toordinal`): whole numbers that can be counted with.
"""

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

import attrs

from actors.gamification.messages import Calendar, Window

ALWAYS = "always"
"""Name of the one period that all time is."""

ONCE = "once"
"""The period of a badge that is awarded once."""

FIRST_DAY, LAST_DAY = date(1970, 1, 1).toordinal(), date(9998, 12, 31).toordinal()

NAMES = {
    Calendar.DAY: re.compile(r"(\d{4})-(\d\d)-(\d\d)"),
    Calendar.WEEK: re.compile(r"(\d{4})-W(\d\d)"),
    Calendar.MONTH: re.compile(r"(\d{4})-(\d\d)"),
    Calendar.QUARTER: re.compile(r"(\d{4})-Q([1-4])"),
    Calendar.YEAR: re.compile(r"(\d{4})"),
}


@attrs.frozen
class Period:
    """Days from `first` to `last`, both included. The names of later ones sort after earlier."""

    name: str
    first: int
    last: int

    def __contains__(self, day: int) -> bool:
        return self.first <= day <= self.last


ALL_TIME = Period(ALWAYS, FIRST_DAY, LAST_DAY)


def local_day(moment: datetime, zone: ZoneInfo) -> int:
    """The day of a moment where the merchant is."""
    return moment.astimezone(zone).toordinal()


def day_text(day: int) -> str:
    return date.fromordinal(day).isoformat()


def period_of(calendar: Calendar | None, day: int) -> Period:
    """The unit that a day belongs to; all time without a calendar."""
    on = date.fromordinal(day)
    match calendar:
        case None:
            return ALL_TIME
        case Calendar.DAY:
            return Period(on.isoformat(), day, day)
        case Calendar.WEEK:
            year, week, weekday = on.isocalendar()
            monday = day - weekday + 1
            return Period(f"{year:04}-W{week:02}", monday, monday + 6)
        case Calendar.MONTH:
            return _months(f"{on:%Y-%m}", on.year, on.month, 1)
        case Calendar.QUARTER:
            quarter = (on.month + 2) // 3
            return _months(f"{on.year:04}-Q{quarter}", on.year, quarter * 3 - 2, 3)
        case Calendar.YEAR:
            return _months(f"{on.year:04}", on.year, 1, 12)


def _months(name: str, year: int, month: int, count: int) -> Period:
    after = year * 12 + month - 1 + count
    following = date(after // 12, after % 12 + 1, 1)
    return Period(name, date(year, month, 1).toordinal(), following.toordinal() - 1)


def period_named(calendar: Calendar | None, name: str) -> Period | None:
    """The unit with this name; None where there is none."""
    if calendar is None:
        return ALL_TIME if name == ALWAYS else None
    match = NAMES[calendar].fullmatch(name)
    if match is None:
        return None
    try:
        period = period_of(calendar, _a_day_of(calendar, [int(part) for part in match.groups()]))
    except ValueError:
        return None
    return period if period.name == name else None


def _a_day_of(calendar: Calendar, parts: list[int]) -> int:
    """Raises `ValueError` for a month, week or day that there is not."""
    match calendar:
        case Calendar.DAY:
            return date(*parts).toordinal()
        case Calendar.WEEK:
            return date.fromisocalendar(parts[0], parts[1], 1).toordinal()
        case Calendar.MONTH:
            return date(parts[0], parts[1], 1).toordinal()
        case Calendar.QUARTER:
            return date(parts[0], parts[1] * 3 - 2, 1).toordinal()
        case Calendar.YEAR:
            return date(parts[0], 1, 1).toordinal()


def window_at(window: Window, day: int) -> Period:
    """What a window covers, seen from a day."""
    if window.rolling_days is not None:
        first = day - window.rolling_days + 1
        return Period(f"last {window.rolling_days} days", first, day)
    return period_of(window.calendar, day)


def ends_at(period: Period, zone: ZoneInfo) -> datetime:
    """The moment after the last of a period. The clocks of a zone may not have a midnight: then it
    is the first moment of the next day."""
    following = date.fromordinal(period.last + 1)
    return datetime(following.year, following.month, following.day, tzinfo=zone)
