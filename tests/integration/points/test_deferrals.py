"""Earnings while the database is away: put off, replayed once and in order, in virtual time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel
import trio.testing
from structlog.testing import capture_logs
from trio.testing import MockClock

from actors.points.account import Account
from actors.points.away import database_away
from actors.points.deferral_backlog import PER_ACCOUNT
from actors.points.deferral_messages import (
    Defer,
    Deferral,
    DeferralStatus,
    DeferredEarn,
    FindDeferrals,
    GetDeferral,
    NothingDeferred,
)
from actors.points.deferral_replay import MAX_ATTEMPTS
from actors.points.deferrals import OPEN_AGAIN_S, RETENTION, Prune
from actors.points.messages import (
    DEFERRALS,
    QUERIES,
    Apply,
    Earn,
    Mutation,
    Receipt,
    Redeem,
    Result,
)
from actors.vocabulary import KEY_REUSED, Idempotency, Refusal
from runtime import ActorError
from runtime.ports import seeded_ports
from runtime.spool import MemoryDisk, SpoolLimits
from runtime.storage import StorageError
from tests.faults import Faults, FaultyHandle, end_children, restart
from tests.trees import MERCHANT, START, Tree, key, running_tree

SETTLED_S = 60.0


@attrs.define
class Shop:
    """A tree whose database can go away, and a disk that outlives the tree."""

    tree: Tree
    faults: Faults
    disk: MemoryDisk

    async def defer(
        self, *earns: Earn, customer: str = "ann"
    ) -> Sequence[Deferral | Receipt | Refusal]:
        earnings = tuple(DeferredEarn(customer, earn) for earn in earns)
        return await self.tree.system.ref(DEFERRALS).ask(Defer(MERCHANT, earnings))

    async def put_off(self, amount: int, customer: str = "ann", **rest: Any) -> Deferral:
        (told,) = await self.defer(earning(amount, **rest), customer=customer)
        assert isinstance(told, Deferral), told
        return told

    async def status(self, deferral_id: str, name: str = DEFERRALS) -> Deferral | None:
        return await self.tree.system.ref(name).ask(GetDeferral(MERCHANT, deferral_id))

    async def ended(self, deferral: Deferral) -> Deferral:
        """What became of it, as memory and as the database say."""
        from_memory = await self.status(deferral.deferral_id)
        recorded = await self.status(deferral.deferral_id, QUERIES)
        assert recorded is not None
        assert from_memory in (recorded, None)
        return recorded

    async def notice(self) -> object | None:
        await trio.testing.wait_all_tasks_blocked()
        return self.tree.system.ref(DEFERRALS).notice

    async def come_back(self) -> None:
        self.faults.away = False
        await trio.sleep(SETTLED_S)
        assert self.disk.records == []

    def metric(self, name: str, **labels: str) -> float | None:
        return self.tree.system.metrics.registry.get_sample_value(f"loyalnest_{name}", labels)


def earning(amount: int, idempotency: Idempotency | None = None, **rest: Any) -> Earn:
    return Earn(idempotency=idempotency or key(), amount=amount, reason="test", **rest)


@asynccontextmanager
async def open_shop(
    *customers: str,
    disk: MemoryDisk | None = None,
    limits: SpoolLimits | None = None,
    seed: int = 1,
) -> AsyncIterator[Shop]:
    disk = disk if disk is not None else MemoryDisk()
    faults = Faults(Random(seed))
    ports, handle = seeded_ports(seed, START), FaultyHandle(faults)
    tree = running_tree(ports=ports, handle=handle, disk=disk, disk_limits=limits)
    async with tree as running:
        if customers:
            await running.create(*customers)
        yield Shop(running, faults, disk)


async def test_what_is_put_off_is_applied_once_and_in_order_when_the_database_is_back(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann", "bob") as shop:
        await shop.tree.earn(5)
        shop.faults.away = True
        told = [await shop.put_off(10 + n, ("ann", "bob")[n % 2]) for n in range(8)]
        assert all(each.status is DeferralStatus.QUEUED for each in told)
        await trio.sleep(60)
        assert [each async for each in _statuses(shop, told)] == [DeferralStatus.QUEUED] * 8
        assert shop.metric("points_deferred_backlog") == 8
        age = shop.metric("points_deferred_oldest_age_seconds")
        assert age == pytest.approx(60, abs=1)
        await shop.come_back()
        receipts = [(await shop.ended(each)).result for each in told]
        sequences: dict[str, list[int]] = {"ann": [1], "bob": [0]}
        for number, receipt in enumerate(receipts):
            assert isinstance(receipt, Receipt)
            assert (receipt.amount, receipt.replayed) == (10 + number, False)
            sequences[receipt.customer_id].append(receipt.sequence)
        assert sequences == {"ann": [1, 2, 3, 4, 5], "bob": [0, 1, 2, 3, 4]}
        assert (await shop.tree.balance()).posted == 5 + 10 + 12 + 14 + 16
        assert (await shop.tree.verify()).clean
        assert shop.metric("points_deferred_total", outcome="queued") == 8
        assert shop.metric("points_deferred_total", outcome="applied") == 8
        assert shop.metric("points_deferred_backlog") == 0
        assert shop.metric("points_deferred_oldest_age_seconds") == 0


async def _statuses(shop: Shop, told: Sequence[Deferral]) -> AsyncIterator[DeferralStatus]:
    for each in told:
        found = await shop.status(each.deferral_id)
        assert found is not None
        yield found.status


async def test_points_are_effective_from_when_they_were_put_off(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        shop.faults.away = True
        told = await shop.put_off(10)
        await trio.sleep(30)
        await shop.come_back()
        row = await shop.tree.database.fetch_row(
            "SELECT effective_at, recorded_at FROM points_transactions WHERE merchant_id = $1",
            MERCHANT,
        )
        assert row is not None
        assert row["effective_at"] == told.deferred_at
        assert row["recorded_at"] >= told.deferred_at + timedelta(seconds=30)


async def test_the_same_request_is_answered_the_same_while_it_waits(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        shop.faults.away = True
        earn = earning(10, key("mine", "print"))
        (first,) = await shop.defer(earn)
        (again,) = await shop.defer(earn)
        (other,) = await shop.defer(earning(11, key("mine", "another")))
        assert again == first
        assert other == KEY_REUSED
        question = FindDeferrals(MERCHANT, (key("mine", "print"), key("mine", "x"), key("free")))
        found = await shop.tree.system.ref(DEFERRALS).ask(question)
        assert found.by_key == (first, KEY_REUSED, None)
        await shop.come_back()
        (receipt,) = await shop.tree.apply(earn)
        assert isinstance(receipt, Receipt)
        assert receipt.replayed
        assert (await shop.tree.balance()).posted == 10


async def test_what_was_applied_is_not_put_off_again(autojump_clock: MockClock) -> None:
    """Whoever asks again while the database, or only the way to the accounts, is away once more."""
    async with open_shop("ann") as shop:
        shop.faults.away = True
        earn = earning(10, key("mine", "print"))
        (first,) = await shop.defer(earn)
        assert isinstance(first, Deferral)
        await shop.come_back()
        shop.faults.away = True
        (told, other) = await shop.defer(earn, earning(11, key("mine", "another")))
        assert shop.disk.records == []
        assert other == KEY_REUSED
        assert isinstance(told, Receipt)
        assert shop.metric("points_deferred_total", outcome="repeated") == 1
        question = FindDeferrals(MERCHANT, (key("mine", "print"), key("mine", "another"), key("x")))
        found = await shop.tree.system.ref(DEFERRALS).ask(question)
        assert found.by_key == (told, KEY_REUSED, None)
        assert shop.metric("points_deferred_total", outcome="repeated") == 2
        await shop.come_back()
        assert (await shop.tree.apply(earn))[0] == told
        assert (await shop.ended(first)).result == attrs.evolve(told, replayed=False)
        assert (await shop.tree.balance()).posted == 10


async def test_what_was_refused_is_put_off_again(autojump_clock: MockClock) -> None:
    """By now there may be such a customer."""
    async with open_shop("ann") as shop:
        shop.faults.away = True
        earn = earning(10)
        (first,) = await shop.defer(earn, customer="bob")
        assert isinstance(first, Deferral)
        await shop.come_back()
        assert isinstance((await shop.ended(first)).result, Refusal)
        shop.faults.away = True
        (again,) = await shop.defer(earn, customer="bob")
        assert isinstance(again, Deferral)
        assert (again.status, again == first) == (DeferralStatus.QUEUED, False)


async def test_its_notice_says_when_nobody_has_to_ask(autojump_clock: MockClock) -> None:
    async with open_shop("ann") as shop:
        seen = [await shop.notice()]
        shop.faults.away = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.put_off, 10)
            while not shop.disk.records:
                await trio.lowlevel.checkpoint()
            seen.append(await shop.notice())  # it may be on the disk already
        await trio.sleep(30)
        seen.append(await shop.notice())
        await shop.come_back()
        seen.append(await shop.notice())
        assert seen == [NothingDeferred(), None, None, NothingDeferred()]


async def test_the_same_request_several_times_at_once_is_put_off_once(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        shop.faults.away = True
        earn = earning(10)
        answers: list[Deferral | Receipt | Refusal] = []

        async def ask() -> None:
            answers.extend(await shop.defer(earn, earn))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert len(answers) == 40
        assert len(set(answers)) == 1
        assert len(shop.disk.records) == 1


async def test_an_earning_that_had_been_committed_is_only_recognised(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        earn = earning(10)
        (done,) = await shop.tree.apply(earn)
        shop.faults.away = True
        (told,) = await shop.defer(earn)
        assert isinstance(told, Deferral)
        await shop.come_back()
        assert (await shop.ended(told)).result == done
        assert (await shop.tree.balance()).posted == 10


async def test_what_the_account_refuses_is_recorded_and_not_tried_again(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        shop.faults.away = True
        nobody = await shop.put_off(10, "nobody")
        somebody = await shop.put_off(20)
        await shop.come_back()
        ended = await shop.ended(nobody)
        assert ended.status is DeferralStatus.REFUSED
        assert isinstance(ended.result, Refusal)
        assert ended.result.code == "customer_unknown"
        assert (await shop.ended(somebody)).status is DeferralStatus.APPLIED
        await shop.tree.create("nobody")
        await restart(shop.tree, "test.points", "deferrals")
        await trio.sleep(SETTLED_S)
        assert (await shop.tree.balance("nobody")).posted == 0


async def test_what_no_account_would_accept_is_refused_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        shop.faults.away = True
        (told,) = await shop.defer(earning(10, effective_at=START + timedelta(days=1)))
        assert isinstance(told, Refusal)
        assert shop.disk.records == []


async def test_a_disk_that_fails_or_is_full_refuses_and_the_next_may_be_taken(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann", limits=SpoolLimits(records_max=2)) as shop:
        shop.faults.away = True
        shop.disk.broken = True
        (refused,) = await shop.defer(earning(10))
        assert isinstance(refused, Refusal)
        assert refused.code == "deferrals_unavailable"
        shop.disk.broken = False
        await shop.put_off(20)
        await shop.put_off(30)
        (full,) = await shop.defer(earning(40))
        assert isinstance(full, Refusal)
        assert full.code == "deferrals_full"
        assert shop.metric("points_deferred_total", outcome="rejected") == 2
        await shop.come_back()
        assert (await shop.tree.balance()).posted == 50
        await shop.put_off(40)


async def test_a_backlog_survives_the_process_and_so_do_its_keys(
    autojump_clock: MockClock,
) -> None:
    disk = MemoryDisk()
    async with open_shop(disk=disk) as shop:
        shop.faults.away = True
        earn = earning(10, key("mine", "print"))
        (told,) = await shop.defer(earn)
        assert isinstance(told, Deferral)
        await shop.put_off(20)
    disk.in_use = True
    async with open_shop("ann", disk=disk) as shop:
        disk.in_use = False
        await trio.sleep(SETTLED_S)
        assert (await shop.ended(told)).status is DeferralStatus.APPLIED
        assert (await shop.tree.balance()).posted == 30
    assert disk.records == []


async def test_keys_are_known_again_after_a_restart_during_an_outage(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        shop.faults.away = True
        earn = earning(10, key("mine", "print"))
        (told,) = await shop.defer(earn)
        await restart(shop.tree, "test.points", "deferrals")
        (again,) = await shop.defer(earn)
        (other,) = await shop.defer(earning(10, key("mine", "another")))
        assert (again, other) == (told, KEY_REUSED)


async def test_an_outcome_that_is_recorded_already_is_not_decided_again(
    autojump_clock: MockClock,
) -> None:
    """A crash may come between the record of an outcome and its acknowledgement."""
    async with open_shop("ann") as shop:
        shop.faults.away = True
        told = await shop.put_off(10, "nobody")
        shop.faults.away = False
        await trio.lowlevel.checkpoint()
        kept = list(shop.disk.records)
        await shop.come_back()
        await shop.tree.create("nobody")
        shop.disk.records, shop.disk.acknowledged = kept, 0
        await restart(shop.tree, "test.points", "deferrals")
        await trio.sleep(SETTLED_S)
        assert (await shop.ended(told)).status is DeferralStatus.REFUSED
        assert (await shop.tree.balance("nobody")).posted == 0
        assert shop.disk.records == []


async def test_a_record_that_cannot_be_read_is_passed_over_and_counted(
    autojump_clock: MockClock,
) -> None:
    async with open_shop("ann") as shop:
        shop.faults.away = True
        await shop.put_off(10)
        first = shop.disk.records[0]
        shop.disk.records[0] = first._replace(payload=b"\xff nonsense")
        await shop.put_off(20)
        with capture_logs() as logs:
            await restart(shop.tree, "test.points", "deferrals")
            await shop.come_back()
        assert [line["sequence"] for line in logs if line["event"] == "deferral_unreadable"] == [1]
        assert (await shop.tree.balance()).posted == 20
        assert shop.metric("points_deferred_total", outcome="unreadable") == 1


async def test_without_a_spool_everything_is_refused_until_there_is_one(
    autojump_clock: MockClock,
) -> None:
    disk = MemoryDisk(in_use=True)
    async with open_shop("ann", disk=disk) as shop:
        (refused,) = await shop.defer(earning(10))
        assert isinstance(refused, Refusal)
        assert refused.code == "deferrals_unavailable"
        assert (await shop.tree.earn(1)).amount == 1
        disk.in_use = False
        await trio.sleep(2 * OPEN_AGAIN_S)
        await shop.put_off(10)


@attrs.define
class Poison:
    """Makes accounts fail that are asked for an amount."""

    amount: int
    asked: list[int] = attrs.field(factory=list)
    third: trio.Event = attrs.field(factory=trio.Event)

    def __call__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        apply = Account._apply

        async def poisoned(account: Account, mutations: Sequence[Mutation]) -> list[Result]:
            amounts = [mutation.amount for mutation in mutations if isinstance(mutation, Earn)]
            if self.amount in amounts:
                self.asked.append(len(amounts))
                if len(self.asked) == 3:
                    self.third.set()
                raise ArithmeticError("poison (a test)")
            return await apply(account, mutations)

        monkeypatch.setattr(Account, "_apply", poisoned)


async def test_a_poisonous_one_is_dead_after_five_attempts_and_nobody_else_waits(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = Poison(666)
    poison(monkeypatch)
    async with open_shop("ann", "bob") as shop:
        shop.faults.away = True
        before, bad, after = [await shop.put_off(n) for n in (10, 666, 20)]
        others = [await shop.put_off(1, "bob") for _ in range(PER_ACCOUNT)]
        shop.faults.away = False
        with capture_logs():
            await trio.sleep(2.5)
            for other in others:
                found = await shop.status(other.deferral_id)
                assert found is not None
                assert found.status is DeferralStatus.APPLIED
            await shop.come_back()
        ended = await shop.ended(bad)
        assert ended.status is DeferralStatus.DEAD
        assert isinstance(ended.result, Refusal)
        assert poison.asked.count(1) == MAX_ATTEMPTS
        assert len(poison.asked) == MAX_ATTEMPTS + 1
        first, second = (await shop.ended(before)).result, (await shop.ended(after)).result
        assert isinstance(first, Receipt)
        assert isinstance(second, Receipt)
        assert (first.sequence, second.sequence) == (1, 2)
        assert shop.metric("points_deferred_total", outcome="dead") == 1


async def test_attempts_are_counted_on_after_a_restart(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = Poison(666)
    poison(monkeypatch)
    async with open_shop("ann") as shop:
        shop.faults.away = True
        bad = await shop.put_off(666)
        shop.faults.away = False
        with capture_logs():
            await poison.third.wait()
            await trio.sleep(0.1)
            await restart(shop.tree, "test.points", "deferrals")
            await shop.come_back()
        assert (await shop.ended(bad)).status is DeferralStatus.DEAD
        assert len(poison.asked) == MAX_ATTEMPTS


async def test_outcomes_are_kept_for_a_time_and_then_deleted(autojump_clock: MockClock) -> None:
    async with open_shop("ann") as shop:
        told = await shop.put_off(10)
        await shop.come_back()
        for age, kept in (
            (RETENTION - timedelta(hours=1), True),
            (RETENTION + timedelta(hours=1), False),
        ):
            await shop.tree.database.execute(
                "UPDATE points_deferrals SET finished_at = $2 WHERE merchant_id = $1",
                MERCHANT,
                shop.tree.system.clock.now() - age,
            )
            shop.tree.system.ref(DEFERRALS).tell(Prune())
            await trio.sleep(1)
            assert (await shop.status(told.deferral_id, QUERIES) is not None) is kept


async def test_who_asks_learns_that_the_database_is_away(autojump_clock: MockClock) -> None:
    async with open_shop("ann") as shop:
        question = FindDeferrals(MERCHANT, ())
        deferrals = shop.tree.system.ref(DEFERRALS)
        assert not (await deferrals.ask(question)).away
        shop.faults.away = True
        await shop.put_off(10)
        await trio.sleep(1)
        assert (await deferrals.ask(question)).away
        await shop.come_back()
        assert not (await deferrals.ask(question)).away


# Random outages


@attrs.define
class Client:
    """Earns and spends as the gateway does it: earnings are put off, nothing else is."""

    shop: Shop
    customer: str
    random: Random
    earned: dict[str, Earn] = attrs.field(factory=dict)
    promised: dict[str, Deferral] = attrs.field(factory=dict)
    spent: dict[str, Redeem] = attrs.field(factory=dict)

    async def run(self, requests: int) -> None:
        for number in range(requests):
            await trio.sleep(self.random.expovariate(4))
            text = f"{self.customer}-{number}"
            if self.random.random() < 0.25:
                await self.spend(Redeem(idempotency=key(text), amount=1, reason="test"))
            else:
                await self.earn(earning(self.random.randrange(1, 100), key(text)))

    async def earn(self, earn: Earn) -> None:
        """Until it is answered with a receipt or a promise."""
        self.earned[earn.idempotency.key] = earn
        for _ in range(1_000):
            if await self._earn(earn):
                return
            await trio.sleep(self.random.random())
        raise AssertionError(f"{earn} was never answered")

    async def _earn(self, earn: Earn) -> bool:
        apply = Apply((earn,))
        try:
            (result,) = await self.shop.tree.account(self.customer).ask(apply, timeout_s=2)
            assert isinstance(result, Receipt), result
            return True
        except (ActorError, StorageError) as error:
            if not database_away(error):
                return False
        try:
            (told,) = await self.shop.defer(earn, customer=self.customer)
        except ActorError:
            return False
        if isinstance(told, Deferral):
            self.promised[told.deferral_id] = told
        return isinstance(told, Deferral)

    async def spend(self, redeem: Redeem) -> None:
        """Once; only a certain answer counts."""
        try:
            (result,) = await self.shop.tree.apply(redeem, customer=self.customer)
        except (ActorError, StorageError):
            return
        if isinstance(result, Receipt):
            self.spent[redeem.idempotency.key] = redeem


async def outages(faults: Faults) -> None:
    while faults.on:
        await trio.sleep(faults.random.expovariate(1 / 6))
        faults.away = faults.on
        await trio.sleep(faults.random.expovariate(1 / 8))
        faults.away = False


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_whatever_was_promised_is_applied_exactly_once(
    seed: int, autojump_clock: MockClock
) -> None:
    names = ("ann", "bob", "cem")
    with capture_logs():
        async with open_shop(*names, seed=seed) as shop:
            clients = [Client(shop, name, Random(f"{seed}{name}")) for name in names]
            shop.faults.on = True
            async with trio.open_nursery() as background:
                background.start_soon(outages, shop.faults)
                background.start_soon(end_children, shop.tree, shop.faults)
                background.start_soon(_end_deferrals, shop)
                async with trio.open_nursery() as nursery:
                    for client in clients:
                        nursery.start_soon(client.run, 60)
                shop.faults.on = False
            await trio.sleep(4 * SETTLED_S)
            await _check(shop, clients)


async def _end_deferrals(shop: Shop) -> None:
    while shop.faults.on:
        await trio.sleep(shop.faults.random.expovariate(1 / 10))
        await restart(shop.tree, "test.points", "deferrals")


async def _check(shop: Shop, clients: Sequence[Client]) -> None:
    rows = await shop.tree.database.fetch(
        "SELECT idempotency_key, kind, amount, customer_id FROM points_transactions"
        " WHERE merchant_id = $1",
        MERCHANT,
    )
    earned = {row["idempotency_key"]: row["amount"] for row in rows if row["kind"] == "earn"}
    assert len(earned) == sum(row["kind"] == "earn" for row in rows), "none is there twice"
    asked = {text: earn.amount for client in clients for text, earn in client.earned.items()}
    assert earned == asked
    spent = {row["idempotency_key"] for row in rows if row["kind"] == "redeem"}
    assert spent >= {text for client in clients for text in client.spent}
    assert shop.disk.records == []
    promised = [each for client in clients for each in client.promised.values()]
    assert len(promised) > 10
    for each in promised:
        ended = await shop.ended(each)
        assert ended.status is DeferralStatus.APPLIED, ended
    keys = {
        row[0]
        for row in await shop.tree.database.fetch(
            "SELECT idempotency_key FROM points_deferrals WHERE merchant_id = $1", MERCHANT
        )
    }
    assert keys <= asked.keys(), "nothing but earnings is ever put off"
    assert (await shop.tree.verify()).clean
