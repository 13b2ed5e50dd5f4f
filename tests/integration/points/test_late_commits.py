"""Commits that land after their asker gave up: what later requests see of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.core.messages import (
    CUSTOMERS,
    MERCHANTS,
    ORDERS,
    CreateCustomer,
    CreatedCustomer,
    Merchant,
    OrderResult,
    RecordOrders,
    RegisterMerchant,
)
from actors.points.messages import Apply, Earn, Redeem, Reverse
from actors.points.queries import SELECT_ACCOUNTS, with_ids
from actors.vocabulary import Refusal
from runtime import AskTimeout
from runtime.storage import AnyEntry, Database, DatabaseHandle, Row
from runtime.storage.port import Query
from tests.faults import restart
from tests.trees import MERCHANT, Tree, key, order, running_tree

ACCOUNT_QUERY, _ = with_ids(SELECT_ACCOUNTS, MERCHANT, ["ann"])


@attrs.define(eq=False)
class Held:
    """Holds commits back while `holding`; `land_before_loading` lets them land just before the
    next account is loaded."""

    _database: Database
    holding: bool = False
    land_before_loading: bool = False
    _released: trio.Event = attrs.field(factory=trio.Event)
    _landed: trio.Event = attrs.field(factory=trio.Event)

    def release(self) -> None:
        self.holding = False
        self._released.set()

    async def release_later(self) -> None:
        await trio.sleep(1)
        self.release()

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        with trio.CancelScope(shield=True):
            if self.holding:
                await self._released.wait()
            try:
                await self._database.append(entries, synchronous=synchronous)
            finally:
                self._landed.set()

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        if self.land_before_loading and self.holding and queries[0][0] == ACCOUNT_QUERY:
            self._landed = trio.Event()
            self.release()
            await self._landed.wait()
        return await self._database.fetch_many(queries)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class HeldHandle(DatabaseHandle):
    held: Held

    def attach(self, database: Database) -> None:
        self.held = Held(database)
        super().attach(self.held)


@asynccontextmanager
async def held_tree() -> AsyncIterator[tuple[Tree, Held]]:
    handle = HeldHandle()
    async with running_tree(handle=handle) as tree:
        try:
            yield tree, handle.held
        finally:
            handle.held.release()


def earn(amount: int, text: str) -> Earn:
    return Earn(idempotency=key(text), amount=amount, reason="test")


async def test_a_balance_after_an_unknown_outcome_is_that_of_the_commit_that_was_under_way(
    autojump_clock: MockClock,
) -> None:
    async with held_tree() as (tree, held):
        await tree.create("ann")
        held.holding = True
        with pytest.raises(AskTimeout):
            await tree.apply(earn(10, "late"))
        with pytest.raises(AskTimeout):
            await tree.balance()
        held.release()
        await trio.testing.wait_all_tasks_blocked()
        assert (await tree.balance()).posted == 10


async def test_a_transaction_is_not_reversed_twice_when_the_first_reversal_lands_late(
    autojump_clock: MockClock,
) -> None:
    async with held_tree() as (tree, held):
        await tree.create("ann")
        earned = await tree.earn(10)
        await tree.earn(10)

        def reverse() -> Reverse:
            return Reverse(idempotency=key(), transaction_id=earned.transaction_id)

        held.holding = True
        with pytest.raises(AskTimeout):
            await tree.apply(reverse())
        held.land_before_loading = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(held.release_later)
            (second,) = await tree.apply(reverse())
        assert isinstance(second, Refusal)
        assert second.code == "already_reversed"
        assert (await tree.balance()).posted == 10


async def test_a_repetition_recognised_by_its_key_alone_brings_the_account_up_to_date(
    autojump_clock: MockClock,
) -> None:
    async with held_tree() as (tree, held):
        await tree.create("ann")
        redeem = Redeem(idempotency=key("spend"), amount=50, reason="test")
        held.holding = True
        with pytest.raises(AskTimeout):
            await tree.account().ask(Apply((earn(80, "gain"), redeem)))
        await restart(tree, "test.points", "accounts")
        assert (await tree.balance()).posted == 0
        held.release()
        await trio.testing.wait_all_tasks_blocked()
        (again,) = await tree.apply(redeem)
        assert not isinstance(again, Refusal)
        assert again.replayed
        assert (await tree.balance()).posted == 30


async def repeated(tree: Tree, held: Held, name: str, message: Any) -> Any:
    """The answer to a repetition that was looked up before the first commit landed."""
    held.holding = True
    with pytest.raises(AskTimeout):
        await tree.system.ref(name).ask(message)
    answers: list[Any] = []

    async def again() -> None:
        answers.append(await tree.system.ref(name).ask(message))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(again)
        await trio.testing.wait_all_tasks_blocked()
        held.release()
    return answers[0]


async def test_a_customer_whose_creation_lands_late_is_answered_to_the_repetition(
    autojump_clock: MockClock,
) -> None:
    async with held_tree() as (tree, held):
        await tree.create()
        message = CreateCustomer(MERCHANT, None, "Ann", key())
        answer = await repeated(tree, held, CUSTOMERS, message)
        assert isinstance(answer, CreatedCustomer)
        assert answer.replayed
        count = await tree.database.fetch_value("SELECT count(*) FROM customers")
        assert count == 1


async def test_a_merchant_whose_registration_lands_late_keeps_its_first_form(
    autojump_clock: MockClock,
) -> None:
    async with held_tree() as (tree, held):
        answer = await repeated(tree, held, MERCHANTS, RegisterMerchant(MERCHANT, "Shop", "USD"))
        assert isinstance(answer, Merchant)
        stored = await tree.database.fetch_value("SELECT created_at FROM merchants")
        assert answer.created_at == stored
        other = RegisterMerchant(MERCHANT, "Shop", "EUR")
        assert isinstance(await tree.system.ref(MERCHANTS).ask(other), Refusal)


async def test_orders_whose_recording_lands_late_are_recognised_by_the_repetition(
    autojump_clock: MockClock,
) -> None:
    async with held_tree() as (tree, held):
        await tree.create()
        message = RecordOrders(MERCHANT, (order("o-1", 500), order("o-2", 700)))
        results = await repeated(tree, held, ORDERS, message)
        assert all(isinstance(result, OrderResult) for result in results)
        await tree.delivered()
        assert (await tree.balance()).posted == 12
