"""Durable mutations: entities and the journal against one transaction each."""

import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from pathlib import Path

import trio

from actors.core.messages import MERCHANTS, RegisterMerchant
from actors.points.messages import ACCOUNTS, AccountKey, Apply, Earn, EarnForOrder, Receipt
from actors.points.plan import Plan
from actors.points.posting import Moment
from actors.points.records import entry_of
from actors.points.state import AccountState, empty
from actors.vocabulary import Idempotency
from runtime import ActorSystem
from runtime.storage import Database, DatabaseHandle
from supervisors.application import ApplicationSpec, application
from supervisors.platform import DatabaseSpec
from tests.bench.harness import Figure, compare

CONCURRENT = 64
MUTATIONS = 6_400
MERCHANT = "bench"
number = count(1).__next__

Mutate = Callable[[str, Earn], Awaitable[None]]


def mutations() -> list[Figure]:
    return [
        compare(
            "durable mutations on SQLite, 64 concurrent, against one transaction each",
            partial(trio.run, _measure, _journal),
            partial(trio.run, _measure, _one_each),
            unit="mutations/s",
            goal=3,
        )
    ]


async def _measure(make: Callable[[ActorSystem, Database], Mutate]) -> float:
    with tempfile.TemporaryDirectory() as directory:
        handle = DatabaseHandle()
        spec = ApplicationSpec(DatabaseSpec(f"sqlite:///{directory}/bench.db"), Path(directory))
        async with ActorSystem().run(application(spec, handle)) as system:
            await _prepare(system)
            mutate = make(system, handle)
            start = time.perf_counter()
            async with trio.open_nursery() as nursery:
                for worker in range(CONCURRENT):
                    nursery.start_soon(_worker, mutate, f"customer-{worker}")
            return MUTATIONS / (time.perf_counter() - start)


async def _prepare(system: ActorSystem) -> None:
    """Every customer has an account, so that both sides only add to it."""
    await system.ref(MERCHANTS).ask(RegisterMerchant(MERCHANT, "Bench", "USD"))
    for worker in range(CONCURRENT):
        order = EarnForOrder(
            order_id=f"order-{worker}",
            total_minor=100,
            currency="USD",
            ordered_at=system.clock.now(),
        )
        await system.entities(ACCOUNTS).ref(_key(f"customer-{worker}")).ask(Apply((order,)))


async def _worker(mutate: Mutate, customer: str) -> None:
    for _ in range(MUTATIONS // CONCURRENT):
        key = Idempotency(f"key-{number()}", "fingerprint")
        await mutate(customer, Earn(idempotency=key, amount=1, reason="bench"))


def _journal(system: ActorSystem, _database: Database) -> Mutate:
    accounts = system.entities(ACCOUNTS)

    async def mutate(customer: str, earn: Earn) -> None:
        (receipt,) = await accounts.ref(_key(customer)).ask(Apply((earn,)))
        assert isinstance(receipt, Receipt)

    return mutate


def _one_each(system: ActorSystem, database: Database) -> Mutate:
    """The same decision and the same statements, in a transaction of their own."""
    states: dict[str, AccountState] = {}
    moment = Moment(system.clock.now(), system.ids.new)

    async def mutate(customer: str, earn: Earn) -> None:
        state = states.get(customer) or empty(_key(f"alone-{customer}"))
        plan = Plan(state, moment)
        assert isinstance(plan.apply(earn), Receipt)
        await database.append([entry_of(plan.state, plan.events, plan.answers)])
        states[customer] = plan.state

    return mutate


def _key(customer: str) -> AccountKey:
    return AccountKey(MERCHANT, customer)
