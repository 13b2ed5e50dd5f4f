"""What must hold of a mutation. Each check raises `Refused`, which `decide` turns into a reply."""

from datetime import UTC, datetime

from actors.points.messages import MAX_BALANCE
from actors.points.state import AccountState
from actors.vocabulary import MAX_AMOUNT, Refusal, RefusalKind


class Refused(Exception):
    """Ends a decision with a refusal. It never leaves the model."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


def invalid(code: str, detail: str) -> Refused:
    return Refused(Refusal(RefusalKind.INVALID, code, detail))


def conflict(code: str, detail: str) -> Refused:
    return Refused(Refusal(RefusalKind.CONFLICT, code, detail))


def not_found(code: str, detail: str) -> Refused:
    return Refused(Refusal(RefusalKind.NOT_FOUND, code, detail))


def check_amount(amount: int) -> None:
    if not 1 <= amount <= MAX_AMOUNT:
        raise invalid("amount_out_of_range", f"amount must be 1 to {MAX_AMOUNT}")


def check_room(state: AccountState, credit: int) -> None:
    """The account may hold that much more."""
    if state.member + state.hold + state.pending + credit > MAX_BALANCE:
        raise conflict("balance_limit", f"an account holds at most {MAX_BALANCE} points")


def check_available(state: AccountState, debit: int, *, allow_negative: bool = False) -> None:
    if debit > state.member and not allow_negative:
        detail = f"{debit} points needed, {state.member} available"
        raise conflict("insufficient_points", detail)


def utc(name: str, moment: datetime) -> datetime:
    """`moment` in UTC."""
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise invalid("invalid_time", f"{name} is out of range") from None


TIME_IN_FUTURE = "time_in_future"


def past(name: str, moment: datetime, now: datetime) -> datetime:
    """`moment` in UTC, not after `now`."""
    moment = utc(name, moment)
    if moment > now:
        raise invalid(TIME_IN_FUTURE, f"{name} must not be in the future")
    return moment


def later(name: str, moment: datetime, limit: datetime) -> datetime:
    """`moment` in UTC, after `limit`."""
    moment = utc(name, moment)
    if moment <= limit:
        raise invalid("time_too_early", f"{name} must be after {limit.isoformat()}")
    return moment
