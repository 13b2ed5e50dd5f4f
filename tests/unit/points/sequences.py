"""Random sequences of mutations, and the account that went through them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from actors.points.ledger import Transaction
from actors.points.messages import (
    AccountKey,
    Adjust,
    CancelRedemption,
    CaptureHold,
    Earn,
    EarnForOrder,
    EarnRule,
    Mutation,
    PlaceHold,
    Receipt,
    Redeem,
    RedeemReward,
    Result,
    Reverse,
    VoidHold,
)
from actors.points.plan import key_of
from actors.points.rewards import redemption_of
from actors.points.state import AccountState, empty
from actors.vocabulary import Idempotency
from tests.unit.points.account import KEY, Account

RULES = {
    "half, for two days": EarnRule(1, "EUR", 1, 200, 2),
    "triple": EarnRule(2, "EUR", 3, 100, None),
    "nothing": EarnRule(3, "EUR", 0, 100, None),
}
BY_TIME = {"mature", "expiry", "hold_expiry"}
CURRENCIES = ("EUR", "JPY", "BHD")


# Steps. Times are hours from now, `which` counts from the latest of what there is.


@attrs.frozen(kw_only=True)
class EarnStep:
    amount: int
    expires: int | None = None
    pending: int | None = None
    back_dated: int | None = None


@attrs.frozen(kw_only=True)
class OrderStep:
    total_minor: int
    currency: str
    rule: str | None
    ordered: int
    order: int


@attrs.frozen(kw_only=True)
class RedeemStep:
    amount: int
    overdraw: bool = False


@attrs.frozen(kw_only=True)
class AdjustStep:
    amount: int
    overdraw: bool = False


@attrs.frozen(kw_only=True)
class ReverseStep:
    """`of_time`: of the maturities and expiries, not of what mutations did."""

    which: int
    amount: int | None
    overdraw: bool = False
    of_time: bool = False


@attrs.frozen(kw_only=True)
class HoldStep:
    amount: int
    lasts: int


@attrs.frozen(kw_only=True)
class CaptureStep:
    which: int
    amount: int | None


@attrs.frozen(kw_only=True)
class VoidStep:
    which: int


@attrs.frozen(kw_only=True)
class RewardStep:
    quantity: int


@attrs.frozen(kw_only=True)
class CancelStep:
    """Of a redemption."""

    which: int


@attrs.frozen(kw_only=True)
class RepeatStep:
    """An earlier mutation again, or another request under its key."""

    which: int
    changed: bool


@attrs.frozen(kw_only=True)
class WaitStep:
    """Ends a batch, and lets time pass; 0 is the next batch within the same instant."""

    hours: int


Step = (
    EarnStep
    | OrderStep
    | RedeemStep
    | AdjustStep
    | ReverseStep
    | HoldStep
    | CaptureStep
    | VoidStep
    | RewardStep
    | CancelStep
    | RepeatStep
    | WaitStep
)

CREDITS = st.sampled_from(range(1, 41))
DEBITS = st.sampled_from(range(1, 16))
SOON = st.sampled_from(range(1, 11))
LATER = st.sampled_from(range(2, 25))
LAST = 15
WHICH = st.sampled_from([0, 1, 2, 0, 1, 3, 5, 8, LAST])


def some(values: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    return st.none() | values


EARN = st.one_of(
    st.builds(EarnStep, amount=CREDITS, expires=SOON),
    st.builds(EarnStep, amount=CREDITS, expires=some(LATER), pending=LATER),
    st.builds(EarnStep, amount=CREDITS, expires=some(LATER), back_dated=some(SOON)),
)
ORDER = st.builds(
    OrderStep,
    total_minor=st.integers(0, 4_000),
    currency=st.sampled_from(CURRENCIES),
    rule=st.sampled_from([None, *RULES]),
    ordered=st.integers(-72, 12),
    order=st.integers(0, 5),
)
REDEEM = st.builds(RedeemStep, amount=DEBITS)
ADJUST = st.builds(AdjustStep, amount=st.integers(-20, 20))
REVERSE = st.builds(ReverseStep, which=WHICH, amount=DEBITS) | st.builds(
    ReverseStep, which=WHICH, amount=st.none()
)
REVERSE_OF_TIME = st.builds(ReverseStep, which=WHICH, amount=some(DEBITS), of_time=st.just(True))
HOLD = st.builds(HoldStep, amount=CREDITS, lasts=LATER)
CAPTURE = st.builds(CaptureStep, which=WHICH, amount=some(DEBITS))
VOID = st.builds(VoidStep, which=WHICH)
REWARD = st.builds(RewardStep, quantity=st.integers(1, 4))
CANCEL = st.builds(CancelStep, which=WHICH)
OVERDRAFTS = (
    st.builds(RedeemStep, amount=CREDITS, overdraw=st.just(True))
    | st.builds(AdjustStep, amount=st.integers(-20, -1), overdraw=st.just(True))
    | st.builds(ReverseStep, which=WHICH, amount=some(DEBITS), overdraw=st.just(True))
)
REPEAT = st.builds(RepeatStep, which=WHICH, changed=st.booleans())
WAIT = st.builds(WaitStep, hours=st.sampled_from([3, 0, 2, 4, 5, 8]))
CLOCK_STEPS_BACK = st.builds(WaitStep, hours=st.sampled_from([-1, -2]))


def sequences(*, overdrafts: bool = True, oddities: bool = True) -> st.SearchStrategy[list[Step]]:
    """Some twenty steps: credits, then a mixture, with batches that end and time that passes.

    The oddities are a clock that steps back, and reversals of what time brought.
    """
    choices: list[st.SearchStrategy[Step]] = [EARN, ORDER, REDEEM, ADJUST, REVERSE, REVERSE]
    choices += [HOLD, CAPTURE, VOID, REPEAT, REWARD, CANCEL]
    choices += [OVERDRAFTS] if overdrafts else []
    choices += [REVERSE_OF_TIME] if oddities else []
    waits = WAIT | CLOCK_STEPS_BACK if oddities else WAIT
    step = st.one_of(choices)
    part = st.lists(step, max_size=4)
    later = st.lists(CAPTURE | VOID | REVERSE | CANCEL, min_size=1, max_size=4)
    round_ = st.tuples(EARN | ORDER, part, HOLD | REDEEM | REWARD, part, waits, later, step, WAIT)
    return st.builds(_flat, st.lists(round_, max_size=4), st.lists(round_, max_size=4))


def _flat(*lists: list[tuple[Step | list[Step], ...]]) -> list[Step]:
    """Two lists, because one would be short too often."""
    parts = [part for rounds in lists for round_ in rounds for part in round_]
    return [step for part in parts for step in (part if isinstance(part, list) else [part])]


@attrs.frozen
class Done:
    """One mutation that was asked for: what came of it.

    `before` is the number of transactions before it, `state` the account after it.
    """

    step: Step
    mutation: Mutation
    reply: Result
    before: int
    entries: tuple[Transaction, ...]
    state: AccountState

    @property
    def receipt(self) -> Receipt | None:
        return self.reply if isinstance(self.reply, Receipt) else None


@attrs.define(repr=False)
class Run:
    """A sequence carried out. `settle_first` posts what is due before every mutation."""

    settle_first: bool = False
    account: Account = attrs.field(factory=Account)
    done: list[Done] = attrs.field(factory=list)

    def take(self, step: Step) -> None:
        if isinstance(step, WaitStep):
            self.account.wait(step.hours)
            return
        mutation = self._mutation(step)
        if mutation is None:
            return
        if self.settle_first:
            self.account.settle()
        before = len(self.account.ledger)
        overdraw = getattr(step, "overdraw", False)
        reply = (self.account.overdraw if overdraw else self.account.apply)(mutation)
        entries = tuple(self.account.transactions[before:])
        self.done.append(Done(step, mutation, reply, before, entries, self.account.state))

    def _mutation(self, step: Step) -> Mutation | None:
        once = self.account.once()
        if isinstance(step, EarnStep | OrderStep):
            return self._earn(step, once)
        if isinstance(step, RedeemStep):
            return Redeem(idempotency=once, amount=step.amount, reason="reward")
        if isinstance(step, AdjustStep):
            return Adjust(idempotency=once, amount=step.amount, reason="goodwill")
        if isinstance(step, HoldStep):
            expires_at = self._hours(step.lasts)
            return PlaceHold(idempotency=once, amount=step.amount, expires_at=expires_at)
        if isinstance(step, RewardStep):
            return RedeemReward(idempotency=once, reward_id="mug", quantity=step.quantity)
        if isinstance(step, RepeatStep):
            return self._repeat(step)
        return self._about_earlier(step, once)

    def _earn(self, step: EarnStep | OrderStep, once: Idempotency) -> Mutation:
        if isinstance(step, OrderStep):
            return EarnForOrder(
                order_id=f"order-{step.order}",
                total_minor=step.total_minor,
                currency=step.currency,
                ordered_at=self._hours(step.ordered),
                rule=RULES[step.rule] if step.rule is not None else None,
            )
        pending, expires = step.pending, step.expires
        return Earn(
            idempotency=once,
            amount=step.amount,
            reason="purchase",
            effective_at=None if step.back_dated is None else self._hours(-step.back_dated),
            pending_until=None if pending is None else self._hours(pending),
            expires_at=None if expires is None else self._hours((pending or 0) + expires),
        )

    def _about_earlier(
        self,
        step: ReverseStep | CaptureStep | VoidStep | CancelStep | WaitStep,
        once: Idempotency,
    ) -> Mutation | None:
        if isinstance(step, CancelStep):
            durable = [posted.transaction for posted in self.account.durable]
            paid = [redemption_of(e.business_key) or "" for e in durable if e.kind == "reward"]
            return CancelRedemption(idempotency=once, redemption_id=_pick(paid, step.which))
        if isinstance(step, ReverseStep):
            durable = [posted.transaction for posted in self.account.durable]
            ids = [e.transaction_id for e in durable if (e.kind in BY_TIME) == step.of_time]
            name = _pick(ids, step.which)
            return Reverse(idempotency=once, transaction_id=name, amount=step.amount)
        placed = [entry.hold_id for entry in self.account.of_kind("hold") if entry.hold_id]
        if isinstance(step, CaptureStep):
            name = _pick(placed, step.which)
            return CaptureHold(idempotency=once, hold_id=name, amount=step.amount)
        if isinstance(step, VoidStep):
            return VoidHold(idempotency=once, hold_id=_pick(placed, step.which))
        return None

    def _repeat(self, step: RepeatStep) -> Mutation | None:
        if not self.done:
            return None
        earlier = self.done[-1 - step.which % len(self.done)].mutation
        if not step.changed:
            return earlier
        if isinstance(earlier, EarnForOrder):
            return attrs.evolve(earlier, total_minor=earlier.total_minor + 5_000)
        other = Idempotency(earlier.idempotency.key, "another fingerprint")
        return attrs.evolve(earlier, idempotency=other)

    def _hours(self, hours: int) -> datetime:
        return self.account.now + timedelta(hours=hours)

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        """How Hypothesis prints a run that failed."""
        printer.text(str(self))

    def __str__(self) -> str:
        lines = [f"{len(self.done)} mutations:"]
        for done in self.done:
            lines.append(f"  {done.step} -> {_answer(done.reply)}")
            lines += [f"    {_line(entry)}" for entry in done.entries]
        return "\n".join(lines)


def run(steps: Sequence[Step], key: AccountKey = KEY, *, settle_first: bool = False) -> Run:
    """Carry out a sequence. A failing test prints it with everything that came of it."""
    result = Run(settle_first, Account(state=empty(key)))
    try:
        for step in steps:
            result.take(step)
    finally:
        note(result)
    return result


def _pick(names: Sequence[str], which: int) -> str:
    """Counted from the latest; the highest number is a name that does not exist."""
    if not names or which == LAST:
        return "unknown"
    return names[-1 - which % len(names)]


def key(mutation: Mutation) -> str:
    return key_of(mutation).text


def _answer(reply: Result) -> str:
    if isinstance(reply, Receipt):
        return f"{'replayed ' if reply.replayed else ''}{reply.kind}, {reply.balance}"
    return f"{reply.code}: {reply.detail}"


def _line(entry: Transaction) -> str:
    moved = ", ".join(f"{move.lot_id} {move.points:+}" for move in entry.movements)
    posted = ", ".join(f"{account} {points:+}" for account, points in entry.postings)
    times = f"{entry.recorded_at:%dT%H:%M}, effective {entry.effective_at:%dT%H:%M}"
    return f"{entry.sequence}. {entry.kind} {entry.amount:+} ({posted}) [{moved}] {times}"
