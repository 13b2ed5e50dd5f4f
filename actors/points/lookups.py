"""What the store knows of the keys, transactions and holds that mutations name."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from actors.points.ledger import LotMovement, Transaction
from actors.points.messages import (
    NOTHING,
    Balance,
    CaptureHold,
    Mutation,
    Receipt,
    Reverse,
    VoidHold,
)
from actors.points.plan import Answer, Facts, Key
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
from runtime.storage import Database, Row

NAMING_THE_PAST = frozenset({Reverse, CaptureHold, VoidHold})
"""Mutations of something that happened before."""

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
    return not NAMING_THE_PAST.isdisjoint(map(type, mutations))


async def find_facts(
    database: Database, merchant_id: str, customer_id: str, mutations: Sequence[Mutation]
) -> Facts:
    """What the mutations name of this customer's past."""
    reversed_ids = [m.transaction_id for m in mutations if isinstance(m, Reverse)]
    hold_ids = [m.hold_id for m in mutations if isinstance(m, CaptureHold | VoidHold)]
    holds = await fetch_by_ids(database, SELECT_KNOWN_HOLDS, merchant_id, hold_ids)
    return Facts(
        await _find_histories(database, merchant_id, customer_id, reversed_ids),
        frozenset(row["hold_id"] for row in holds if row["customer_id"] == customer_id),
    )


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


async def find_owners(
    database: Database, merchant_id: str, transaction_ids: Iterable[str], hold_ids: Iterable[str]
) -> dict[str, str]:
    """The customers whose accounts these transactions and holds belong to."""
    transactions = await fetch_by_ids(database, SELECT_OWNERS, merchant_id, transaction_ids)
    holds = await fetch_by_ids(database, SELECT_KNOWN_HOLDS, merchant_id, hold_ids)
    return {row[0]: row["customer_id"] for row in (*transactions, *holds)}
