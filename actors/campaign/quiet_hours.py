"""Quiet hours: when nobody wants to hear of an offer."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from actors.campaign.messages import QuietHours


def quiet_until(now: datetime, quiet: QuietHours | None, zone: str) -> datetime | None:
    """When the quiet hours that `now` is in are over, in UTC; None outside of them.

    They are local times. One that a change of clocks leaves out comes later by the length of the
    gap; of one that exists twice the second counts, so that nobody is disturbed too soon. Hours
    that end when they begin are none.
    """
    if quiet is None or quiet.begins == quiet.ends:
        return None
    local = now.astimezone(ZoneInfo(zone))
    time_of_day = local.time()
    across_midnight = quiet.ends < quiet.begins
    evening, morning = time_of_day >= quiet.begins, time_of_day < quiet.ends
    inside = evening or morning if across_midnight else evening and morning
    if not inside:
        return None
    day = local.date() + timedelta(days=1 if across_midnight and evening else 0)
    ends = datetime.combine(day, quiet.ends, ZoneInfo(zone))
    latest = max(ends.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return latest if latest > now else None
