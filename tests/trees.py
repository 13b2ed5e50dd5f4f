"""Trees for tests: the platform, core and points on a store in memory or in a file."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.campaign.segments import SegmentSource
from actors.campaign.supervisor import campaign_children, campaign_jobs
from actors.core.cipher import KEY_BYTES, DataKeys, Vault
from actors.core.messages import (
    CUSTOMERS,
    MERCHANTS,
    ORDERS,
    CreateCustomer,
    CreatedCustomer,
    Merchant,
    Order,
    RecordOrders,
    RegisterMerchant,
)
from actors.core.preparers import PreparersInPlace
from actors.core.supervisor import core_children
from actors.gamification.evaluation import reached
from actors.gamification.judging import Judge
from actors.gamification.supervisor import gamification_children, gamification_jobs
from actors.outgoing.absent import NoTexter
from actors.points.messages import (
    ACCOUNTS,
    INTAKE,
    QUERIES,
    AccountKey,
    Apply,
    ApplyBatch,
    Balance,
    BalanceView,
    BatchItem,
    Earn,
    GetBalance,
    Mutation,
    Receipt,
    Result,
    Verification,
    Verify,
)
from actors.points.supervisor import points_children
from actors.products.supervisor import products_children
from actors.referrals.callbacks import Signed, nobody_signs
from actors.referrals.sending import Couriers
from actors.referrals.supervisor import referrals_children, referrals_jobs
from actors.rfm_analytics.supervisor import rfm_analytics_children, rfm_analytics_jobs
from actors.vocabulary import Idempotency
from runtime import INFINITE, ActorSystem, ChildSpec, EntityRef, Supervisor
from runtime.cache import CacheHandle
from runtime.jobs import JobsSpec, Leases, combined_jobs
from runtime.outbox import RELAY, GetBacklog, ListDeadEvents, PutBackEvent
from runtime.ownership import Ownership
from runtime.ports import Ports, seeded_ports
from runtime.spool import MemoryDisk, MemorySpool, SpoolLimits
from runtime.storage import DatabaseHandle
from supervisors.application import MIGRATIONS, SUBSCRIPTIONS
from supervisors.cache import cache_child
from supervisors.platform import DatabaseSpec, platform
from supervisors.simulation.patterns import PatternsInPlace
from tests.stores import open_migrated, patient_pipeline

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MERCHANT = "shop"
MEMORY = "sqlite:///:memory:"

number = count(1).__next__


LISTENING = frozenset({"campaign", "gamification", "points", "referrals"})


def heard_by(domains: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """What is told to domains that are not in the tree would wait for ever."""
    return {
        topic: tuple(consumer for consumer in consumers if consumer.partition(".")[0] in domains)
        for topic, consumers in SUBSCRIPTIONS.items()
    }


DELIVERED_WITHIN_S = 120.0
UNHURRIED_S = 60.0
DELIVERY_LOOK_S = 0.002


@attrs.define
class Tree:
    """A running tree, with short ways to say what tests say often."""

    system: ActorSystem
    database: DatabaseHandle

    def account(self, customer: str = "ann") -> EntityRef:
        return self.system.entities(ACCOUNTS).ref(AccountKey(MERCHANT, customer))

    async def create(self, *customers: str) -> None:
        """The merchant, where it is new, and customers of it."""
        registered = await self.system.ref(MERCHANTS).ask(RegisterMerchant(MERCHANT, "Shop", "USD"))
        assert isinstance(registered, Merchant)
        for customer in customers:
            created = CreateCustomer(MERCHANT, customer, None)
            answer = await self.system.ref(CUSTOMERS).ask(created)
            assert isinstance(answer, CreatedCustomer)

    async def apply(self, *mutations: Mutation, customer: str = "ann") -> tuple[Result, ...]:
        return await self.account(customer).ask(Apply(mutations))

    async def earn(self, amount: int, customer: str = "ann", **rest: Any) -> Receipt:
        """An earning that must succeed, under a fresh key unless one is given."""
        rest.setdefault("idempotency", key())
        earning = Earn(amount=amount, reason="test", **rest)
        (receipt,) = await self.apply(earning, customer=customer)
        assert isinstance(receipt, Receipt), receipt
        return receipt

    async def batch(self, *items: BatchItem) -> tuple[Result, ...]:
        return await self.system.ref(INTAKE).ask(ApplyBatch(MERCHANT, items))

    async def balance(self, customer: str = "ann") -> Balance:
        view = await self.account(customer).ask(GetBalance())
        assert isinstance(view, BalanceView), view
        return view.balance

    async def verify(self) -> Verification:
        return await self.system.ref(QUERIES).ask(Verify(MERCHANT))

    async def record(self, orders: Sequence[Order]) -> Sequence[object]:
        return await self.system.ref(ORDERS).ask(RecordOrders(MERCHANT, tuple(orders)))

    async def put_back_dead(self) -> int:
        """As an operator would when the trouble is over; the number of events."""
        relay = self.system.ref(RELAY)
        dead = await relay.ask(ListDeadEvents())
        for each in dead:
            event = each.event
            again = PutBackEvent(
                event.merchant_id, each.consumer, event.event_id, "operator", "trouble is over"
            )
            assert await relay.ask(again)
        return len(dead)

    async def delivered(self) -> None:
        """Wait until every event of the outbox has taken effect. It asks no more often than would
        let virtual time go on."""
        with trio.fail_after(DELIVERED_WITHIN_S):
            while await self.system.ref(RELAY).ask(GetBacklog()):  # noqa: ASYNC110 - the relay tells nobody
                await trio.sleep(DELIVERY_LOOK_S)


def key(text: str | None = None, fingerprint: str = "fingerprint") -> Idempotency:
    return Idempotency(text if text is not None else f"key-{number()}", fingerprint)


def order(order_id: str, total_minor: int, customer: str = "ann") -> Order:
    return Order(order_id, customer, START - timedelta(days=1), "USD", total_minor, 1)


@asynccontextmanager
async def running_tree(
    url: str = MEMORY,
    ports: Ports | None = None,
    handle: DatabaseHandle | None = None,
    disk: MemoryDisk | None = None,
    disk_limits: SpoolLimits | None = None,
    segments: SegmentSource | None = None,
    couriers: Couriers | None = None,
    signed: Signed = nobody_signs,
    rfm_slice: int | None = None,
    leases: Leases | None = None,
    judge: Judge = reached,
) -> AsyncIterator[Tree]:
    """In memory and with seeded ports the tree runs in virtual time. `disk` is for deferred
    earnings. With `segments` there are the jobs of campaigns, with `couriers` of referrals, and
    with `rfm_slice` segments are scored, so many customers at a time. `judge` evaluates
    the rules of gamification."""
    disk = disk if disk is not None else MemoryDisk()
    handle = handle if handle is not None else _handle()
    spec, ownership = DatabaseSpec(url, opener=open_migrated), Ownership(on_loss=handle.retire)

    cache = CacheHandle()
    jobs = _jobs(handle, leases or Leases(), segments, couriers, rfm_slice)

    async def spool() -> MemorySpool:
        return await MemorySpool.open(disk, disk_limits)

    core = core_children(handle, cache, Vault(), data_keys, PreparersInPlace)
    games = gamification_children(handle, PatternsInPlace, judge)
    public_url = (couriers or Couriers(texter=NoTexter())).public_url
    children: tuple[ChildSpec, ...] = (
        _supervisor(
            "platform",
            lambda: platform(
                spec,
                handle,
                MIGRATIONS,
                heard_by(LISTENING | ({"rfm_analytics"} if rfm_slice is not None else set())),
                ownership,
                cache_child(None, cache),
                jobs,
            ),
        ),
        _supervisor("core", lambda: Supervisor(core)),
        _supervisor("products", lambda: Supervisor(products_children(handle, cache))),
        _supervisor("points", lambda: Supervisor(points_children(handle, spool), intensity=5)),
        _supervisor("games", lambda: Supervisor(games, intensity=5)),
        _supervisor("campaign", lambda: Supervisor(campaign_children(handle))),
        _supervisor(
            "referrals", lambda: Supervisor(referrals_children(handle, public_url, signed))
        ),
    )
    if rfm_slice is not None:
        scoring = partial(Supervisor, rfm_analytics_children(handle))
        children = (*children, _supervisor("rfm_analytics", scoring))
    root = _supervisor("test", lambda: Supervisor(children))
    system = ActorSystem(ports if ports is not None else seeded_ports(1, START))
    async with system.run(root):
        yield Tree(system, handle)


def _jobs(
    handle: DatabaseHandle,
    leases: Leases,
    segments: SegmentSource | None,
    couriers: Couriers | None,
    rfm_slice: int | None,
) -> JobsSpec:
    """Those that were asked for, and those of gamification."""
    wanted = [JobsSpec(leases=leases), gamification_jobs(handle)]
    if segments is not None:
        wanted.append(campaign_jobs(handle, segments))
    if couriers is not None:
        wanted.append(referrals_jobs(handle, couriers))
    if rfm_slice is not None:
        wanted.append(rfm_analytics_jobs(handle, rfm_slice))
    return combined_jobs(*wanted)


async def data_keys() -> DataKeys:
    """The same in every test."""
    return DataKeys(bytes(KEY_BYTES), {1: bytes(range(KEY_BYTES))})


def _handle() -> DatabaseHandle:
    """In virtual time as the program has it. In real time the machine is shared with the other
    tests: there the handle is patient."""
    virtual = isinstance(trio.lowlevel.current_clock(), MockClock)
    return DatabaseHandle() if virtual else DatabaseHandle(patient_pipeline())


def unhurried_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks that say nothing of their time, in this process."""
    monkeypatch.setattr("runtime.ref.DEFAULT_ASK_TIMEOUT_S", UNHURRIED_S)


def _supervisor(id_: str, start: Any) -> ChildSpec:
    return ChildSpec(id_, start, shutdown_s=INFINITE, start_timeout_s=INFINITE, name=f"test.{id_}")
