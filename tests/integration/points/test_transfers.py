"""Transfers between two account entities over a real store: both sides, or none."""

from datetime import timedelta

import pytest
import trio

import actors.points.transferring
from actors.points.messages import (
    INTAKE,
    ApplyTransfer,
    ListLedger,
    ListLots,
    PlaceHold,
    Transfer,
    TransferReceipt,
)
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.state import AccountState
from actors.points.transferring import Follow, Followed, Transferring
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorDown, host
from runtime.storage import Entry
from tests.trees import MERCHANT, START, Tree, key, running_tree

pytestmark = pytest.mark.trio(run=host.run)


async def move(
    tree: Tree, amount: int, giver: str = "ann", taker: str = "bob", **rest: str
) -> TransferReceipt | Refusal:
    once = key(rest.get("text"), rest.get("fingerprint", "fingerprint"))
    transfer = Transfer(
        idempotency=once, from_customer_id=giver, to_customer_id=taker, amount=amount
    )
    return await tree.system.ref(INTAKE).ask(ApplyTransfer(MERCHANT, transfer))


async def posted(tree: Tree, *customers: str) -> tuple[int, ...]:
    return tuple([(await tree.balance(customer)).posted for customer in customers])


async def test_points_move_with_their_dates_whoever_leads(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        soon, later = START + timedelta(days=3), START + timedelta(days=9)
        await tree.earn(30, expires_at=later)
        await tree.earn(20, expires_at=soon)
        await tree.earn(50)
        there = await move(tree, 60)
        assert isinstance(there, TransferReceipt)
        assert (there.source.amount, there.target.amount) == (-60, 60)
        assert there.source.balance.posted == 40
        assert await posted(tree, "ann", "bob") == (40, 60)
        lots = await tree.system.ref(POINTS_QUERIES).ask(ListLots(MERCHANT, "bob"))
        assert isinstance(lots, Page)
        dated = [(lot.remaining, lot.expires_at) for lot in lots.items]
        assert dated == [(20, soon), (30, later), (10, None)]
        back = await move(tree, 20, "bob", "ann")
        assert isinstance(back, TransferReceipt)
        assert await posted(tree, "ann", "bob") == (60, 40)
        entries = await tree.system.ref(POINTS_QUERIES).ask(ListLedger(MERCHANT, "ann"))
        assert isinstance(entries, Page)
        told = [(entry.kind, entry.amount, entry.transfer_id) for entry in entries.items[:2]]
        assert told == [
            ("transfer_in", 20, back.transfer_id),
            ("transfer_out", -60, there.transfer_id),
        ]
        assert (await tree.verify()).clean


async def test_a_transfer_that_may_not_be_is_refused_and_changes_nothing(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        await tree.earn(50)
        hold = PlaceHold(idempotency=key(), amount=40, expires_at=START + timedelta(days=999))
        await tree.apply(hold)
        refused = [
            (await move(tree, 11), "insufficient_points"),
            (await move(tree, 0), "amount_out_of_range"),
            (await move(tree, 5, "ann", "ann"), "same_account"),
            (await move(tree, 5, "ann", "nobody"), "customer_unknown"),
            (await move(tree, 5, "nobody", "bob"), "customer_unknown"),
            (await move(tree, 5, "bob", "ann"), "insufficient_points"),
        ]
        for refusal, code in refused:
            assert isinstance(refusal, Refusal)
            assert refusal.code == code
        assert await posted(tree, "ann", "bob") == (50, 0)


async def test_a_key_moves_points_once_and_belongs_to_one_request() -> None:
    async with running_tree() as tree:
        await tree.create("ann", "bob")
        await tree.earn(50, idempotency=key("earned"))
        first = await move(tree, 50, text="once")
        again = await move(tree, 50, text="once")
        assert isinstance(first, TransferReceipt)
        assert isinstance(again, TransferReceipt)
        assert again.replayed
        assert again.transfer_id == first.transfer_id
        for other in (
            await move(tree, 50, text="once", fingerprint="other"),
            await move(tree, 50, text="earned"),
        ):
            assert isinstance(other, Refusal)
            assert other.code == "idempotency_key_reused"
        assert await posted(tree, "ann", "bob") == (0, 50)


async def test_transfers_in_both_directions_at_once_wait_for_nobody(store_url: str) -> None:
    """All pairs of four members, both ways: nothing is lost, and no two wait for each other."""
    members = ("ann", "bob", "cyd", "dan")
    async with running_tree(store_url) as tree:
        await tree.create(*members)
        for member in members:
            await tree.earn(100, customer=member)
        results: list[object] = []

        async def one(giver: str, taker: str) -> None:
            results.append(await move(tree, 5, giver, taker))

        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    for giver in members:
                        for taker in members:
                            if giver != taker:
                                nursery.start_soon(one, giver, taker)
        assert all(isinstance(result, TransferReceipt) for result in results)
        assert await posted(tree, *members) == (100,) * 4
        assert (await tree.verify()).clean


@pytest.mark.parametrize("dying", ["ann", "bob"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_whoever_dies_around_the_commit_the_same_key_ends_it_right(
    dying: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader (ann) or the follower (bob) crashes before or after the entry is handed in."""
    transferring = actors.points.transferring.Transferring
    hand_in, ask_follower = transferring._hand_in, transferring._ask_follower
    reached = trio.Event()

    async def interrupted(self: Transferring, entry: Entry, state: AccountState) -> bool:
        if self.key.customer_id != "bob":
            return await hand_in(self, entry, state)
        if moment == "after":
            await hand_in(self, entry, state)
        reached.set()
        if dying == "bob":
            raise RuntimeError("the follower dies")
        if moment == "before":
            await trio.sleep_forever()
        return True

    async def leaving(self: Transferring, follow: Follow) -> Followed:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_follower, self, follow)
            await reached.wait()
            raise RuntimeError("the leader dies")

    async with running_tree() as tree:
        await tree.create("ann", "bob")
        await tree.earn(50)
        with monkeypatch.context() as patch:
            patch.setattr(transferring, "_hand_in", interrupted)
            if dying == "ann":
                patch.setattr(transferring, "_ask_follower", leaving)
            first = await move(tree, 30, text="once")
        assert isinstance(first, Refusal)
        assert first.kind is RefusalKind.UNAVAILABLE
        again = await move(tree, 30, text="once")
        assert isinstance(again, TransferReceipt), again
        assert again.replayed is (moment == "after")
        assert await posted(tree, "ann", "bob") == (20, 30)
        assert (await tree.verify()).clean


async def test_a_follower_that_is_down_leaves_the_leader_as_it_was() -> None:
    """Nor does it fail the leader's other requests."""
    async with running_tree() as tree:
        await tree.create("ann", "bob")
        await tree.earn(50)

        async def down(_self: object, follow: Follow) -> None:
            raise ActorDown("bob", follow, "down")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(actors.points.transferring.Transferring, "_ask_follower", down)
            refused: list[object] = []
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    refused.append(await move(tree, 30))

                for _ in range(3):
                    nursery.start_soon(ask)
                    nursery.start_soon(posted, tree, "ann")
        for refusal in refused:
            assert isinstance(refusal, Refusal)
            assert refusal.code == "account_unavailable"
        assert await posted(tree, "ann", "bob") == (50, 0)
