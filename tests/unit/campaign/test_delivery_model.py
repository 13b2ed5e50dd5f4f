"""What an attempt makes of a delivery, decided without anything around it."""

from datetime import UTC, datetime, time

import pytest

from actors.campaign.delivery_model import (
    ATTEMPTS_MAX,
    Leased,
    Suppressed,
    messages_max,
    orphaned,
    settlement,
)
from actors.campaign.messages import Budget, QuietHours
from actors.campaign.quiet_hours import quiet_until
from actors.outgoing.ports import FailedForNow
from runtime.ports import seeded_random


def test_pauses_are_drawn_from_up_to_half_a_minute_and_double() -> None:
    now, random = datetime(2026, 3, 1, tzinfo=UTC), seeded_random(1)
    for attempt in range(1, ATTEMPTS_MAX):
        leased = Leased(delivery_id="d", customer_id="c", occasion="", facts=None, attempt=attempt)
        drawn = [
            settlement(leased, FailedForNow("503", ""), now, random, honours_keys=True).due_at
            for _ in range(200)
        ]
        pauses = [(due_at - now).total_seconds() for due_at in drawn if due_at is not None]
        limit = 30 * 2 ** (attempt - 1)
        assert len(pauses) == 200
        assert 0 <= min(pauses) < limit * 0.1
        assert limit * 0.9 < max(pauses) <= limit


@pytest.mark.parametrize(
    ("honours_keys", "attempt", "state"),
    [
        (True, 1, "pending"),
        (True, 8, "failed"),
        (False, 1, "unknown"),
        (False, 8, "unknown"),
    ],
)
def test_what_a_dead_worker_had_in_hand(honours_keys: bool, attempt: int, state: str) -> None:
    leased = Leased(delivery_id="d", customer_id="c", occasion="", facts=None, attempt=attempt)
    settled = orphaned(leased, datetime(2026, 3, 1, tzinfo=UTC), honours_keys=honours_keys)
    assert settled.state.value == state


def test_who_is_suppressed_is_no_dead_letter() -> None:
    leased = Leased(delivery_id="d", customer_id="c", occasion="", facts=None, attempt=1)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    settled = settlement(leased, Suppressed("no_consent"), now, seeded_random(1), honours_keys=True)
    assert (settled.state.value, settled.dead) == ("suppressed", False)


@pytest.mark.parametrize(
    ("budget", "cost", "most"),
    [
        (Budget(), 5, None),
        (Budget(count=3), 5, 3),
        (Budget(money_minor=12), 5, 2),
        (Budget(count=1, money_minor=12), 5, 1),
        (Budget(money_minor=12), 0, None),
    ],
)
def test_how_many_messages_a_budget_allows(budget: Budget, cost: int, most: int | None) -> None:
    assert messages_max(budget, cost) == most


NIGHT = QuietHours(begins=time(21), ends=time(8))
NOON = QuietHours(begins=time(12), ends=time(14))
SMALL_HOURS = QuietHours(begins=time(1), ends=time(2, 30))


@pytest.mark.parametrize(
    ("now", "quiet", "zone", "until"),
    [
        ("2026-03-01T22:00", NIGHT, "UTC", "2026-03-02T08:00"),
        ("2026-03-01T07:59", NIGHT, "UTC", "2026-03-01T08:00"),
        ("2026-03-01T08:00", NIGHT, "UTC", None),
        ("2026-03-01T20:30", NIGHT, "Europe/Zurich", "2026-03-02T07:00"),
        ("2026-03-01T12:00", NOON, "UTC", "2026-03-01T14:00"),
        ("2026-03-01T14:00", NOON, "UTC", None),
        ("2026-03-01T12:00", QuietHours(begins=time(9), ends=time(9)), "UTC", None),
        ("2026-03-01T12:00", None, "UTC", None),
        ("2026-03-29T00:30", SMALL_HOURS, "Europe/Zurich", "2026-03-29T01:30"),
        ("2026-10-25T00:15", SMALL_HOURS, "Europe/Zurich", "2026-10-25T01:30"),
    ],
)
def test_quiet_hours_are_local_and_may_go_across_midnight(
    now: str, quiet: QuietHours | None, zone: str, until: str | None
) -> None:
    """The last two: clocks go from two to three, and from three back to two."""
    found = quiet_until(datetime.fromisoformat(now).replace(tzinfo=UTC), quiet, zone)
    assert found == (until and datetime.fromisoformat(until).replace(tzinfo=UTC))
