"""Schedules: what is to run when, as pure functions of the time.

A timing divides time into slots, each with a name and a moment. Names of later slots sort after
those of earlier ones. A job runs at most once for each slot.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import attrs

from runtime.jobs.model import Delays, QueuePolicy

SCHEDULED = QueuePolicy(
    name="scheduled",
    attempts_max=6,
    attempt_timeout_s=300.0,
    delays=Delays(initial_s=60.0, max_s=960.0, jitter=False),
)
"""The queue of scheduled jobs: a failed one is tried again after 1, 2, 4, 8 and 16 minutes."""


def scheduled_of(domain: str) -> QueuePolicy:
    """As `SCHEDULED`, for the jobs of one domain: they run where that is."""
    return attrs.evolve(SCHEDULED, name=f"{domain}.{SCHEDULED.name}")


DAY = timedelta(days=1)


@attrs.frozen
class Slot:
    """One occasion of a schedule; `moment` is in UTC."""

    name: str
    moment: datetime


class Timing(Protocol):
    """When a schedule is due."""

    def latest(self, now: datetime) -> Slot:
        """The last slot that is not after `now`."""

    def next_moment(self, now: datetime) -> datetime:
        """When the first slot after `now` begins."""


def _positive(_instance: object, _attribute: object, value: int) -> None:
    if value < 1:
        raise ValueError("a schedule's period is at least a second")


def _a_minute(_instance: object, _attribute: object, value: int) -> None:
    if not 0 <= value < 60:
        raise ValueError("a minute is from 0 to 59")


@attrs.frozen
class Every:
    """Every so many seconds, counted from 1970 in UTC."""

    seconds: int = attrs.field(validator=_positive)

    def latest(self, now: datetime) -> Slot:
        return _utc_slot(self._number(now) * self.seconds)

    def next_moment(self, now: datetime) -> datetime:
        return _utc_slot((self._number(now) + 1) * self.seconds).moment

    def _number(self, now: datetime) -> int:
        return int(now.timestamp()) // self.seconds


@attrs.frozen
class Hourly:
    """Every hour in UTC, at this minute."""

    minute: int = attrs.field(default=0, validator=_a_minute)

    def latest(self, now: datetime) -> Slot:
        hour = (now.astimezone(UTC) - timedelta(minutes=self.minute)).replace(
            minute=self.minute, second=0, microsecond=0
        )
        return Slot(f"{hour:%Y-%m-%dT%H}Z", hour)

    def next_moment(self, now: datetime) -> datetime:
        return self.latest(now).moment + timedelta(hours=1)


@attrs.frozen
class Daily:
    """Once for each date of an IANA time zone, at this local time.

    A time that a change of clocks leaves out is taken as if they had not been changed (02:30
    becomes 03:30); of one that comes twice the first counts. The slot is named for the date
    alone, so that a schedule moved within the day does not run twice on it.
    """

    at: time
    zone: ZoneInfo

    def latest(self, now: datetime) -> Slot:
        today = now.astimezone(self.zone).date()
        slot = self._slot(today)
        return slot if slot.moment <= now else self._slot(today - DAY)

    def next_moment(self, now: datetime) -> datetime:
        today = now.astimezone(self.zone).date()
        moment = self._slot(today).moment
        return moment if moment > now else self._slot(today + DAY).moment

    def _slot(self, day: date) -> Slot:
        local = datetime.combine(day, self.at, self.zone)
        return Slot(day.isoformat(), local.astimezone(UTC))


def _utc_slot(timestamp: int) -> Slot:
    moment = datetime.fromtimestamp(timestamp, UTC)
    return Slot(f"{moment:%Y-%m-%dT%H:%M:%S}Z", moment)


@attrs.frozen(kw_only=True)
class Schedule:
    """A job that the scheduler enqueues, with the payload `{"schedule", "slot",
    "scheduled_for"}`.

    `name` is for good: it is what tells which slots have run. The jobs of a schedule run one
    after another, never at the same time.
    """

    name: str
    job: str
    timing: Timing
    queue: str = SCHEDULED.name
