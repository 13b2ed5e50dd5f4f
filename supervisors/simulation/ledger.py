"""What must be true of the points ledger whenever nothing is under way."""

from collections.abc import Sequence

from actors.points.ledger import HOLD, MEMBER, PENDING
from actors.points.messages import QUERIES, Verify
from runtime.sim import Findings, Run
from runtime.sim.reality import Reality
from runtime.storage import Row
from supervisors.simulation.parts import MERCHANT

CONSERVATION = "ledger conservation"

UNBALANCED = (
    "SELECT transaction_id, CAST(sum(points) AS BIGINT) FROM points_postings"
    " WHERE merchant_id = $1 GROUP BY transaction_id HAVING sum(points) <> 0"
)

BALANCES = (
    "SELECT t.customer_id, p.account, CAST(sum(p.points) AS BIGINT) FROM points_transactions t"
    " JOIN points_postings p ON p.merchant_id = t.merchant_id"
    " AND p.transaction_id = t.transaction_id WHERE t.merchant_id = $1"
    " GROUP BY t.customer_id, p.account"
)

ACCOUNTS = (
    "SELECT a.customer_id, a.member, a.hold, a.pending, a.sequence,"
    " (SELECT count(*) FROM points_transactions t WHERE t.merchant_id = a.merchant_id"
    " AND t.customer_id = a.customer_id) AS transactions,"
    " (SELECT coalesce(CAST(sum(l.remaining) AS BIGINT), 0) FROM points_lots l"
    " WHERE l.merchant_id = a.merchant_id AND l.customer_id = a.customer_id) AS in_lots,"
    " (SELECT coalesce(CAST(sum(h.amount) AS BIGINT), 0) FROM points_holds h"
    " WHERE h.merchant_id = a.merchant_id AND h.customer_id = a.customer_id"
    " AND h.ended_by IS NULL) AS in_holds"
    " FROM points_accounts a WHERE a.merchant_id = $1"
)

COUNT_DUE = (
    "SELECT (SELECT count(*) FROM points_holds WHERE merchant_id = $1 AND ended_by IS NULL"
    " AND expires_at <= $2) + (SELECT count(*) FROM points_pending WHERE merchant_id = $1"
    " AND amount > 0 AND matures_at <= $2)"
)
"""Holds and promises that are overdue, whatever the accounts believe."""


async def check_ledger(run: Run) -> None:
    """By our own sums, and by the product's verification, which also follows the hash chains. Of
    several parts, only the first has anything to look at unless something is written meanwhile."""
    if not run.is_news("ledger"):
        return
    store, findings = run.world.store.real, run.findings
    for row in await store.fetch(UNBALANCED, MERCHANT):
        findings.add(CONSERVATION, f"{row[0]} makes {row[1]} points of nothing")
    await _check_accounts(store, findings)
    system = await run.service.up()
    verification = await system.ref(QUERIES).ask(Verify(MERCHANT))
    for mismatch in verification.mismatches:
        findings.add("ledger verifies", str(mismatch))


async def _check_accounts(store: Reality, findings: Findings) -> None:
    sums: dict[tuple[str, str], int] = {
        (row[0], row[1]): row[2] for row in await store.fetch(BALANCES, MERCHANT)
    }
    for row in await store.fetch(ACCOUNTS, MERCHANT):
        customer = row["customer_id"]
        posted = tuple(sums.get((customer, account), 0) for account in (MEMBER, HOLD, PENDING))
        findings.check(
            posted == (row["member"], row["hold"], row["pending"]),
            CONSERVATION,
            f"{customer}: entries make {posted}, the account says {tuple(row)[1:4]}",
        )
        _check_parts(row, findings)


def _check_parts(row: Row, findings: Findings) -> None:
    customer = row["customer_id"]
    held, in_lots = row["in_holds"], row["in_lots"]
    findings.check(held == row["hold"], CONSERVATION, f"{customer}: holds make {held}")
    available = max(0, row["member"] + row["hold"])
    findings.check(in_lots == available, CONSERVATION, f"{customer}: lots make {in_lots}")
    findings.check(
        row["sequence"] == row["transactions"],
        "gapless sequence",
        f"{customer}: {row['transactions']} transactions, the last is {row['sequence']}",
    )
    findings.check(row["member"] >= 0, "never overdrawn", f"{customer}: {row['member']}")


async def nothing_due(run: Run) -> bool:
    """Whether everything that came due by now has been posted."""
    store, now = run.world.store.real, run.world.clock.now()
    due: int = await store.fetch_value(COUNT_DUE, MERCHANT, now)
    return due == 0


def one_each(rows: Sequence[Row], column: str) -> list[str]:
    """Values of a column that are there more than once."""
    seen: set[str] = set()
    twice: list[str] = []
    for row in rows:
        value = row[column]
        if value is not None and value in seen:
            twice.append(value)
        seen.add(value)
    return twice
