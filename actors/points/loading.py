"""The actor that loads accounts: those that wake up at the same time share their queries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import attrs

from actors.points.following import Followers
from actors.points.lots import spending_order
from actors.points.messages import AccountKey
from actors.points.queries import (
    MAX_IDS,
    SELECT_ACCOUNTS,
    SELECT_ACTIVE_HOLDS,
    SELECT_OPEN_LOTS,
    SELECT_OPEN_PENDING,
    with_ids,
)
from actors.points.state import AccountState, Hold, Lot, Promise, empty
from runtime import Actor, Call, Envelope
from runtime.storage import Database, Row, StorageError

ACCOUNT_QUERIES = (SELECT_ACCOUNTS, SELECT_OPEN_LOTS, SELECT_ACTIVE_HOLDS, SELECT_OPEN_PENDING)

LOADER = "points.loader"
"""Name of the loader. Only accounts speak to it."""


@attrs.frozen
class Load(Call[AccountState]):
    key: AccountKey


class Loader(Actor):
    """Answers with the state of accounts as the store has it. Who is answered may rely on it that
    it is known whether the merchant is followed."""

    batch_max: ClassVar[int] = MAX_IDS
    batch_cancellable: ClassVar[bool] = True
    child_tasks: ClassVar[bool] = False
    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError,)

    def __init__(self, database: Database, followers: Followers) -> None:
        self._database = database
        self._followers = followers

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        by_merchant: dict[str, dict[str, Envelope]] = defaultdict(dict)
        for envelope in batch:
            key: AccountKey = envelope.message.key  # type: ignore[attr-defined]
            by_merchant[key.merchant_id][key.customer_id] = envelope
        await self._followers.look_up(self._database, by_merchant)
        for merchant_id, envelopes in by_merchant.items():
            states = await load_accounts(self._database, merchant_id, list(envelopes))
            for customer_id, envelope in envelopes.items():
                envelope.reply(states[customer_id])


async def load_accounts(
    database: Database, merchant_id: str, customers: list[str]
) -> dict[str, AccountState]:
    """The accounts of up to `MAX_IDS` customers, on one snapshot; new ones are empty."""
    queries = [with_ids(sql, merchant_id, customers) for sql in ACCOUNT_QUERIES]
    states = {customer: empty(AccountKey(merchant_id, customer)) for customer in customers}
    return states | states_of(merchant_id, await database.fetch_many(queries))


def states_of(merchant_id: str, results: Sequence[Iterable[Row]]) -> dict[str, AccountState]:
    """The accounts that have transactions, from the results of `ACCOUNT_QUERIES`."""
    accounts, *parts = results
    lots_of, holds_of, promises_of = map(_by_customer, parts)
    return {
        row["customer_id"]: AccountState(
            merchant_id,
            row["customer_id"],
            row["asset"],
            row["sequence"],
            row["member"],
            row["hold"],
            row["pending"],
            tuple(sorted((Lot(*r[1:]) for r in lots_of[row["customer_id"]]), key=spending_order)),
            {r[1]: Hold(*r[1:]) for r in holds_of[row["customer_id"]]},
            {r[1]: Promise(*r[1:]) for r in promises_of[row["customer_id"]]},
            bytes.fromhex(row["head"]),
            row["recorded_at"],
        )
        for row in accounts
    }


def _by_customer(rows: Iterable[Row]) -> dict[str, list[tuple[Any, ...]]]:
    grouped: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[row["customer_id"]].append(tuple(row))
    return grouped
