"""The entity that owns one customer's account: decides, commits, then answers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any, ClassVar

import attrs
from trio.lowlevel import checkpoint

from actors.points.errors import CommitConflict
from actors.points.following import Followers, told_of
from actors.points.lookups import find_answers, find_facts, name_the_past
from actors.points.messages import (
    INTAKE,
    MAX_BATCH_ITEMS,
    NOTHING,
    Apply,
    BalanceView,
    EarnForOrder,
    ExpiringLot,
    GetBalance,
    Mutation,
    Receipt,
    Result,
    Settle,
)
from actors.points.plan import NO_FACTS, Answer, Facts, Key, Plan, event_of, key_of
from actors.points.records import entry_of
from actors.points.settle import settle
from actors.points.transferring import Follow, Lead, Transferring
from actors.slicing import in_slices
from actors.vocabulary import Refusal
from runtime import Envelope
from runtime.state import StateRefused
from runtime.storage import Database
from runtime.storage.inbox import find_seen

MAX_ATTEMPTS = 5
"""How often a batch is decided anew because the store knew more than the account."""

DECISIONS_AT_ONCE = 32
"""Decisions before other tasks get a turn; about a millisecond."""

RECENT_ANSWERS = 16
"""Answers kept in memory, so that a quick repetition costs no query."""


class Account(Transferring):
    """The only writer of its account. Requests that queued up share one commit.

    Nothing is answered before it is durable. After a commit with its outcome unknown, the keys
    tell a repetition what happened. What nobody waits for any more is given up, as long as nothing
    of it was handed to the journal.
    """

    batch_max: ClassVar[int] = 64
    batch_cancellable: ClassVar[bool] = True
    replaceable: ClassVar[frozenset[str]] = frozenset({"state"})

    def __init__(self, database: Database, followers: Followers) -> None:
        super().__init__(database)
        self._followers = followers
        self._recent: dict[Key, Answer] = {}

    def replace_state(self, changes: Mapping[str, Any]) -> None:
        """Points change by entries of the ledger alone. What an account remembers of it may be
        replaced by null, and is loaded again."""
        if dict(changes) != {"state": None}:
            raise StateRefused("only the ledger changes an account; null has it loaded again")
        self._state, self._exists = None, False
        self._recent.clear()

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        if len(batch) == 1 and isinstance(batch[0].message, Apply):
            batch[0].reply(tuple(await self._apply(batch[0].message.mutations)))
            return
        by_kind: dict[type, list[Envelope]] = defaultdict(list)
        for envelope in batch:
            by_kind[type(envelope.message)].append(envelope)
        for applies in in_slices(by_kind.pop(Apply, ()), _size, MAX_BATCH_ITEMS):
            await self._apply_all(applies)
        if settles := by_kind.pop(Settle, None):
            settled = await self._settle()
            for envelope in settles:
                envelope.reply(settled)
        for envelope in (*by_kind.pop(Lead, ()), *by_kind.pop(Follow, ())):
            await self._transfer(envelope)
        for envelope in by_kind.pop(GetBalance, ()):
            envelope.reply(await self._balance())
        for envelope in chain.from_iterable(by_kind.values()):
            await self.receive(envelope.message)

    async def _apply_all(self, envelopes: Sequence[Envelope]) -> None:
        """Answered at once, so that what fails next does not stand in for what was done."""
        messages: list[Any] = [envelope.message for envelope in envelopes]
        mutations = [mutation for message in messages for mutation in message.mutations]
        results = iter(await self._apply(mutations))
        for envelope, message in zip(envelopes, messages, strict=True):
            envelope.reply(tuple(islice(results, len(message.mutations))))

    async def _apply(self, mutations: Sequence[Mutation]) -> list[Result]:
        """One result for each mutation; what they changed is durable."""
        if not mutations:
            return []
        if self._exists:
            return await self._commit(mutations)
        allowed = [await self._may_have(mutation) for mutation in mutations]
        if all(allowed):
            return await self._commit(mutations)
        wanted = [m for m, may in zip(mutations, allowed, strict=True) if may]
        results = iter(await self._commit(wanted)) if wanted else iter(())
        return [next(results) if may else self._unknown() for may in allowed]

    async def _may_have(self, mutation: Mutation) -> bool:
        """Whether there is such a customer; core says so of orders by recording them."""
        return isinstance(mutation, EarnForOrder) or await self._known_customer()

    async def _commit(self, mutations: Sequence[Mutation]) -> list[Result]:
        """The facts are read after the state: a commit that lands in between, begun before an
        unknown outcome, then breaks the sequence instead of being missing from the facts."""
        known: Mapping[Key, Answer] = self._recent
        seen: frozenset[str] = frozenset()
        looked_up: set[Key] = set()
        for _ in range(MAX_ATTEMPTS):
            state = self._state if self._state is not None else await self._loaded()
            facts = await self._facts(mutations) if name_the_past(mutations) else NO_FACTS
            plan = Plan(state, self._moment(), facts, known, seen=seen)
            results = await _decide(plan, mutations)
            doubtful = _doubtful(mutations, results) - looked_up
            if not doubtful:
                if await self._write(plan):
                    return results
                doubtful = {key_of(mutation) for mutation in mutations}
                seen = await self._seen(mutations)
            looked_up |= doubtful
            answers = await find_answers(self._database, self.key.merchant_id, doubtful)
            if any(self._is_ahead(answer.receipt) for answer in answers.values()):
                self._state = None
            known = {**known, **answers}
        raise CommitConflict(f"{self.address}: entries were rejected {MAX_ATTEMPTS} times")

    def _is_ahead(self, receipt: Receipt) -> bool:
        """Whether the store took a transaction that this state was loaded too early for."""
        if self._state is None or receipt.customer_id != self.key.customer_id:
            return False
        return receipt.sequence > self._state.sequence

    async def _facts(self, mutations: Sequence[Mutation]) -> Facts:
        return await find_facts(
            self._database, self.key.merchant_id, self.key.customer_id, mutations
        )

    async def _seen(self, mutations: Sequence[Mutation]) -> frozenset[str]:
        """The outbox events that have taken effect already."""
        events = [event_id for m in mutations if (event_id := event_of(m)) is not None]
        return await find_seen(self._database, self.key.merchant_id, INTAKE, events)

    async def _settle(self) -> int:
        for _ in range(MAX_ATTEMPTS):
            plan = Plan(await self._loaded(), self._moment())
            settled = plan.settle()
            if await self._write(plan):
                return settled
        raise CommitConflict(f"{self.address}: entries were rejected {MAX_ATTEMPTS} times")

    async def _write(self, plan: Plan) -> bool:
        """Make a plan durable; false when the store holds something that contradicts it."""
        if not plan.events:
            return True
        entry = entry_of(plan.state, plan.events, plan.answers, plan.taken, plan.changes, plan.uses)
        told = None
        if self._followers.has(self.key.merchant_id):
            told = told_of(plan.events, self.system.ids)
        if told is not None:
            entry = (*entry, told)
        if not await self._hand_in(entry, plan.state, publishes=told is not None):
            return False
        self._remember(plan.answers)
        return True

    def _remember(self, answers: dict[Key, Answer]) -> None:
        recent = self._recent
        recent |= answers
        for key in list(islice(recent, max(0, len(recent) - RECENT_ANSWERS))):
            del recent[key]

    async def _balance(self) -> BalanceView | Refusal:
        """As if everything that is due had been posted."""
        if not await self._known_customer():
            return self._unknown()
        moment = self._moment()
        _, state = settle(await self._loaded(), attrs.evolve(moment, new_id=str))
        expiring = None
        if state.lots and state.lots[0].expires_at is not None:
            expiring = ExpiringLot(state.lots[0].remaining, state.lots[0].expires_at)
        return BalanceView(self.key.customer_id, state.balance, expiring, moment.now)


def _size(envelope: Envelope) -> int:
    message: Any = envelope.message
    return len(message.mutations)


async def _decide(plan: Plan, mutations: Sequence[Mutation]) -> list[Result]:
    """One decision after another; others run in between where there are many."""
    results: list[Result] = []
    for mutation in mutations:
        results.append(plan.apply(mutation))
        if len(results) % DECISIONS_AT_ONCE == 0:
            await checkpoint()
    return results


def _doubtful(mutations: Sequence[Mutation], results: Sequence[Result]) -> set[Key]:
    """Keys of mutations that came to nothing, perhaps because they were done before."""
    return {
        key_of(mutation)
        for mutation, result in zip(mutations, results, strict=True)
        if not isinstance(result, Receipt) or result.kind == NOTHING
    }
