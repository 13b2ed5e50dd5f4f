"""What the store knows of the keys, transactions and holds that mutations name."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from actors.points.ledger import LotMovement, Transaction
from actors.points.messages import (
    NOTHING,
    Balance,
    CancelRedemption,
    CaptureHold,
    EarnForOrder,
    Mutation,
    Receipt,
    RedeemReward,
    Reverse,
    Transfer,
    TransferReceipt,
    VoidHold,
)
from actors.points.plan import Answer, Facts, Key
from actors.points.program_messages import Redemption, RefundPolicy, RefundRule, Reward
from actors.points.promotion_records import find_used
from actors.points.promotions import needs_use
from actors.points.queries import (
    MAX_IDS,
    SELECT_BY_BUSINESS_KEY,
    SELECT_BY_ID,
    SELECT_KEYS,
    SELECT_KNOWN_HOLDS,
    SELECT_MOVEMENTS_BY_ID,
    SELECT_OWNERS,
    SELECT_REVERSALS,
    with_ids,
)
from actors.points.records import movement_of, receipt_of, stored_answer, transaction_of
from actors.points.reversals import root_of
from actors.points.reward_queries import (
    COUNT_HAD,
    SELECT_REDEMPTIONS,
    SELECT_REFUND_POLICY,
    SELECT_REWARDS,
)
from actors.points.reward_records import redemption_from, reward_of
from actors.points.transfers import again
from actors.vocabulary import KEY_REUSED, Refusal
from runtime.storage import Database, Row
from runtime.storage.idempotency import SELECT_KEY

NAMING_THE_PAST = frozenset({Reverse, CaptureHold, VoidHold, RedeemReward, CancelRedemption})
"""Mutations of something that happened before, or that is kept elsewhere."""

NO_REFUND_RULE = RefundRule(0, RefundPolicy.WITHIN_BALANCE)

FOREIGN = Answer(
    "\0", Receipt("", "", 0, NOTHING, 0, Balance(0, 0, 0, 0), datetime.max.replace(tzinfo=UTC))
)
"""Stands for the answer of a key that another domain used: no fingerprint matches it."""


async def fetch_by_ids(
    database: Database, sql: str, merchant_id: str, ids: Iterable[str]
) -> list[Row]:
    """The rows for any number of ids."""
    wanted = sorted(set(ids))
    chunks = [wanted[start : start + MAX_IDS] for start in range(0, len(wanted), MAX_IDS)]
    if not chunks:
        return []
    results = await database.fetch_many([with_ids(sql, merchant_id, chunk) for chunk in chunks])
    return [row for rows in results for row in rows]


async def find_answers(
    database: Database, merchant_id: str, keys: Iterable[Key]
) -> dict[Key, Answer]:
    """What the keys were answered before; those never used are left out."""
    wanted = set(keys)
    answers: dict[Key, Answer] = {}
    client = [key.text for key in wanted if not key.business]
    for row in await fetch_by_ids(database, SELECT_KEYS, merchant_id, client):
        answer = stored_answer(row["fingerprint"], row["response"])
        answers[Key(row["key"], business=False)] = answer if answer is not None else FOREIGN
    business = [key.text for key in wanted if key.business]
    for row in await fetch_by_ids(database, SELECT_BY_BUSINESS_KEY, merchant_id, business):
        answers[Key(row["business_key"], business=True)] = Answer("", receipt_of(row))
    return answers


def name_the_past(mutations: Iterable[Mutation]) -> bool:
    """Whether any of them needs facts."""
    return any(type(m) in NAMING_THE_PAST or _used_by(m) for m in mutations)


def _used_by(mutation: Mutation) -> tuple[str, ...]:
    """The campaigns whose use so far decides what the mutation does."""
    if not isinstance(mutation, EarnForOrder):
        return ()
    rules = mutation.promotions.rules
    return tuple(rule.campaign_id for rule in rules if needs_use(rule))


async def find_facts(
    database: Database, merchant_id: str, customer_id: str, mutations: Sequence[Mutation]
) -> Facts:
    """What the mutations name of this customer's past."""
    reversed_ids = [m.transaction_id for m in mutations if isinstance(m, Reverse)]
    hold_ids = [m.hold_id for m in mutations if isinstance(m, CaptureHold | VoidHold)]
    holds = await fetch_by_ids(database, SELECT_KNOWN_HOLDS, merchant_id, hold_ids)
    cancelled = [m.redemption_id for m in mutations if isinstance(m, CancelRedemption)]
    redemptions = await find_redemptions(database, merchant_id, customer_id, cancelled)
    paid = [redemption.transaction_id for redemption in redemptions.values()]
    rewarding = [m.reward_id for m in mutations if isinstance(m, RedeemReward)]
    rewards, had = await find_rewards(database, merchant_id, customer_id, rewarding)
    refunds = await find_refund_rule(database, merchant_id) if reversed_ids else NO_REFUND_RULE
    return Facts(
        await _find_histories(database, merchant_id, customer_id, [*reversed_ids, *paid]),
        frozenset(row["hold_id"] for row in holds if row["customer_id"] == customer_id),
        refunds.policy,
        rewards,
        had,
        redemptions,
        await find_used(
            database, merchant_id, customer_id, [one for m in mutations for one in _used_by(m)]
        ),
    )


async def find_refund_rule(database: Database, merchant_id: str) -> RefundRule:
    row = await database.fetch_row(SELECT_REFUND_POLICY, merchant_id)
    return RefundRule(row[0], RefundPolicy(row[1])) if row is not None else NO_REFUND_RULE


async def find_rewards(
    database: Database, merchant_id: str, customer_id: str, ids: Iterable[str]
) -> tuple[dict[str, Reward], dict[str, int]]:
    """Rewards by id, and how many of each the customer has redeemed."""
    wanted = sorted(set(ids))
    rows = await fetch_by_ids(database, SELECT_REWARDS, merchant_id, wanted)
    if not rows:
        return {}, {}
    had = await database.fetch(COUNT_HAD, merchant_id, customer_id)
    return {row["reward_id"]: reward_of(row) for row in rows}, {row[0]: row[1] for row in had}


async def find_redemptions(
    database: Database, merchant_id: str, customer_id: str, ids: Iterable[str]
) -> dict[str, Redemption]:
    """Those of the redemptions that are the customer's, by id."""
    rows = await fetch_by_ids(database, SELECT_REDEMPTIONS, merchant_id, ids)
    found = map(redemption_from, rows)
    return {each.redemption_id: each for each in found if each.customer_id == customer_id}


async def _find_histories(
    database: Database, merchant_id: str, customer_id: str, ids: Iterable[str]
) -> dict[str, tuple[Transaction, ...]]:
    named = await _find(database, SELECT_BY_ID, merchant_id, ids)
    root_ids = {
        transaction.transaction_id: root_of(transaction)
        for transaction in named
        if transaction.customer_id == customer_id
    }
    roots = await _find(database, SELECT_BY_ID, merchant_id, root_ids.values())
    reversals = await _find(database, SELECT_REVERSALS, merchant_id, root_ids.values())
    by_id = {transaction.transaction_id: transaction for transaction in roots}
    return {
        id_: (by_id[root], *(reversal for reversal in reversals if reversal.reverses == root))
        for id_, root in root_ids.items()
    }


async def _find(
    database: Database, sql: str, merchant_id: str, ids: Iterable[str]
) -> list[Transaction]:
    """Transactions with their lot movements, but without their postings."""
    rows = await fetch_by_ids(database, sql, merchant_id, ids)
    movements: dict[str, list[LotMovement]] = defaultdict(list)
    transaction_ids = [row["transaction_id"] for row in rows]
    for row in await fetch_by_ids(database, SELECT_MOVEMENTS_BY_ID, merchant_id, transaction_ids):
        movements[row["transaction_id"]].append(movement_of(row))
    return [transaction_of(row, (), movements[row["transaction_id"]]) for row in rows]


async def find_transfer(
    database: Database, merchant_id: str, transfer: Transfer
) -> TransferReceipt | Refusal | None:
    """What the key of a transfer was answered before; None when it was never used."""
    once = transfer.idempotency
    row = await database.fetch_row(SELECT_KEY, merchant_id, once.key)
    if row is None:
        return None
    if row["fingerprint"] != once.fingerprint:
        return KEY_REUSED
    try:
        return again(msgspec.convert(row["response"], TransferReceipt))
    except msgspec.ValidationError:
        return KEY_REUSED


async def find_owners(
    database: Database,
    merchant_id: str,
    transaction_ids: Iterable[str],
    hold_ids: Iterable[str],
    redemption_ids: Iterable[str],
) -> dict[str, str]:
    """The customers whose accounts these transactions, holds and redemptions belong to."""
    transactions = await fetch_by_ids(database, SELECT_OWNERS, merchant_id, transaction_ids)
    holds = await fetch_by_ids(database, SELECT_KNOWN_HOLDS, merchant_id, hold_ids)
    redemptions = await fetch_by_ids(database, SELECT_REDEMPTIONS, merchant_id, redemption_ids)
    return {row[0]: row["customer_id"] for row in (*transactions, *holds, *redemptions)}
