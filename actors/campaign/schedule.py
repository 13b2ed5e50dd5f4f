"""Local times of a schedule as moments."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actors.campaign.messages import Schedule


def zone_of(name: str) -> ZoneInfo | None:
    """The IANA zone of that name; None where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def moment_of(local: datetime | None, zone: ZoneInfo) -> datetime | None:
    """A local time in UTC. Raises `OverflowError` at the ends of time.

    A time that a change of clocks leaves out comes later by the length of the gap; of one that
    exists twice the first counts.
    """
    if local is None:
        return None
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def moments_of(schedule: Schedule) -> tuple[datetime | None, datetime | None]:
    """When it starts and ends. The schedule has been checked."""
    zone = ZoneInfo(schedule.zone)
    return moment_of(schedule.starts_at, zone), moment_of(schedule.ends_at, zone)
