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
from actors.points.program_messages import Redemption, RefundPolicy, RefundRule
from actors.points.promotion_records import SELECT_USES, used_of
from actors.points.promotions import needs_use
from actors.points.queries import (
    SELECT_BY_BUSINESS_KEY,
    SELECT_HISTORIES,
    SELECT_KEYS,
    SELECT_KNOWN_HOLDS,
    SELECT_MOVEMENTS_OF_HISTORIES,
    SELECT_OWNERS,
)
from actors.points.questions import Questions
from actors.points.records import movement_of, receipt_of, stored_answer, transaction_of
from actors.points.reward_queries import (
    SELECT_HISTORIES_OF_PAYMENTS,
    SELECT_MOVEMENTS_OF_PAYMENTS,
    SELECT_OFFERS,
    SELECT_REDEMPTIONS,
    SELECT_REFUND_POLICY,
)
from actors.points.reward_records import redemption_from, reward_of
from actors.points.transfers import again
from actors.vocabulary import KEY_REUSED, Refusal
from runtime.storage import Database, Row
from runtime.storage.idempotency import SELECT_KEY

NAMING_THE_PAST = frozenset({Reverse, CaptureHold, VoidHold, RedeemReward, CancelRedemption})
"""Mutations of something that happened before, or that is kept elsewhere."""

NO_REFUND_RULE = RefundRule(0, RefundPolicy.WITHIN_BALANCE)

HISTORIES = (SELECT_HISTORIES, SELECT_MOVEMENTS_OF_HISTORIES)
HISTORIES_OF_PAYMENTS = (SELECT_HISTORIES_OF_PAYMENTS, SELECT_MOVEMENTS_OF_PAYMENTS)

FOREIGN = Answer(
    "\0", Receipt("", "", 0, NOTHING, 0, Balance(0, 0, 0, 0), datetime.max.replace(tzinfo=UTC))
)
"""Stands for the answer of a key that another domain used: no fingerprint matches it."""


async def find_answers(
    database: Database, merchant_id: str, keys: Iterable[Key]
) -> dict[Key, Answer]:
    """What the keys were answered before; those never used are left out."""
    wanted = set(keys)
    questions = Questions(merchant_id)
    client = questions.add_ids(SELECT_KEYS, [key.text for key in wanted if not key.business])
    business = questions.add_ids(
        SELECT_BY_BUSINESS_KEY, [key.text for key in wanted if key.business]
    )
    await questions.ask(database)
    answers: dict[Key, Answer] = {}
    for row in client:
        answer = stored_answer(row["fingerprint"], row["response"])
        answers[Key(row["key"], business=False)] = answer if answer is not None else FOREIGN
    for row in business:
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
    cancelled = [m.redemption_id for m in mutations if isinstance(m, CancelRedemption)]
    rewarding = [m.reward_id for m in mutations if isinstance(m, RedeemReward)]
    campaigns = [one for m in mutations for one in _used_by(m)]
    questions = Questions(merchant_id)
    holds = questions.add_ids(SELECT_KNOWN_HOLDS, hold_ids)
    redemptions = questions.add_ids(SELECT_REDEMPTIONS, cancelled)
    offers = questions.add_ids(SELECT_OFFERS, rewarding, customer_id)
    used = questions.add_ids(SELECT_USES, campaigns, customer_id)
    refunds = questions.add(SELECT_REFUND_POLICY) if reversed_ids else []
    reversible = [questions.add_ids(sql, reversed_ids) for sql in HISTORIES]
    paid = [questions.add_ids(sql, cancelled) for sql in HISTORIES_OF_PAYMENTS]
    await questions.ask(database)
    return Facts(
        _histories(customer_id, *reversible) | _histories(customer_id, *paid),
        frozenset(row["hold_id"] for row in holds if row["customer_id"] == customer_id),
        _refund_rule(refunds).policy,
        {row["reward_id"]: reward_of(row) for row in offers},
        {row["reward_id"]: row["had"] for row in offers},
        _redemptions(customer_id, redemptions),
        used_of(used),
    )


async def find_refund_rule(database: Database, merchant_id: str) -> RefundRule:
    return _refund_rule(await database.fetch(SELECT_REFUND_POLICY, merchant_id))


def _refund_rule(rows: Sequence[Row]) -> RefundRule:
    return RefundRule(rows[0][0], RefundPolicy(rows[0][1])) if rows else NO_REFUND_RULE


def _redemptions(customer_id: str, rows: Iterable[Row]) -> dict[str, Redemption]:
    """Those of the redemptions that are the customer's, by id."""
    found = map(redemption_from, rows)
    return {each.redemption_id: each for each in found if each.customer_id == customer_id}


def _histories(
    customer_id: str, rows: Iterable[Row], moved: Iterable[Row]
) -> dict[str, tuple[Transaction, ...]]:
    """By the id that was named, the root and what reverses it; without their postings."""
    movements: dict[tuple[str, str], list[LotMovement]] = defaultdict(list)
    for row in moved:
        movements[row["named"], row["transaction_id"]].append(movement_of(row))
    histories: dict[str, tuple[Transaction, ...]] = {}
    for row in rows:
        if row["customer_id"] == customer_id:
            named = row["named"]
            own = movements[named, row["transaction_id"]]
            histories[named] = (*histories.get(named, ()), transaction_of(row, (), own))
    return histories


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
    questions = Questions(merchant_id)
    found = (
        questions.add_ids(SELECT_OWNERS, transaction_ids),
        questions.add_ids(SELECT_KNOWN_HOLDS, hold_ids),
        questions.add_ids(SELECT_REDEMPTIONS, redemption_ids),
    )
    await questions.ask(database)
    return {row[0]: row["customer_id"] for rows in found for row in rows}
