"""Verification finds what somebody changed in the store behind the ledger's back."""

from datetime import timedelta

import pytest

from actors.points.evolve import evolve
from actors.points.loading import load_accounts
from actors.points.messages import PlaceHold, Redeem, Reverse, Verification
from actors.points.posting import Moment
from actors.points.program_messages import RefundPolicy
from actors.points.records import entry_of
from actors.points.reversals import Original, post_reversal
from tests.trees import MERCHANT, START, Tree, key, running_tree

UNLOCK = (
    "DROP TRIGGER points_transactions_never_change",
    "DROP TRIGGER points_transactions_never_go",
    "DROP TRIGGER points_postings_never_change",
    "DROP TRIGGER points_postings_never_go",
    "DROP TRIGGER points_lot_movements_never_change",
    "DROP TRIGGER points_lot_movements_never_go",
)

TAMPERING = {
    "a changed amount": (
        "UPDATE points_transactions SET amount = 1000 WHERE sequence = 1",
        "chain",
    ),
    "a changed reason": (
        "UPDATE points_transactions SET reason = 'gift' WHERE sequence = 2",
        "chain",
    ),
    "a changed posting": (
        "UPDATE points_postings SET points = points + 1 WHERE account = 'redemption'",
        "postings",
    ),
    "a deleted posting": ("DELETE FROM points_postings WHERE account = 'redemption'", "postings"),
    "a deleted transaction": ("DELETE FROM points_transactions WHERE sequence = 2", "sequence"),
    "a changed balance": ("UPDATE points_accounts SET member = member + 500", "member"),
    "a changed lot": ("UPDATE points_lots SET remaining = remaining - 1", "lots"),
    "a deleted lot": ("DELETE FROM points_lots WHERE sequence = 1", "lots"),
    "a changed lot movement": ("UPDATE points_lot_movements SET points = -1", "chain"),
    "a forgotten hold": ("UPDATE points_holds SET ended_by = 'nobody'", "holds"),
    "a rewritten hash": ("UPDATE points_transactions SET hash = hex(zeroblob(32))", "chain"),
    "a deleted account": ("DELETE FROM points_accounts", "account"),
    "a stray posting": (
        "INSERT INTO points_postings VALUES ('shop', 'tx_stray', 'member', 5)",
        "orphans",
    ),
}


async def history(tree: Tree) -> None:
    await tree.create("ann")
    await tree.earn(100, expires_at=START + timedelta(days=90))
    await tree.apply(
        Redeem(idempotency=key(), amount=30, reason="x"),
        PlaceHold(idempotency=key(), amount=20, expires_at=START + timedelta(days=1)),
    )


async def test_an_untouched_ledger_is_clean() -> None:
    async with running_tree() as tree:
        await history(tree)
        assert await tree.verify() == Verification(True, 1, 3, 6, 70, ())


@pytest.mark.parametrize("case", TAMPERING)
async def test_it_finds(case: str) -> None:
    statement, check = TAMPERING[case]
    async with running_tree() as tree:
        await history(tree)
        for unlock in UNLOCK:
            await tree.database.execute(unlock)
        await tree.database.execute(statement)
        verification = await tree.verify()
        assert not verification.clean
        assert check in {mismatch.check for mismatch in verification.mismatches}


async def test_it_finds_a_transaction_that_was_reversed_beyond_its_amount() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        earned = await tree.earn(10)
        await tree.earn(100)
        state = (await load_accounts(tree.database, MERCHANT, ["ann"]))["ann"]
        moment = Moment(tree.system.clock.now(), tree.system.ids.new)
        stale = Original(earned.transaction_id, "earn", 10, True, None, (), {}, 0)
        for _ in range(2):
            wanted = Reverse(idempotency=key(), transaction_id=earned.transaction_id)
            posted = post_reversal(
                state, wanted, stale, moment, refunds=RefundPolicy.WITHIN_BALANCE
            )
            state = evolve(state, posted)
            await tree.database.append([entry_of(state, [posted], {})])
        found = [mismatch.check for mismatch in (await tree.verify()).mismatches]
        assert found == ["reversals"]


async def test_another_merchants_ledger_is_not_its_business() -> None:
    async with running_tree() as tree:
        await history(tree)
        await tree.database.execute(
            "INSERT INTO points_postings VALUES ('other', 'tx_stray', 'member', 5)"
        )
        assert (await tree.verify()).clean
