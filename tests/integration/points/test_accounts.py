"""Account entities over a real store: what is answered is durable, once."""

from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from actors.core.messages import ORDER_RECORDED
from actors.points.messages import (
    INTAKE,
    NOTHING,
    Adjust,
    Apply,
    BatchItem,
    CaptureHold,
    Earn,
    EarnForOrder,
    GetBalanceAt,
    ListLedger,
    ListLots,
    PlaceHold,
    Receipt,
    Redeem,
    Reverse,
    TimeAxis,
    VoidHold,
)
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.vocabulary import Page, Refusal
from runtime import ActorDown, RestartChild, TerminateChild, host
from runtime.journal import JOURNAL, Append
from runtime.outbox import RELAY, GetBacklog, ListDeadEvents
from runtime.storage.outbox import outbox_write
from supervisors.application import SUBSCRIPTIONS
from tests.trees import MERCHANT, START, key, order, running_tree

pytestmark = pytest.mark.trio(run=host.run)

CONSUMERS = len(SUBSCRIPTIONS[ORDER_RECORDED])

MINUTES = 5
"""Between two moments of the past."""


def redeem(amount: int, text: str | None = None, fingerprint: str = "fingerprint") -> Redeem:
    return Redeem(idempotency=key(text, fingerprint), amount=amount, reason="test")


async def test_a_key_is_answered_once_across_passivation_and_memory(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        first = await tree.earn(50, idempotency=key("once"))
        again = await tree.earn(50, idempotency=key("once"))
        await tree.system.ref("test.points").ask(TerminateChild("accounts"))
        await tree.system.ref("test.points").ask(RestartChild("accounts"))
        later = await tree.earn(50, idempotency=key("once"))
        assert not first.replayed
        assert again.replayed
        assert later.replayed
        assert first.transaction_id == again.transaction_id == later.transaction_id
        assert (await tree.balance()).posted == 50


async def test_a_repetition_is_recognised_even_when_it_could_not_succeed_now(
    store_url: str,
) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await tree.earn(50)
        (first,) = await tree.apply(redeem(50, "spend"))
        await tree.system.ref("test.points").ask(TerminateChild("accounts"))
        await tree.system.ref("test.points").ask(RestartChild("accounts"))
        (again,) = await tree.apply(redeem(50, "spend"))
        assert isinstance(first, Receipt)
        assert isinstance(again, Receipt)
        assert again.replayed
        assert again.transaction_id == first.transaction_id


async def test_a_key_with_another_request_is_refused_whoever_comes_first(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        await tree.earn(50, idempotency=key("shared", "one"))
        (same,) = await tree.apply(redeem(10, "shared", "two"))
        (other,) = await tree.apply(
            Earn(idempotency=key("shared", "three"), amount=1, reason="x"), customer="bob"
        )
        for refusal in (same, other):
            assert isinstance(refusal, Refusal)
            assert refusal.code == "idempotency_key_reused"
        assert (await tree.balance("bob")).posted == 0


async def test_one_key_at_two_accounts_at_the_same_time_counts_once(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        results: list[object] = []

        async def race(customer: str) -> None:
            earning = Earn(idempotency=key("race", customer), amount=5, reason="x")
            results.extend(await tree.apply(earning, customer=customer))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(race, "ann")
            nursery.start_soon(race, "bob")
        receipts = [result for result in results if isinstance(result, Receipt)]
        assert len(receipts) == 1
        total = (await tree.balance("ann")).posted + (await tree.balance("bob")).posted
        assert total == 5
        assert (await tree.verify()).clean


async def test_refusals_are_not_kept_under_their_key(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        (refused,) = await tree.apply(redeem(10, "retry"))
        await tree.earn(10)
        (accepted,) = await tree.apply(redeem(10, "retry"))
        assert isinstance(refused, Refusal)
        assert isinstance(accepted, Receipt)


@pytest.mark.parametrize(
    ("spends", "amount", "done"), [(40, 7, 14), pytest.param(100, 100, 1, id="the last points")]
)
async def test_concurrent_spending_never_goes_below_zero(
    store_url: str, spends: int, amount: int, done: int
) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await tree.earn(100)
        results: list[object] = []

        async def spend() -> None:
            results.extend(await tree.apply(redeem(amount)))

        async with trio.open_nursery() as nursery:
            for _ in range(spends):
                nursery.start_soon(spend)
        assert sum(isinstance(result, Receipt) for result in results) == done
        assert sum(isinstance(result, Refusal) for result in results) == spends - done
        assert (await tree.balance()).posted == 100 - done * amount
        assert (await tree.verify()).clean


async def test_an_unknown_customer_is_refused_and_gets_no_account(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        (refused,) = await tree.apply(redeem(1), customer="nobody")
        assert isinstance(refused, Refusal)
        assert refused.code == "customer_unknown"
        ledger = await tree.system.ref(POINTS_QUERIES).ask(ListLedger(MERCHANT, "nobody"))
        assert isinstance(ledger, Refusal)
        assert (await tree.verify()).accounts == 0


async def test_orders_earn_by_rule_once_and_small_ones_earn_nothing(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create()
        orders = [order("o-1", 1_250), order("o-2", 99), order("o-3", 300, "bob")]
        await tree.record(orders)
        await tree.delivered()
        await tree.record(orders)
        await tree.delivered()
        assert (await tree.balance("ann")).posted == 12
        assert (await tree.balance("bob")).posted == 3
        again = EarnForOrder(order_id="o-1", total_minor=1_250, currency="USD", ordered_at=START)
        small = EarnForOrder(order_id="o-2", total_minor=99, currency="USD", ordered_at=START)
        repeated, nothing = await tree.apply(again, small)
        assert isinstance(repeated, Receipt)
        assert repeated.replayed
        assert isinstance(nothing, Receipt)
        assert nothing.kind == NOTHING
        verification = await tree.verify()
        assert verification.clean
        assert verification.transactions == 2


async def test_holds_and_reversals_work_by_id_alone(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        earned = await tree.earn(100)
        place = PlaceHold(idempotency=key(), amount=40, expires_at=START + timedelta(days=2))
        (held,) = await tree.apply(place)
        assert isinstance(held, Receipt)
        assert held.hold_id is not None
        captured, voided, unknown, reversed_ = await tree.batch(
            BatchItem(CaptureHold(idempotency=key(), hold_id=held.hold_id, amount=15)),
            BatchItem(VoidHold(idempotency=key(), hold_id=held.hold_id)),
            BatchItem(VoidHold(idempotency=key(), hold_id="hold_unknown")),
            BatchItem(Reverse(idempotency=key(), transaction_id=earned.transaction_id, amount=20)),
        )
        assert isinstance(captured, Receipt)
        assert isinstance(voided, Refusal)
        assert voided.code == "hold_ended"
        assert isinstance(unknown, Refusal)
        assert unknown.code == "hold_unknown"
        assert isinstance(reversed_, Receipt)
        assert (await tree.balance()).posted == 100 - 15 - 20
        assert (await tree.verify()).clean


async def test_reversals_over_the_original_are_refused_after_a_restart_too(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        earned = await tree.earn(10)
        await tree.earn(100)

        def reverse(amount: int) -> Reverse:
            return Reverse(idempotency=key(), transaction_id=earned.transaction_id, amount=amount)

        await tree.apply(reverse(6))
        await tree.system.ref("test.points").ask(TerminateChild("accounts"))
        await tree.system.ref("test.points").ask(RestartChild("accounts"))
        over, rest, done = await tree.apply(reverse(5), reverse(4), reverse(1))
        assert isinstance(over, Refusal)
        assert over.code == "exceeds_original"
        assert isinstance(rest, Receipt)
        assert isinstance(done, Refusal)
        assert done.code == "already_reversed"


async def test_a_batch_deals_with_many_accounts_and_keeps_the_order(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        customers = [f"c{index}" for index in range(20)]
        await tree.create(*customers)
        items = [
            BatchItem(Earn(idempotency=key(), amount=index + 1, reason="x"), customers[index % 20])
            for index in range(100)
        ]
        results = await tree.batch(*items, BatchItem(redeem(1)))
        amounts = [result.amount for result in results if isinstance(result, Receipt)]
        assert amounts == list(range(1, 101))
        assert isinstance(results[-1], Refusal)
        assert results[-1].code == "customer_missing"


@pytest.mark.trio(run=trio.run)
async def test_what_is_due_is_posted_without_anybody_asking(autojump_clock: MockClock) -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        now = tree.system.clock.now()
        await tree.earn(10, expires_at=now + timedelta(minutes=5))
        await tree.earn(5, pending_until=now + timedelta(minutes=10))
        await trio.sleep(15 * 60)
        rows = await tree.database.fetch("SELECT kind FROM points_transactions ORDER BY sequence")
        assert [row["kind"] for row in rows] == ["earn", "pending_earn", "expiry", "mature"]
        assert (await tree.balance()).posted == 5
        assert (await tree.verify()).clean


@pytest.mark.trio(run=trio.run)
async def test_the_past_is_answered_by_recorded_and_by_effective_time(
    autojump_clock: MockClock,
) -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        start = tree.system.clock.now()
        await tree.earn(10, effective_at=start - timedelta(days=10))
        await trio.sleep(MINUTES * 60)
        await tree.earn(7, expires_at=start + timedelta(days=9))
        await trio.sleep(MINUTES * 60)
        await tree.apply(redeem(12))

        async def posted(units: float, axis: TimeAxis = TimeAxis.RECORDED) -> int:
            at = start + timedelta(minutes=units * MINUTES)
            view = await tree.system.ref(POINTS_QUERIES).ask(
                GetBalanceAt(MERCHANT, "ann", at, axis)
            )
            assert not isinstance(view, Refusal)
            return view.balance.posted

        assert [await posted(units) for units in (-1, 0.5, 1.5, 2.5)] == [0, 10, 17, 5]
        assert await posted(-24, TimeAxis.EFFECTIVE) == 10
        then = await tree.system.ref(POINTS_QUERIES).ask(
            GetBalanceAt(MERCHANT, "ann", start + timedelta(minutes=1.5 * MINUTES))
        )
        assert not isinstance(then, Refusal)
        assert then.expiring is not None
        assert then.expiring.amount == 7


async def test_lists_page_through_everything_once(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        for index in range(7):
            when = START + timedelta(days=30 + index % 3) if index % 2 else None
            await tree.earn(index + 1, expires_at=when)
        for question in (ListLedger, ListLots):
            seen: list[str] = []
            cursor: str | None = None
            while True:
                page = await tree.system.ref(POINTS_QUERIES).ask(
                    question(MERCHANT, "ann", 3, cursor)
                )
                assert isinstance(page, Page)
                seen += [item.transaction_id for item in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert len(seen) == len(set(seen)) == 7


async def test_adjustments_go_both_ways(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        up, down, below = await tree.apply(
            *(
                Adjust(idempotency=key(), amount=amount, reason="correction")
                for amount in (30, -10, -21)
            )
        )
        assert isinstance(up, Receipt)
        assert isinstance(down, Receipt)
        assert isinstance(below, Refusal)
        assert below.code == "insufficient_points"
        assert (await tree.balance()).posted == 20


async def test_while_the_store_is_away_nothing_is_answered_and_after_it_all_is_there(
    store_url: str,
) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await tree.earn(10)
        await tree.system.ref("test.platform").ask(TerminateChild("journal"))
        with pytest.raises(ActorDown):
            await tree.account().ask(Apply((redeem(5, "during"),)))
        await tree.system.ref("test.platform").ask(RestartChild("journal"))
        (receipt,) = await tree.apply(redeem(5, "during"))
        assert isinstance(receipt, Receipt)
        assert (await tree.balance()).posted == 5
        assert (await tree.verify()).clean


@pytest.mark.trio(run=trio.run)
async def test_an_order_event_that_cannot_be_read_is_dead_in_the_end_and_holds_nobody_else_up(
    autojump_clock: MockClock,
) -> None:
    """Clauses J6 and J8."""
    async with running_tree() as tree:
        await tree.create("ann")
        unreadable = outbox_write(
            merchant_id=MERCHANT,
            event_id="ev_0",
            topic=ORDER_RECORDED,
            key="bob",
            payload={"order_id": 7},
            created_at=START,
        )
        await tree.system.ref(JOURNAL).ask(Append((unreadable,), publishes=True))
        await tree.record([order("o-1", 500), order("o-2", 900, "bob")])
        await trio.sleep(5)
        assert (await tree.balance("ann")).posted == 5
        assert (await tree.balance("bob")).posted == 0
        relay = tree.system.ref(RELAY)
        assert await relay.ask(GetBacklog()) == 2 * CONSUMERS
        await trio.sleep(120)
        assert (await tree.balance("bob")).posted == 9
        assert await relay.ask(GetBacklog()) == 0
        every = {each.consumer: each for each in await relay.ask(ListDeadEvents())}
        assert len(every) == CONSUMERS
        dead = every[INTAKE]
        assert (dead.consumer, dead.event.event_id, dead.attempts) == (INTAKE, "ev_0", 5)
