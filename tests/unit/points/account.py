"""An account under test: a clock, numbered ids, and what the store would know."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import reduce

import attrs

from actors.points.context import Context
from actors.points.decide import decide
from actors.points.evolve import evolve
from actors.points.ledger import KIND_REWARD, Posted, Transaction
from actors.points.messages import (
    AccountKey,
    Adjust,
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
from actors.points.plan import Answer, Facts, Key, Plan, fingerprint_of, key_of
from actors.points.posting import Moment
from actors.points.program_messages import Redemption, Reward
from actors.points.reversals import original_of, root_of
from actors.points.rewards import redeemed, redemption_of
from actors.points.state import AccountState, empty
from actors.vocabulary import Idempotency, Refusal

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = AccountKey("merchant", "customer")
MUG = Reward(
    reward_id="mug",
    name="Mug",
    cost_points=3,
    stock=None,
    taken=0,
    per_customer_max=None,
    valid_from=None,
    valid_until=None,
    active=True,
    version=1,
)
REWARDS = {MUG.reward_id: MUG}


def at(hours: float) -> datetime:
    """So many hours after the start."""
    return START + timedelta(hours=hours)


def replay(state: AccountState, events: Iterable[Posted]) -> AccountState:
    """The state after several transactions."""
    return reduce(evolve, events, state)


@attrs.define
class Account:
    """Applies mutations through `Plan`. `commit` makes what was planned durable.

    `ledger` has the durable and the planned transactions. The verbs expect to succeed; `refused`
    expects not to, and answers the code.
    """

    now: datetime = START
    state: AccountState = attrs.field(factory=lambda: empty(KEY))
    durable: list[Posted] = attrs.field(factory=list)
    known: dict[Key, Answer] = attrs.field(factory=dict)
    _ids: int = 0
    _plan: Plan | None = None

    def apply(self, mutation: Mutation) -> Result:
        reply = self._planned().apply(mutation)
        self.state = self._planned().state
        return reply

    def overdraw(self, mutation: Mutation) -> Result:
        """Like `apply`, with debits below zero allowed."""
        self.commit()
        original = None
        if isinstance(mutation, Reverse):
            history = self._histories().get(mutation.transaction_id)
            original = original_of(history[0], history[1:]) if history else None
        context = Context(self._moment(), original=original, allow_negative=True)
        events, reply, self.state = decide(self.state, mutation, context)
        self.durable += events
        if isinstance(reply, Receipt):
            self.known[key_of(mutation)] = Answer(fingerprint_of(mutation), reply)
        return reply

    def settle(self) -> int:
        count = self._planned().settle()
        self.state = self._planned().state
        return count

    def commit(self) -> None:
        if self._plan is not None:
            self.durable += self._plan.events
            self.known |= self._plan.answers
            self._plan = None

    def wait(self, hours: float) -> None:
        self.commit()
        self.now += timedelta(hours=hours)

    @property
    def ledger(self) -> list[Posted]:
        return [*self.durable, *(self._plan.events if self._plan else ())]

    @property
    def transactions(self) -> list[Transaction]:
        return [posted.transaction for posted in self.ledger]

    @property
    def last(self) -> Transaction:
        return self.transactions[-1]

    def of_kind(self, kind: str) -> list[Transaction]:
        return [entry for entry in self.transactions if entry.kind == kind]

    def earn(
        self,
        amount: int,
        *,
        expires: float | None = None,
        pending: float | None = None,
        effective: float | None = None,
    ) -> Receipt:
        """Times in hours after the start."""
        return self.done(
            Earn(
                idempotency=self.once(),
                amount=amount,
                reason="purchase",
                effective_at=None if effective is None else at(effective),
                expires_at=None if expires is None else at(expires),
                pending_until=None if pending is None else at(pending),
            )
        )

    def earn_for_order(
        self,
        total_minor: int,
        currency: str = "EUR",
        *,
        rule: EarnRule | None = None,
        ordered: float = 0,
        order_id: str = "order",
    ) -> Receipt:
        return self.done(
            EarnForOrder(
                order_id=order_id,
                total_minor=total_minor,
                currency=currency,
                ordered_at=at(ordered),
                rule=rule,
            )
        )

    def redeem(self, amount: int) -> Receipt:
        return self.done(Redeem(idempotency=self.once(), amount=amount, reason="reward"))

    def adjust(self, amount: int) -> Receipt:
        return self.done(Adjust(idempotency=self.once(), amount=amount, reason="goodwill"))

    def reverse(self, receipt: Receipt, amount: int | None = None) -> Receipt:
        return self.done(self.reversal(receipt, amount))

    def hold(self, amount: int, expires: float = 1_000) -> Receipt:
        return self.done(PlaceHold(idempotency=self.once(), amount=amount, expires_at=at(expires)))

    def capture(self, hold: Receipt, amount: int | None = None) -> Receipt:
        return self.done(self.capturing(hold, amount))

    def void(self, hold: Receipt) -> Receipt:
        return self.done(self.voiding(hold))

    def done(self, mutation: Mutation) -> Receipt:
        reply = self.apply(mutation)
        assert isinstance(reply, Receipt), reply
        return reply

    def overdrawn(self, mutation: Mutation) -> Receipt:
        reply = self.overdraw(mutation)
        assert isinstance(reply, Receipt), reply
        return reply

    def refused(self, mutation: Mutation) -> str:
        """The code; nothing was written for it."""
        before = self.ledger
        reply = self.apply(mutation)
        assert isinstance(reply, Refusal), reply
        assert self.ledger == before
        return reply.code

    def once(self) -> Idempotency:
        """A key that was not used before."""
        return Idempotency(self._new_id("key"), "fingerprint")

    def redeeming(self, amount: int) -> Redeem:
        return Redeem(idempotency=self.once(), amount=amount, reason="reward")

    def reversal(self, receipt: Receipt, amount: int | None = None) -> Reverse:
        return Reverse(
            idempotency=self.once(), transaction_id=receipt.transaction_id, amount=amount
        )

    def capturing(self, hold: Receipt, amount: int | None = None) -> CaptureHold:
        return CaptureHold(idempotency=self.once(), hold_id=hold.hold_id or "", amount=amount)

    def voiding(self, hold: Receipt) -> VoidHold:
        return VoidHold(idempotency=self.once(), hold_id=hold.hold_id or "")

    def _planned(self) -> Plan:
        if self._plan is None:
            facts = Facts(
                self._histories(),
                self._known_holds(),
                rewards=REWARDS,
                redemptions=self._redemptions(),
            )
            self._plan = Plan(self.state, self._moment(), facts, self.known)
        return self._plan

    def _moment(self) -> Moment:
        return Moment(self.now, self._new_id)

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}-{self._ids:05}"

    def _histories(self) -> dict[str, tuple[Transaction, ...]]:
        entries = {event.transaction.transaction_id: event.transaction for event in self.durable}
        reversals: dict[str, list[Transaction]] = {}
        for entry in entries.values():
            if entry.reverses is not None:
                reversals.setdefault(entry.reverses, []).append(entry)
        return {
            name: (entries[root_of(entry)], *reversals.get(root_of(entry), ()))
            for name, entry in entries.items()
        }

    def _redemptions(self) -> dict[str, Redemption]:
        found: dict[str, Redemption] = {}
        for event in self.durable:
            entry = event.transaction
            redemption_id = redemption_of(entry.business_key)
            if redemption_id is None:
                continue
            if entry.kind == KIND_REWARD:
                asked = RedeemReward(idempotency=self.once(), reward_id=MUG.reward_id)
                found[redemption_id] = redeemed(asked, MUG, event).redemption
            else:
                first = found[redemption_id]
                found[redemption_id] = attrs.evolve(first, cancelled_at=entry.recorded_at)
        return found

    def _known_holds(self) -> frozenset[str]:
        ids = (event.transaction.hold_id for event in self.durable)
        return frozenset(hold_id for hold_id in ids if hold_id is not None)
