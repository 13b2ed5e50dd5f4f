"""Accounts under faults: clients that repeat a request until it is answered get it done once."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from actors.core.messages import (
    CUSTOMERS,
    MERCHANTS,
    ORDERS,
    CreateCustomer,
    CreatedCustomer,
    Merchant,
    Order,
    OrderResult,
    RecordOrders,
    RegisterMerchant,
)
from actors.points.messages import (
    ACCOUNTS,
    INTAKE,
    AccountKey,
    Adjust,
    Apply,
    ApplyBatch,
    BatchItem,
    CaptureHold,
    Earn,
    Mutation,
    PlaceHold,
    Receipt,
    Redeem,
    Result,
    Reverse,
    VoidHold,
)
from actors.points.plan import Key, key_of
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime import ActorError, ChildState, WhichChildren
from runtime.ports import seeded_ports
from runtime.storage import StorageError
from tests.faults import Faults, FaultyHandle, end_children, restart
from tests.trees import MERCHANT, START, Tree, running_tree

Reply = TypeVar("Reply")

NAMES = ("ann", "bob", "cyd", "dan")
CLIENTS = 8
REQUESTS = 25
SEEDS, SEEDS_LONG = 6, 60
MAX_TRIES = 300
REFUSED = {
    "insufficient_points",
    "already_reversed",
    "exceeds_original",
    "not_reversible",
    "hold_ended",
    "exceeds_hold",
}
"""What these clients may be refused for; anything else would be a wrong answer."""


@attrs.define(eq=False)
class World:
    """What clients were answered, and so what must be true in the end."""

    tree: Tree
    random: Random
    asked: dict[Key, tuple[str, Mutation]] = attrs.field(factory=dict)
    receipts: dict[Key, Receipt] = attrs.field(factory=dict)
    refused: set[Key] = attrs.field(factory=set)
    orders: dict[str, Order] = attrs.field(factory=dict)
    numbers: int = 0

    def once(self) -> Idempotency:
        self.numbers += 1
        return Idempotency(f"k{self.numbers}", f"f{self.numbers}")

    async def until_answered(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """Repeat the same request until there is an answer, as a client would."""
        for _ in range(MAX_TRIES):
            try:
                reply = await ask()
            except (ActorError, StorageError):
                await trio.sleep(self.random.uniform(0, 1))
                continue
            if not _unavailable(reply):
                return reply
            await trio.sleep(self.random.uniform(0, 1))
        raise AssertionError(f"not answered in {MAX_TRIES} tries")

    async def apply(self, customer: str, mutations: Sequence[Mutation]) -> None:
        for mutation in mutations:
            self.asked[key_of(mutation)] = (customer, mutation)
        results = await self.until_answered(self._way(customer, tuple(mutations)))
        for mutation, result in zip(mutations, results, strict=True):
            self._note(key_of(mutation), result)

    def _way(
        self, customer: str, mutations: tuple[Mutation, ...]
    ) -> Callable[[], Awaitable[tuple[Result, ...]]]:
        """To the account, or through the intake."""
        if self.random.random() < 0.5:
            account = self.tree.system.entities(ACCOUNTS).ref(AccountKey(MERCHANT, customer))
            return lambda: account.ask(Apply(mutations))
        by_name = isinstance(mutations[0], Reverse | CaptureHold | VoidHold)
        name = None if by_name and len(mutations) == 1 else customer
        items = tuple(BatchItem(mutation, name) for mutation in mutations)
        return lambda: self.tree.system.ref(INTAKE).ask(ApplyBatch(MERCHANT, items))

    def _note(self, key: Key, result: Result) -> None:
        if isinstance(result, Refusal):
            assert result.code in REFUSED, result
            self.refused.add(key)
            return
        first = self.receipts.setdefault(key, attrs.evolve(result, replayed=False))
        assert first == attrs.evolve(result, replayed=False)

    async def record(self, orders: tuple[Order, ...]) -> None:
        for order in orders:
            self.orders[order.order_id] = order
        message = RecordOrders(MERCHANT, orders)
        results = await self.until_answered(lambda: self.tree.system.ref(ORDERS).ask(message))
        for order, result in zip(orders, results, strict=True):
            assert isinstance(result, OrderResult), result
            assert result.order == order

    async def create(self, customer: str | None, name: str) -> str:
        message = CreateCustomer(MERCHANT, customer, name, self.once())
        ref = self.tree.system.ref(CUSTOMERS)
        first = await self.until_answered(lambda: ref.ask(message))
        again = await self.until_answered(lambda: ref.ask(message))
        assert isinstance(first, CreatedCustomer), first
        assert again == CreatedCustomer(first.customer, replayed=True)
        return first.customer.customer_id


def _unavailable(reply: Any) -> bool:
    return isinstance(reply, tuple) and any(
        isinstance(result, Refusal) and result.kind is RefusalKind.UNAVAILABLE for result in reply
    )


async def client(world: World) -> None:
    for _ in range(REQUESTS):
        random = world.random
        customer = random.choice(NAMES)
        await trio.sleep(random.choice((0, 0, 0.01, 0.5, 3)))
        if random.random() < 0.2:
            await record_some(world)
            continue
        mutations = [draw(world, customer) for _ in range(random.choice((1, 1, 1, 2, 5)))]
        async with trio.open_nursery() as nursery:
            for _ in range(random.choice((1, 1, 2))):
                nursery.start_soon(world.apply, customer, mutations)


async def record_some(world: World) -> None:
    """New orders, and some that others may be recording at this moment."""
    random = world.random
    new = []
    for _ in range(random.choice((1, 3, 12))):
        world.numbers += 1
        total = random.choice((0, 99, 100, 1_250, 99_999))
        id_ = f"order-{world.numbers}"
        customer = random.choice(NAMES)
        new.append(Order(id_, customer, START - timedelta(days=1), "USD", total, 1))
    known = random.sample(list(world.orders.values()), min(2, len(world.orders)))
    await world.record((*new, *known, new[0]))


def draw(world: World, customer: str) -> Mutation:
    random, once = world.random, world.once()
    of_customer = [r for r in world.receipts.values() if r.customer_id == customer]
    holds = [r.hold_id for r in of_customer if r.hold_id is not None and r.kind == "hold"]
    amount = random.randint(1, 60)
    kinds = ["earn", "earn", "earn", "redeem", "redeem", "adjust", "hold"]
    kinds += ["reverse", "reverse", "reverse"] if of_customer else []
    kinds += ["capture", "void"] if holds else []
    match random.choice(kinds):
        case "earn":
            return Earn(idempotency=once, amount=amount, reason="x")
        case "redeem":
            return Redeem(idempotency=once, amount=amount, reason="x")
        case "adjust":
            return Adjust(idempotency=once, amount=random.choice((-1, 1)) * amount, reason="x")
        case "hold":
            expires_at = START + timedelta(days=365)
            return PlaceHold(idempotency=once, amount=amount, expires_at=expires_at)
        case "reverse":
            named = random.choice(of_customer[-6:]).transaction_id
            part = random.choice((None, None, random.randint(1, 20)))
            return Reverse(idempotency=once, transaction_id=named, amount=part)
        case "capture":
            part = random.choice((None, random.randint(1, 20)))
            return CaptureHold(idempotency=once, hold_id=random.choice(holds), amount=part)
        case _:
            return VoidHold(idempotency=once, hold_id=random.choice(holds))


async def register(world: World) -> None:
    message = RegisterMerchant(MERCHANT, "Shop", "USD")
    merchants = [
        await world.until_answered(lambda: world.tree.system.ref(MERCHANTS).ask(message))
        for _ in range(3)
    ]
    assert isinstance(merchants[0], Merchant)
    assert merchants.count(merchants[0]) == 3
    row = await world.tree.system.ref(MERCHANTS).ask(message)
    assert row == merchants[0]


async def calm(world: World, faults: Faults) -> None:
    """Every child runs again, and everything that was begun has ended."""
    faults.on = False
    await trio.sleep(60)
    for supervisor in ("test.platform", "test.core", "test.points"):
        for child in await world.tree.system.ref(supervisor).ask(WhichChildren()):
            if child.state is not ChildState.RUNNING:  # by hand, as clause S9 says
                await restart(world.tree, supervisor, child.id)
        for child in await world.tree.system.ref(supervisor).ask(WhichChildren()):
            assert child.state is ChildState.RUNNING, child
    await world.tree.put_back_dead()
    with trio.fail_after(600):
        await world.tree.delivered()


def expected(world: World) -> dict[str, tuple[int, int]]:
    """By customer: posted and held points, summed from the answers alone."""
    posted: dict[str, int] = defaultdict(int)
    holds: dict[str, tuple[str, int]] = {}
    for receipt in world.receipts.values():
        if receipt.kind == "hold" and receipt.hold_id is not None:
            holds[receipt.hold_id] = (receipt.customer_id, receipt.amount)
    for receipt in world.receipts.values():
        if receipt.kind in ("capture", "void"):
            assert receipt.hold_id is not None
            del holds[receipt.hold_id]
        if receipt.kind == "capture":
            posted[receipt.customer_id] -= receipt.amount
        elif receipt.kind not in ("hold", "void"):
            posted[receipt.customer_id] += receipt.amount
    for order in world.orders.values():
        posted[order.customer_id] += order.total_minor // 100
    held: dict[str, int] = defaultdict(int)
    for customer, amount in holds.values():
        held[customer] += amount
    return {name: (posted[name], held[name]) for name in NAMES}


async def check(world: World) -> None:
    tree = world.tree
    await check_entries(world)
    for name, (posted, held) in expected(world).items():
        balance = await tree.balance(name)
        assert (balance.posted, balance.held, balance.pending) == (posted, held, 0), name
    verification = await tree.verify()
    assert verification.clean, verification.mismatches


async def check_entries(world: World) -> None:
    """One transaction for each answer, none for a refusal, one earning for each order."""
    rows = await world.tree.database.fetch(
        "SELECT idempotency_key, business_key, order_id, reverses, transaction_id, amount,"
        " sequence, customer_id FROM points_transactions"
    )
    by_key = [row["idempotency_key"] for row in rows if row["idempotency_key"] is not None]
    assert sorted(by_key) == sorted(key.text for key in world.receipts)
    earned = [row["order_id"] for row in rows if row["business_key"] is not None]
    assert sorted(earned) == sorted(o.order_id for o in world.orders.values() if o.total_minor > 99)
    amounts = {row["transaction_id"]: row["amount"] for row in rows}
    taken: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["reverses"] is not None:
            taken[row["reverses"]] += abs(row["amount"])
    for reversed_id, amount in taken.items():
        assert amount <= abs(amounts[reversed_id]), f"{reversed_id} was reversed more than once"


async def check_repetitions(world: World) -> None:
    """Whoever asks again gets the first answer again."""
    for key, receipt in world.receipts.items():
        customer, mutation = world.asked[key]
        (again,) = await world.tree.apply(mutation, customer=customer)
        assert again == attrs.evolve(receipt, replayed=True)


async def run(world: World, faults: Faults) -> None:
    tree = world.tree
    faults.on = True
    await register(world)
    for name in NAMES:
        assert await world.create(name, name.title()) == name
    async with trio.open_nursery() as background:
        background.start_soon(end_children, tree, faults)
        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(client, world)
            for number in range(4):
                nursery.start_soon(world.create, None, f"Customer {number}")
        await calm(world, faults)
        background.cancel_scope.cancel()
    await check(world)
    await check_repetitions(world)
    await restart(tree, "test.points", "accounts")
    await check_repetitions(world)
    await check(world)
    assert len(faults.seen) > 10, faults.seen
    assert len(world.receipts) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_is_asked_until_answered_happens_once_whatever_fails(
    seed: int, autojump_clock: MockClock
) -> None:
    await happens_once(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS, SEEDS_LONG))
async def test_what_is_asked_until_answered_happens_once_for_long(
    seed: int, autojump_clock: MockClock
) -> None:
    await happens_once(seed)


async def happens_once(seed: int) -> None:
    faults = Faults(Random(seed))
    ports = seeded_ports(seed, START)
    handle = FaultyHandle(faults)
    with capture_logs():
        async with running_tree(ports=ports, handle=handle) as tree:
            await run(World(tree, Random(seed + 1_000)), faults)
