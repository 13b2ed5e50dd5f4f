"""What a merchant owes its members in points, and when it will not any more."""

from datetime import datetime

from actors.points.program_messages import Liability, MonthOfExpiry
from runtime.storage import Database

OUTSTANDING = (
    "SELECT CAST(coalesce(sum(CASE WHEN member + hold > 0 THEN member + hold ELSE 0 END), 0)"
    " AS BIGINT) AS outstanding,"
    " CAST(coalesce(sum(CASE WHEN member + hold < 0 THEN -member - hold ELSE 0 END), 0)"
    " AS BIGINT) AS overdrawn,"
    " CAST(coalesce(sum(hold), 0) AS BIGINT) AS held,"
    " CAST(coalesce(sum(pending), 0) AS BIGINT) AS pending,"
    " count(*) AS accounts FROM points_accounts WHERE merchant_id = $1"
)

BY_MONTH = (
    "SELECT substr(CAST(expires_at AS TEXT), 1, 7) AS month,"
    " CAST(sum(remaining) AS BIGINT) AS points FROM points_lots"
    " WHERE merchant_id = $1 AND remaining > 0 AND (expires_at IS NULL OR expires_at > $2)"
    " GROUP BY substr(CAST(expires_at AS TEXT), 1, 7) ORDER BY 1"
)

OVERDUE = (
    "SELECT CAST(coalesce(sum(remaining), 0) AS BIGINT) FROM points_lots"
    " WHERE merchant_id = $1 AND remaining > 0 AND expires_at <= $2"
)

FLOWS = (
    "SELECT account, CAST(sum(points) AS BIGINT) FROM points_postings WHERE merchant_id = $1"
    " AND account IN ('issuance', 'breakage', 'redemption') GROUP BY account"
)


async def find_liability(database: Database, merchant_id: str, now: datetime) -> Liability:
    """All of it on one snapshot. Lots that ended, and are not posted as expired yet, are told
    apart: they belong to accounts that have to settle first."""
    totals, months, overdue, flows = await database.fetch_many(
        [
            (OUTSTANDING, (merchant_id,)),
            (BY_MONTH, (merchant_id, now)),
            (OVERDUE, (merchant_id, now)),
            (FLOWS, (merchant_id,)),
        ]
    )
    (total,) = totals
    moved = {row[0]: row[1] for row in flows}
    expired, redeemed = moved.get("breakage", 0), moved.get("redemption", 0)
    outstanding = total["outstanding"]
    return Liability(
        as_of=now,
        accounts=total["accounts"],
        outstanding=outstanding,
        held=total["held"],
        pending=total["pending"],
        overdrawn=total["overdrawn"],
        overdue=overdue[0][0],
        never_expiring=sum(row["points"] for row in months if row["month"] is None),
        by_expiry_month=tuple(
            MonthOfExpiry(row["month"], row["points"]) for row in months if row["month"] is not None
        ),
        issued=-moved.get("issuance", 0),
        redeemed=redeemed,
        expired=expired,
        expected_breakage=expected_breakage(outstanding, expired, redeemed),
    )


def expected_breakage(outstanding: int, expired: int, redeemed: int) -> int:
    """Of the outstanding points, as many as expired among those that ended so far; rounded down."""
    ended = expired + max(0, redeemed)
    return outstanding * expired // ended if ended else 0
