"""A batch of mutations of one account, decided in memory before anything is written."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs

from actors.points.context import Context
from actors.points.decide import business_key, decide, nothing
from actors.points.ledger import KIND_EARN, KIND_REVERSAL, KIND_REWARD, Posted, Transaction
from actors.points.messages import (
    CancelRedemption,
    CaptureHold,
    EarnForOrder,
    Mutation,
    Receipt,
    RedeemReward,
    Result,
    Reverse,
    VoidHold,
)
from actors.points.posting import Moment
from actors.points.program_messages import Redemption, RefundPolicy, Reward
from actors.points.promotions import (
    NONE_USED,
    NOTHING_USED,
    CampaignUsed,
    UseChange,
    given_back,
    plus,
    taken,
)
from actors.points.reversals import Original, original_of
from actors.points.rewards import Cancelled, Offer, Redeemed, RedemptionChange, redeemed
from actors.points.settle import settle
from actors.points.state import AccountState
from actors.vocabulary import KEY_REUSED


class Key(NamedTuple):
    """What makes a mutation happen once: a client's key, or a key made from its business."""

    text: str
    business: bool


class Answer(NamedTuple):
    """What a key was answered, and the fingerprint of the request."""

    fingerprint: str
    receipt: Receipt


NO_ANSWERS: Mapping[Key, Answer] = {}


@attrs.frozen
class Facts:
    """What mutations name and the state does not hold.

    `histories`: by the id that a mutation names, the transaction and its reversals so far. `had`:
    by reward, how many of it the customer has redeemed. `used`: by campaign, what it has given.
    """

    histories: Mapping[str, tuple[Transaction, ...]] = attrs.field(factory=dict)
    known_holds: frozenset[str] = frozenset()
    refunds: RefundPolicy = RefundPolicy.WITHIN_BALANCE
    rewards: Mapping[str, Reward] = attrs.field(factory=dict)
    had: Mapping[str, int] = attrs.field(factory=dict)
    redemptions: Mapping[str, Redemption] = attrs.field(factory=dict)
    used: Mapping[str, CampaignUsed] = NONE_USED


NO_FACTS = Facts()
HOLD_SETTLERS = (CaptureHold, VoidHold)


def key_of(mutation: Mutation) -> Key:
    if isinstance(mutation, EarnForOrder):
        return Key(business_key(mutation.order_id), business=True)
    return Key(mutation.idempotency.key, business=False)


def fingerprint_of(mutation: Mutation) -> str:
    """Orders are recorded once and never change, so that they need none."""
    return "" if isinstance(mutation, EarnForOrder) else mutation.idempotency.fingerprint


def event_of(mutation: Mutation) -> str | None:
    """The outbox event that asks for the mutation."""
    return mutation.event_id if isinstance(mutation, EarnForOrder) else None


def replayed(answer: Answer, mutation: Mutation) -> Result:
    """The first answer again, unless the key belongs to another request."""
    if answer.fingerprint != fingerprint_of(mutation):
        return KEY_REUSED
    return attrs.evolve(answer.receipt, replayed=True)


@attrs.define
class Plan:
    """Takes mutations one after another. `state` is as if `events` were durable already.

    `known` are answers given before, `answers` the new ones, to be written with the events.
    `seen` are the outbox events that took effect before, `taken` those that do now, `changes` what
    becomes of redemptions, and `uses` of the budgets of campaigns, to be written as well.
    """

    state: AccountState
    moment: Moment
    facts: Facts = NO_FACTS
    known: Mapping[Key, Answer] = attrs.field(factory=dict)
    events: list[Posted] = attrs.field(factory=list)
    answers: dict[Key, Answer] = attrs.field(factory=dict)
    seen: frozenset[str] = frozenset()
    taken: list[str] = attrs.field(factory=list)
    changes: list[RedemptionChange] = attrs.field(factory=list)
    uses: list[UseChange] = attrs.field(factory=list)

    def apply(self, mutation: Mutation) -> Result:
        """Decide one mutation, or recognise it."""
        key = key_of(mutation)
        answer = self.answers.get(key) or self.known.get(key)
        if answer is not None:
            return replayed(answer, mutation)
        event_id = event_of(mutation)
        if event_id in self.seen:
            return nothing(self.state, self.moment)
        events, reply, self.state = decide(self.state, mutation, self._context(mutation))
        if events and isinstance(reply, Receipt):
            self.events += events
            self.answers[key] = Answer(fingerprint_of(mutation), reply)
            if event_id is not None:
                self.taken.append(event_id)
            self._note_change(mutation, events)
        return reply

    def settle(self) -> int:
        """Post what is due; the number of transactions."""
        events, self.state = settle(self.state, self.moment)
        self.events += events
        return len(events)

    def _context(self, mutation: Mutation) -> Context:
        if isinstance(mutation, Reverse):
            original = self._original(mutation.transaction_id)
            return Context(self.moment, original=original, refunds=self.facts.refunds)
        if isinstance(mutation, HOLD_SETTLERS):
            return Context(self.moment, hold_known=self._knows_hold(mutation.hold_id))
        if isinstance(mutation, RedeemReward):
            return Context(self.moment, offer=self._offer(mutation.reward_id))
        if isinstance(mutation, CancelRedemption):
            return self._cancelling(mutation.redemption_id)
        if isinstance(mutation, EarnForOrder) and mutation.promotions.rules:
            return Context(self.moment, used=self._used())
        return Context(self.moment)

    def _used(self) -> Mapping[str, CampaignUsed]:
        """What campaigns have given, with what is planned."""
        used = dict(self.facts.used)
        for use in self.uses:
            before = used.get(use.campaign_id, NOTHING_USED)
            used[use.campaign_id] = plus(before, use.change)
        return used

    def _offer(self, reward_id: str) -> Offer | None:
        reward = self.facts.rewards.get(reward_id)
        if reward is None:
            return None
        planned = sum(
            change.redemption.quantity * (1 if isinstance(change, Redeemed) else -1)
            for change in self.changes
            if change.redemption.reward_id == reward_id
        )
        had = self.facts.had.get(reward_id, 0)
        return Offer(reward, reward.taken + planned, had + planned)

    def _cancelling(self, redemption_id: str) -> Context:
        redemption = self.facts.redemptions.get(redemption_id)
        for change in self.changes:
            if isinstance(change, Cancelled) and change.redemption.redemption_id == redemption_id:
                redemption = attrs.evolve(change.redemption, cancelled_at=change.cancelled_at)
        original = self._original(redemption.transaction_id) if redemption is not None else None
        return Context(self.moment, original=original, redemption=redemption)

    def _note_change(self, mutation: Mutation, events: Sequence[Posted]) -> None:
        """Keep what `events` do to a redemption, or to the budgets of campaigns, if they do."""
        if isinstance(mutation, EarnForOrder):
            if mutation.promotions.rules:
                (earned,) = [e for e in events if e.transaction.kind == KIND_EARN]
                self.uses += taken(mutation.promotions.rules, earned.transaction.rule)
        elif isinstance(mutation, Reverse):
            self._give_back(mutation.transaction_id, events)
        elif isinstance(mutation, RedeemReward):
            (paid,) = [event for event in events if event.transaction.kind == KIND_REWARD]
            reward = self.facts.rewards[mutation.reward_id]
            self.changes.append(redeemed(mutation, reward, paid))
        elif isinstance(mutation, CancelRedemption):
            redemption = self.facts.redemptions[mutation.redemption_id]
            (back,) = [event for event in events if event.transaction.kind == KIND_REVERSAL]
            t = back.transaction
            self.changes.append(Cancelled(redemption, t.transaction_id, t.recorded_at))

    def _give_back(self, transaction_id: str, events: Sequence[Posted]) -> None:
        """The share of what campaigns gave of a transaction that was taken back in part."""
        original = self._original(transaction_id)
        if original is None:
            return
        (back,) = [e for e in events if e.transaction.reverses == original.transaction_id]
        rule = self.facts.histories[transaction_id][0].rule
        after = original.reversed_amount
        before = after - abs(back.transaction.amount)
        self.uses += given_back(rule, original.amount, before, after)

    def _original(self, transaction_id: str) -> Original | None:
        history = self.facts.histories.get(transaction_id)
        if history is None:
            return None
        transaction, *reversals = history
        planned = [event.transaction for event in self.events]
        root = transaction.transaction_id
        return original_of(transaction, [*reversals, *(t for t in planned if t.reverses == root)])

    def _knows_hold(self, hold_id: str) -> bool:
        return (
            hold_id in self.state.holds
            or hold_id in self.facts.known_holds
            or any(event.transaction.hold_id == hold_id for event in self.events)
        )
