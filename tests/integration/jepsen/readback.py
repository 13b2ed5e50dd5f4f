"""The final state, read past the program from the tables, and balances from its API."""

import json
from collections.abc import Mapping
from typing import Any

from tests.history import Balance, Entry, FinalState
from tests.servers import PostgresServer

SELECT_ENTRIES = """
SELECT t.customer_id, t.sequence, t.transaction_id, t.idempotency_key, t.kind, t.amount,
    t.member, t.hold,
    coalesce(sum(p.points) FILTER (WHERE p.account = 'member'), 0) AS member_change,
    coalesce(sum(p.points) FILTER (WHERE p.account = 'hold'), 0) AS hold_change
FROM points_transactions t LEFT JOIN points_postings p USING (merchant_id, transaction_id)
GROUP BY t.merchant_id, t.transaction_id
"""

SELECT_KEYS = "SELECT key, response->>'transaction_id' AS transaction_id FROM idempotency_keys"


def final_state(
    server: PostgresServer, database: str, balances: Mapping[str, Balance]
) -> FinalState:
    """What the tables of a database with one merchant say."""
    keys = _rows(server, database, SELECT_KEYS)
    return FinalState(
        tuple(map(_entry, _rows(server, database, SELECT_ENTRIES))),
        balances,
        {row["key"]: row["transaction_id"] for row in keys},
    )


def _rows(server: PostgresServer, database: str, sql: str) -> list[dict[str, Any]]:
    as_json = f"SELECT coalesce(json_agg(r), '[]') FROM ({sql}) r"
    rows: list[dict[str, Any]] = json.loads(
        server.tool("psql", "-qAt", "-c", as_json, server.url_of(database))
    )
    return rows


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        account=row["customer_id"],
        sequence=row["sequence"],
        transaction_id=row["transaction_id"],
        key=row["idempotency_key"],
        kind=row["kind"],
        amount=row["amount"],
        change=Balance(row["member_change"] + row["hold_change"], row["hold_change"]),
        balance=Balance(row["member"] + row["hold"], row["hold"]),
    )
