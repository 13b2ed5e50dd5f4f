"""What is refused, by which code, and that nothing is written for it."""

from datetime import UTC, datetime, timedelta, timezone

import attrs
import msgspec
import pytest

from actors.points.decide import MAX_PROMISES
from actors.points.holds import MAX_HOLDS
from actors.points.messages import (
    MAX_BALANCE,
    Adjust,
    CaptureHold,
    Earn,
    EarnForOrder,
    EarnRule,
    Mutation,
    PlaceHold,
    Redeem,
    Reverse,
    VoidHold,
)
from actors.points.state import Hold, Promise
from actors.vocabulary import MAX_AMOUNT, Idempotency, Refusal, RefusalKind
from tests.unit.points.account import START, Account, at

ONCE = Idempotency("key", "fingerprint")
EARLIEST = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
TOMORROW = at(24)
LATEST = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))


@pytest.fixture
def account() -> Account:
    """With ten points, two of them held until hour 5."""
    account = Account()
    account.earn(10)
    account.hold(2, expires=5)
    return account


def earn(
    amount: int = 1,
    *,
    effective_at: datetime | None = None,
    expires_at: datetime | None = None,
    pending_until: datetime | None = None,
) -> Earn:
    return Earn(
        idempotency=ONCE,
        amount=amount,
        reason="purchase",
        effective_at=effective_at,
        expires_at=expires_at,
        pending_until=pending_until,
    )


def redeem(amount: int) -> Redeem:
    return Redeem(idempotency=ONCE, amount=amount, reason="reward")


def adjust(amount: int) -> Adjust:
    return Adjust(idempotency=ONCE, amount=amount, reason="goodwill")


def place(amount: int, expires_at: datetime = TOMORROW) -> PlaceHold:
    return PlaceHold(idempotency=ONCE, amount=amount, expires_at=expires_at)


def order(
    total_minor: int, rule: EarnRule | None = None, ordered_at: datetime = START
) -> EarnForOrder:
    return EarnForOrder(
        order_id="order",
        total_minor=total_minor,
        currency="JPY",
        ordered_at=ordered_at,
        rule=rule,
    )


MILLIONFOLD = EarnRule(1, "JPY", 10**6, 1, None)


@pytest.mark.parametrize(
    "mutation",
    [
        *(make(amount) for make in (earn, redeem, place) for amount in (0, -1, MAX_AMOUNT + 1)),
        adjust(0),
        adjust(MAX_AMOUNT + 1),
        adjust(-MAX_AMOUNT - 1),
        order(MAX_AMOUNT, MILLIONFOLD),
        order(-1),
        earn(0, pending_until=at(3)),
    ],
)
def test_amounts_out_of_range(account: Account, mutation: Mutation) -> None:
    assert account.refused(mutation) == "amount_out_of_range"


@pytest.mark.parametrize("mutation", [redeem(9), adjust(-9), place(9)])
def test_more_than_is_available(account: Account, mutation: Mutation) -> None:
    assert account.refused(mutation) == "insufficient_points"


def test_all_that_is_available_is_enough(account: Account) -> None:
    assert account.redeem(8).balance.available == 0


@pytest.mark.parametrize(
    "mutation",
    [
        earn(effective_at=EARLIEST),
        earn(expires_at=LATEST),
        earn(pending_until=LATEST),
        earn(pending_until=at(1), expires_at=LATEST),
        place(1, LATEST),
        order(100, ordered_at=EARLIEST),
    ],
)
def test_times_that_no_utc_calendar_has(account: Account, mutation: Mutation) -> None:
    assert account.refused(mutation) == "invalid_time"


@pytest.mark.parametrize(
    "mutation",
    [
        earn(expires_at=at(0)),
        earn(expires_at=at(-1)),
        earn(pending_until=at(0)),
        earn(pending_until=at(5), expires_at=at(5)),
        place(1, at(0)),
    ],
)
def test_times_that_are_not_after_what_they_must_be(account: Account, mutation: Mutation) -> None:
    assert account.refused(mutation) == "time_too_early"


def test_effective_in_the_future(account: Account) -> None:
    assert account.refused(earn(effective_at=at(0.1))) == "time_in_future"


def test_times_of_another_zone_are_kept_in_utc(account: Account) -> None:
    zone = timezone(timedelta(hours=5))
    account.done(earn(expires_at=at(9).astimezone(zone)))
    assert account.last.expires_at == at(9)
    assert account.last.expires_at.tzinfo is UTC


def test_more_than_is_held(account: Account) -> None:
    (hold_id,) = account.state.holds
    capture = CaptureHold(idempotency=ONCE, hold_id=hold_id, amount=3)
    assert account.refused(capture) == "exceeds_hold"
    assert account.refused(attrs.evolve(capture, amount=0)) == "amount_out_of_range"
    assert account.done(attrs.evolve(capture, amount=2)).balance.held == 0


@pytest.mark.parametrize("mutation_type", [CaptureHold, VoidHold])
def test_a_hold_that_never_was(
    account: Account, mutation_type: type[CaptureHold | VoidHold]
) -> None:
    assert account.refused(mutation_type(idempotency=ONCE, hold_id="other")) == "hold_unknown"


@pytest.mark.parametrize("mutation_type", [CaptureHold, VoidHold])
def test_a_hold_that_ended(account: Account, mutation_type: type[CaptureHold | VoidHold]) -> None:
    (hold_id,) = account.state.holds
    account.wait(5)
    assert account.refused(mutation_type(idempotency=ONCE, hold_id=hold_id)) == "hold_ended"


def test_a_transaction_that_never_was(account: Account) -> None:
    reverse = Reverse(idempotency=ONCE, transaction_id="other")
    assert account.refused(reverse) == "transaction_unknown"


def test_taking_back_nothing_or_less(account: Account) -> None:
    redemption = account.redeem(2)
    account.commit()
    for amount in (0, -1):
        assert account.refused(account.reversal(redemption, amount)) == "amount_out_of_range"
    assert account.refused(account.reversal(redemption, 3)) == "exceeds_original"


def rich(points: int) -> Account:
    account = Account()
    for _ in range(points // MAX_AMOUNT):
        account.earn(MAX_AMOUNT)
    return account


def test_huge_amounts_are_exact_up_to_the_limit_of_a_balance() -> None:
    account = rich(MAX_BALANCE)
    assert account.state.posted == MAX_BALANCE
    for credit in (earn(1), adjust(1), order(1), earn(1, pending_until=at(3))):
        assert account.refused(credit) == "balance_limit"
    account.redeem(MAX_AMOUNT)
    assert account.earn(MAX_AMOUNT - 1).balance.posted == MAX_BALANCE - 1


def test_pending_and_held_points_count_towards_the_limit() -> None:
    account = rich(MAX_BALANCE - MAX_AMOUNT)
    account.hold(MAX_AMOUNT)
    account.earn(MAX_AMOUNT, pending=5)
    assert account.refused(earn(1)) == "balance_limit"


def test_a_reversal_does_not_exceed_the_limit_of_a_balance() -> None:
    account = rich(MAX_BALANCE)
    redemption = account.redeem(10)
    account.earn(10)
    account.commit()
    assert account.refused(account.reversal(redemption)) == "balance_limit"


def test_too_many_holds_at_once(account: Account) -> None:
    holds = {str(number): Hold(str(number), 1, at(9)) for number in range(MAX_HOLDS)}
    account.state = msgspec.structs.replace(account.state, holds=holds)
    account.wait(1)
    assert account.refused(place(1)) == "too_many_holds"


def test_too_many_pending_earnings_at_once() -> None:
    promises = {str(number): Promise(str(number), 1, at(9), None) for number in range(MAX_PROMISES)}
    account = Account()
    account.state = msgspec.structs.replace(account.state, promises=promises, pending=MAX_PROMISES)
    assert account.refused(earn(1, pending_until=at(3))) == "too_many_pending"


def test_a_refusal_says_whose_fault_it_is(account: Account) -> None:
    kinds: dict[RefusalKind, Mutation] = {
        RefusalKind.INVALID: earn(0),
        RefusalKind.CONFLICT: redeem(9),
        RefusalKind.NOT_FOUND: VoidHold(idempotency=ONCE, hold_id="other"),
    }
    for kind, mutation in kinds.items():
        reply = account.apply(mutation)
        assert isinstance(reply, Refusal)
        assert reply.kind is kind


def test_a_refused_request_may_succeed_later(account: Account) -> None:
    request = redeem(9)
    assert account.refused(request) == "insufficient_points"
    account.earn(1)
    assert account.done(request).replayed is False
