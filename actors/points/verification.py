"""Verification: everything the store says of accounts, computed again from their entries."""

from collections import defaultdict
from collections.abc import Iterable

import attrs
import msgspec
import trio

from actors.points.errors import LedgerCorrupt
from actors.points.evolve import evolve
from actors.points.ledger import GENESIS, LotMovement, Posted, Posting, Transaction, seal
from actors.points.loading import ACCOUNT_QUERIES, states_of
from actors.points.messages import AccountKey, Mismatch, Verification
from actors.points.posting import balances_after
from actors.points.queries import (
    COUNT_ORPHANS,
    HALF_TRANSFERS,
    SELECT_CUSTOMERS_AFTER,
    SELECT_MOVEMENTS,
    SELECT_POSTINGS,
    SELECT_TRANSACTIONS,
    STRAY_TRANSFERS,
    with_ids,
)
from actors.points.records import movement_of, transaction_of
from actors.points.reward_queries import WRONG_STOCK
from actors.points.rules import recomputed
from actors.points.state import AccountState, empty
from runtime.storage import Database, Row
from runtime.storage.deadlines import patient

LEDGER_QUERIES = (SELECT_TRANSACTIONS, SELECT_POSTINGS, SELECT_MOVEMENTS)

CHUNK = 64
"""Accounts that are read together, on one snapshot."""

QUERY_LIMIT_S = 60.0
"""A query for so many accounts, with all their entries, may take longer than those of requests."""

MAX_MISMATCHES = 100


@attrs.define
class Findings:
    """Counts as they grow, and what was found wrong."""

    accounts: int = 0
    transactions: int = 0
    postings: int = 0
    points_outstanding: int = 0
    mismatches: list[Mismatch] = attrs.field(factory=list)

    def wrong(self, customer_id: str, check: str, detail: str) -> None:
        if len(self.mismatches) < MAX_MISMATCHES:
            self.mismatches.append(Mismatch(customer_id, check, detail))


@attrs.frozen
class Chunk:
    """What the store says of some accounts."""

    rows: dict[str, list[Row]]
    postings: dict[str, list[Posting]]
    movements: dict[str, list[LotMovement]]
    stored: dict[str, AccountState]


async def verify(database: Database, merchant_id: str) -> Verification:
    """Recompute a merchant's ledger. Accounts are checked one after another, each on a
    snapshot; other tasks run in between."""
    found = Findings()
    with patient(QUERY_LIMIT_S):
        await _check_accounts(found, database, merchant_id)
        orphans = await database.fetch_value(COUNT_ORPHANS, merchant_id)
        await _check_transfers(found, database, merchant_id)
        await _check_stock(found, database, merchant_id)
    if orphans:
        found.wrong("", "orphans", f"{orphans} rows belong to no transaction")
    return Verification(
        not found.mismatches,
        found.accounts,
        found.transactions,
        found.postings,
        found.points_outstanding,
        tuple(found.mismatches),
    )


async def _check_transfers(found: Findings, database: Database, merchant_id: str) -> None:
    """What one account gave, another got."""
    for row in await database.fetch(HALF_TRANSFERS, merchant_id, MAX_MISMATCHES):
        detail = f"transfer {row['transfer_id']} of {row['amount']} moved {row['moved']}"
        found.wrong("", "transfers", f"{detail}, and made {row['net']} of nothing")
    stray = await database.fetch_value(STRAY_TRANSFERS, merchant_id)
    if stray:
        found.wrong("", "transfers", f"{stray} transactions belong to no transfer")


async def _check_stock(found: Findings, database: Database, merchant_id: str) -> None:
    """What is taken of a reward is what was redeemed of it."""
    for row in await database.fetch(WRONG_STOCK, merchant_id, MAX_MISMATCHES):
        detail = (
            f"{row['taken']} of reward {row['reward_id']} are taken, {row['redeemed']} redeemed"
        )
        found.wrong("", "stock", detail)


async def _check_accounts(found: Findings, database: Database, merchant_id: str) -> None:
    after = ""
    while customers := await _customers_after(database, merchant_id, after):
        chunk = await _read(database, merchant_id, customers)
        for customer_id in customers:
            _check_account(found, AccountKey(merchant_id, customer_id), chunk)
            await trio.lowlevel.checkpoint()
        after = customers[-1]


async def _customers_after(database: Database, merchant_id: str, after: str) -> list[str]:
    rows = await database.fetch(SELECT_CUSTOMERS_AFTER, merchant_id, after, CHUNK)
    return [row[0] for row in rows]


async def _read(database: Database, merchant_id: str, customers: list[str]) -> Chunk:
    queries = (*ACCOUNT_QUERIES, *LEDGER_QUERIES)
    results = await database.fetch_many([with_ids(sql, merchant_id, customers) for sql in queries])
    stored = states_of(merchant_id, results[: len(ACCOUNT_QUERIES)])
    rows, postings, movements = results[len(ACCOUNT_QUERIES) :]
    postings_of: dict[str, list[Posting]] = defaultdict(list)
    for row in postings:
        postings_of[row["transaction_id"]].append(Posting(row["account"], row["points"]))
    movements_of: dict[str, list[LotMovement]] = defaultdict(list)
    for row in movements:
        movements_of[row["transaction_id"]].append(movement_of(row))
    return Chunk(_by_customer(rows), postings_of, movements_of, stored)


def _by_customer(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["customer_id"]].append(row)
    return grouped


def _check_account(found: Findings, key: AccountKey, chunk: Chunk) -> None:
    customer_id = key.customer_id
    state = empty(key)
    left: dict[str, int] = {}
    found.accounts += 1
    for row in chunk.rows.get(customer_id, ()):
        postings = chunk.postings[row["transaction_id"]]
        transaction = transaction_of(row, postings, chunk.movements[row["transaction_id"]])
        found.transactions += 1
        found.postings += len(postings)
        _check_transaction(found, state, transaction)
        _check_reversal(found, left, transaction)
        state = _follow(found, state, row, transaction)
    found.points_outstanding += state.posted
    _check_projection(found, customer_id, state, chunk)


def _check_transaction(found: Findings, state: AccountState, t: Transaction) -> None:
    where = f"transaction {t.transaction_id}"
    if t.sequence != state.sequence + 1:
        found.wrong(t.customer_id, "sequence", f"{where} has {t.sequence} after {state.sequence}")
    if sum(posting.points for posting in t.postings) != 0 or not t.postings:
        found.wrong(t.customer_id, "postings", f"{where} does not sum to zero")
    if balances_after(state, t.postings) != (t.member, t.hold, t.pending):
        found.wrong(t.customer_id, "balance", f"{where} states a balance its postings do not make")
    if t.rule is not None and recomputed(t.rule) != t.amount:
        found.wrong(t.customer_id, "rule", f"{where} is not what its earn rule makes")


def _check_reversal(found: Findings, left: dict[str, int], t: Transaction) -> None:
    """`left` is what reversals may still take back, by transaction."""
    if t.reverses is not None:
        left[t.reverses] = left.get(t.reverses, 0) - abs(t.amount)
        if left[t.reverses] < 0:
            detail = f"transaction {t.reverses} is reversed beyond its amount"
            found.wrong(t.customer_id, "reversals", detail)
    left[t.transaction_id] = abs(t.amount)


def _follow(found: Findings, state: AccountState, row: Row, t: Transaction) -> AccountState:
    """The state after `t`; where it cannot follow, the state before it with `t`'s sequence."""
    sealed = seal(state.head if state.sequence else GENESIS, t)
    if sealed.hex() != row["hash"]:
        found.wrong(
            t.customer_id, "chain", f"transaction {t.transaction_id} does not match its hash"
        )
    stored_hash = bytes.fromhex(row["hash"])
    try:
        return evolve(state, Posted(t, state.head, stored_hash))
    except LedgerCorrupt as error:
        found.wrong(t.customer_id, "entry", f"transaction {t.transaction_id}: {error}")
        return msgspec.structs.replace(state, sequence=t.sequence, head=stored_hash)


def _check_projection(
    found: Findings, customer_id: str, replayed: AccountState, chunk: Chunk
) -> None:
    """What the store says now against what the entries make."""
    stored = chunk.stored.get(customer_id)
    if stored is None:
        found.wrong(customer_id, "account", "there are entries, but no account")
        return
    for name in ("sequence", "member", "hold", "pending", "lots", "holds", "promises", "head"):
        made, kept = getattr(replayed, name), getattr(stored, name)
        if made != kept:
            found.wrong(
                customer_id, name, f"stored {_short(kept)}, the entries make {_short(made)}"
            )
    if sum(lot.remaining for lot in replayed.lots) != max(0, replayed.posted):
        found.wrong(customer_id, "lots", "the remainders do not sum to the posted points")


def _short(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
