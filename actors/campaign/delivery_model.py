"""What an attempt makes of a delivery, as pure decisions."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeAlias

import attrs

from actors.campaign.delivery_messages import DeliveryState
from actors.campaign.messages import Budget
from actors.outgoing.ports import Accepted, FailedForGood, FailedForNow
from runtime.jobs import Delays

ATTEMPTS_MAX = 8
DELAYS = Delays(initial_s=30.0, max_s=30.0 * 2**ATTEMPTS_MAX)
"""After the nth failed attempt a pause drawn evenly from 0 to 30 s · 2ⁿ⁻¹."""

EXHAUSTED = "attempts_exhausted"
LOST = "worker_lost"
REASON_MAX = 200


@attrs.frozen
class Suppressed:
    """It must not be sent, or cannot: the customer does not want it, or there is no address."""

    reason: str


@attrs.frozen
class NotTried:
    """Nothing was sent, and nothing is known about the message: the provider's breaker is open, or
    its rate is used up."""

    reason: str
    retry_after_s: float


Result: TypeAlias = Accepted | FailedForGood | FailedForNow | Suppressed | NotTried


@attrs.frozen(kw_only=True, eq=False)
class Leased:
    """A delivery in the hands of a step; `attempt` counts this one already, and `lease` is the
    number of the step."""

    delivery_id: str
    customer_id: str
    occasion: str
    facts: Mapping[str, Any] | None
    attempt: int
    lease: int = 0


@attrs.frozen(kw_only=True)
class Settlement:
    """What the delivery is from now on. `dead`: nobody tries it again by himself."""

    state: DeliveryState
    attempt: int
    due_at: datetime | None = None
    provider_id: str | None = None
    reason: str | None = None
    dead: bool = False


def settlement(
    leased: Leased, result: Result, now: datetime, random: Random, *, honours_keys: bool
) -> Settlement:
    """What becomes of a delivery after `result`.

    A provider that does not honour keys is not asked again for what it may have done.
    """
    attempt = leased.attempt
    match result:
        case Accepted():
            return Settlement(
                state=DeliveryState.SENT, attempt=attempt, provider_id=result.provider_id[:200]
            )
        case Suppressed():
            return Settlement(state=DeliveryState.SUPPRESSED, attempt=attempt, reason=result.reason)
        case NotTried():
            return _later(attempt - 1, now, result.retry_after_s, result.reason)
        case FailedForGood():
            return _failed(attempt, f"{result.code}: {result.detail}")
    if result.uncertain and not honours_keys:
        reason = f"{result.code}: {result.detail}"[:REASON_MAX]
        return Settlement(state=DeliveryState.UNKNOWN, attempt=attempt, reason=reason)
    if result.retry_after_s is not None:
        return _later(attempt - 1, now, result.retry_after_s, result.code)
    if attempt >= ATTEMPTS_MAX:
        return _failed(attempt, f"{EXHAUSTED}: {result.code}: {result.detail}")
    return _later(attempt, now, DELAYS.delay_s(attempt, random), result.code)


def orphaned(leased: Leased, now: datetime, *, honours_keys: bool) -> Settlement:
    """What becomes of a delivery whose step nobody works on any more."""
    if not honours_keys:
        return Settlement(state=DeliveryState.UNKNOWN, attempt=leased.attempt, reason=LOST)
    if leased.attempt >= ATTEMPTS_MAX:
        return _failed(leased.attempt, f"{EXHAUSTED}: {LOST}")
    return _later(leased.attempt, now, 0.0, LOST)


def _later(attempt: int, now: datetime, delay_s: float, reason: str) -> Settlement:
    due_at = now + timedelta(seconds=delay_s)
    return Settlement(
        state=DeliveryState.PENDING, attempt=attempt, due_at=due_at, reason=reason[:REASON_MAX]
    )


def _failed(attempt: int, reason: str) -> Settlement:
    return Settlement(
        state=DeliveryState.FAILED, attempt=attempt, reason=reason[:REASON_MAX], dead=True
    )


def messages_max(budget: Budget, unit_cost_minor: int) -> int | None:
    """How many messages a budget allows; None: any number."""
    limits = [] if budget.count is None else [budget.count]
    if budget.money_minor is not None and unit_cost_minor:
        limits.append(budget.money_minor // unit_cost_minor)
    return min(limits) if limits else None
