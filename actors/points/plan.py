"""A batch of mutations of one account, decided in memory before anything is written."""

from collections.abc import Mapping
from typing import NamedTuple

import attrs

from actors.points.decide import Context, business_key, decide, nothing
from actors.points.ledger import Posted, Transaction
from actors.points.messages import (
    CaptureHold,
    EarnForOrder,
    Mutation,
    Receipt,
    Result,
    Reverse,
    VoidHold,
)
from actors.points.posting import Moment
from actors.points.reversals import Original, original_of
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


@attrs.frozen
class Facts:
    """What mutations name and the state does not hold.

    `histories`: by the id that a mutation names, the transaction and its reversals so far.
    """

    histories: Mapping[str, tuple[Transaction, ...]] = attrs.field(factory=dict)
    known_holds: frozenset[str] = frozenset()


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
    `seen` are the outbox events that took effect before, `taken` those that do now, to be
    written as well.
    """

    state: AccountState
    moment: Moment
    facts: Facts = NO_FACTS
    known: Mapping[Key, Answer] = attrs.field(factory=dict)
    events: list[Posted] = attrs.field(factory=list)
    answers: dict[Key, Answer] = attrs.field(factory=dict)
    seen: frozenset[str] = frozenset()
    taken: list[str] = attrs.field(factory=list)

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
        return reply

    def settle(self) -> int:
        """Post what is due; the number of transactions."""
        events, self.state = settle(self.state, self.moment)
        self.events += events
        return len(events)

    def _context(self, mutation: Mutation) -> Context:
        if isinstance(mutation, Reverse):
            return Context(self.moment, original=self._original(mutation.transaction_id))
        if isinstance(mutation, HOLD_SETTLERS):
            return Context(self.moment, hold_known=self._knows_hold(mutation.hold_id))
        return Context(self.moment)

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
