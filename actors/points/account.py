"""The entity that owns one customer's account: decides, commits, then answers."""

from collections.abc import Sequence
from itertools import islice
from typing import Any, ClassVar

import attrs

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import GetCustomer
from actors.points.errors import CommitConflict
from actors.points.loading import LOADER, Load
from actors.points.lookups import find_answers, find_facts
from actors.points.messages import (
    NOTHING,
    AccountKey,
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
from actors.points.plan import Answer, Facts, Key, Plan, key_of
from actors.points.posting import Moment
from actors.points.records import entry_of
from actors.points.settle import settle
from actors.points.state import AccountState
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError, Entity, Envelope, Outcome
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, StorageError

MAX_ATTEMPTS = 5
"""How often a batch is decided anew because the store knew more than the account."""

RECENT_ANSWERS = 256
"""Answers kept in memory, so that a quick repetition costs no query."""


class Account(Entity):
    """The only writer of its account. Requests that queued up share one commit.

    Nothing is answered before it is durable. When a commit ends with its outcome unknown, the
    account forgets its state and loads it again; the keys tell a repetition what happened.
    """

    batch_max: ClassVar[int] = 64
    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)
    key: AccountKey

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state: AccountState | None = None
        self._exists = False
        self._recent: dict[Key, Answer] = {}

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        messages: list[Any] = [envelope.message for envelope in batch]
        mutations = [m for message in messages if type(message) is Apply for m in message.mutations]
        if mutations:
            results = await self._apply(mutations)
        settled = 0
        if any(type(message) is Settle for message in messages):
            settled = await self._settle()
        start = 0
        for envelope, message in zip(batch, messages, strict=True):
            if type(message) is Apply:
                end = start + len(message.mutations)
                envelope.reply(tuple(results[start:end]))
                start = end
            elif type(message) is Settle:
                envelope.reply(settled)
            elif type(message) is GetBalance:
                envelope.reply(await self._balance())
            else:
                await self.receive(message)

    async def _apply(self, mutations: Sequence[Mutation]) -> list[Result]:
        """One result for each mutation; what they changed is durable."""
        wanted = [m for m in mutations if self._exists or await self._may_have(m)]
        if len(wanted) == len(mutations):
            return await self._commit(mutations)
        results = iter(await self._commit(wanted)) if wanted else iter(())
        allowed = {id(mutation) for mutation in wanted}
        return [next(results) if id(m) in allowed else self._unknown() for m in mutations]

    async def _may_have(self, mutation: Mutation) -> bool:
        """Whether there is such a customer; core says so of orders by recording them."""
        return isinstance(mutation, EarnForOrder) or await self._known_customer()

    async def _known_customer(self) -> bool:
        if not self._exists:
            key = self.key
            question = GetCustomer(key.merchant_id, key.customer_id)
            self._exists = (await self._loaded()).sequence > 0 or await self.system.ref(
                CORE_QUERIES
            ).ask(question) is not None
        return self._exists

    def _unknown(self) -> Refusal:
        detail = f"there is no customer {self.key.customer_id}"
        return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)

    async def _commit(self, mutations: Sequence[Mutation]) -> list[Result]:
        facts = await self._facts(mutations)
        known: dict[Key, Answer] = dict(self._recent)
        looked_up: set[Key] = set()
        for _ in range(MAX_ATTEMPTS):
            plan = Plan(await self._loaded(), self._moment(), facts, known)
            results = [plan.apply(mutation) for mutation in mutations]
            doubtful = _doubtful(mutations, results) - looked_up
            if not doubtful and await self._write(plan):
                return results
            if not doubtful:
                facts = await self._facts(mutations)
                doubtful = {key_of(mutation) for mutation in mutations}
            looked_up |= doubtful
            known |= await find_answers(self._database, self.key.merchant_id, doubtful)
        raise CommitConflict(f"{self.address}: entries were rejected {MAX_ATTEMPTS} times")

    async def _facts(self, mutations: Sequence[Mutation]) -> Facts:
        return await find_facts(
            self._database, self.key.merchant_id, self.key.customer_id, mutations
        )

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
        entry = entry_of(plan.state, plan.events, plan.answers)
        try:
            rejected = await self.system.ref(JOURNAL).ask(Append(entry))
        except ActorError as error:
            if error.outcome is Outcome.UNKNOWN:
                self._state = None
            raise
        if isinstance(rejected, Rejected):
            self._state = None
            return False
        self._state = plan.state
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

    async def _loaded(self) -> AccountState:
        if self._state is None:
            self._state = await self.system.ref(LOADER).ask(Load(self.key))
        return self._state

    def _moment(self) -> Moment:
        """Now; where the clock was set back, the time of the last transaction."""
        now = self.system.clock.now()
        last = self._state.recorded_at if self._state is not None else None
        return Moment(now if last is None else max(now, last), self.system.ids.new)


def _doubtful(mutations: Sequence[Mutation], results: Sequence[Result]) -> set[Key]:
    """Keys of mutations that came to nothing, perhaps because they were done before."""
    return {
        key_of(mutation)
        for mutation, result in zip(mutations, results, strict=True)
        if not isinstance(result, Receipt) or result.kind == NOTHING
    }
