"""Durable mutations: entities and the journal against one transaction each."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count

import trio

from actors.points.messages import ACCOUNTS, AccountKey, Apply, Earn, Receipt
from actors.points.plan import Plan
from actors.points.posting import Moment
from actors.points.records import entry_of
from actors.points.state import AccountState, empty
from actors.vocabulary import Idempotency
from tests.bench.harness import Figure, compare
from tests.bench.product import MERCHANT, Product, with_product

CONCURRENT = 64
MUTATIONS = 6_400
number = count(1).__next__

Mutate = Callable[[int], Awaitable[None]]
"""One earn of the customer with that number."""


def mutations() -> list[Figure]:
    def rate(make: Callable[[Product], Mutate]) -> float:
        return with_product(partial(_rate_of, make), customers=CONCURRENT)

    return [
        compare(
            "durable mutations on SQLite, 64 concurrent, against one transaction each",
            partial(rate, through_the_journal),
            partial(rate, _one_each),
            unit="mutations/s",
            goal=3,
        )
    ]


async def _rate_of(make: Callable[[Product], Mutate], product: Product) -> float:
    return await rate_of(make(product), concurrent=CONCURRENT, mutations=MUTATIONS)


async def rate_of(mutate: Mutate, *, concurrent: int, mutations: int) -> float:
    """Mutations per second when so many ask, each for a customer of its own, once the accounts
    are in memory."""

    async def asker(customer: int, times: int) -> None:
        for _ in range(times):
            await mutate(customer)

    async def all_ask(times: int) -> float:
        start = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for customer in range(concurrent):
                nursery.start_soon(asker, customer, times)
        return concurrent * times / (time.perf_counter() - start)

    await all_ask(1)
    return await all_ask(mutations // concurrent)


def an_earn() -> Earn:
    key = Idempotency(f"key-{number()}", "fingerprint")
    return Earn(idempotency=key, amount=1, reason="bench")


def through_the_journal(product: Product) -> Mutate:
    accounts = product.system.entities(ACCOUNTS)

    async def mutate(customer: int) -> None:
        (receipt,) = await accounts.ref(_key(f"customer-{customer}")).ask(Apply((an_earn(),)))
        assert isinstance(receipt, Receipt)

    return mutate


def _one_each(product: Product) -> Mutate:
    """The same decision and the same statements, in a transaction of their own."""
    states: dict[int, AccountState] = {}
    moment = Moment(product.system.clock.now(), product.system.ids.new)

    async def mutate(customer: int) -> None:
        state = states.get(customer) or empty(_key(f"alone-{customer}"))
        plan = Plan(state, moment)
        assert isinstance(plan.apply(an_earn()), Receipt)
        await product.database.append([entry_of(plan.state, plan.events, plan.answers)])
        states[customer] = plan.state

    return mutate


def _key(customer: str) -> AccountKey:
    return AccountKey(MERCHANT, customer)
