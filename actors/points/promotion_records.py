"""Between what campaigns have given and its table."""

from collections.abc import Iterable, Mapping

from actors.campaign.messages import Budget, Spent
from actors.points.promotions import NOTHING_USED, CampaignUsed, UseChange, Used
from runtime.storage import Database, Row, Statement, Write

EVERYBODY = "*"
"""Stands in the place of the customer in the row of all members together; no id looks like it."""

TAKE_USE = Statement(
    "points.take_use",
    "INSERT INTO points_campaign_use (merchant_id, campaign_id, customer_id, points, money_minor,"
    " times, progress, reached, points_max, money_minor_max, times_max)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    " ON CONFLICT (merchant_id, campaign_id, customer_id) DO UPDATE SET"
    " points = points_campaign_use.points + excluded.points,"
    " money_minor = points_campaign_use.money_minor + excluded.money_minor,"
    " times = points_campaign_use.times + excluded.times,"
    " progress = points_campaign_use.progress + excluded.progress,"
    " reached = points_campaign_use.reached + excluded.reached,"
    " points_max = CASE WHEN excluded.times > 0 THEN excluded.points_max"
    " ELSE points_campaign_use.points_max END,"
    " money_minor_max = CASE WHEN excluded.times > 0 THEN excluded.money_minor_max"
    " ELSE points_campaign_use.money_minor_max END,"
    " times_max = CASE WHEN excluded.times > 0 THEN excluded.times_max"
    " ELSE points_campaign_use.times_max END",
    58,
)
"""More than there is breaks a constraint. Who takes nothing, and only counts towards a goal, brings
no limits: they may have become less than was given before."""

GIVE_BACK_USE = Statement(
    "points.give_back_use",
    "UPDATE points_campaign_use SET points = points + $4, money_minor = money_minor + $5,"
    " times = times + $6, progress = progress + $7, reached = reached + $8"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND customer_id = $3",
    59,
)

SELECT_USES = (
    "SELECT campaign_id, customer_id, points, money_minor, times, progress, reached"
    " FROM points_campaign_use WHERE merchant_id = $1 AND customer_id IN ('*', $2)"
    " AND campaign_id IN ({ids})"
)

SELECT_SPENT = (
    "SELECT points, money_minor, times, (SELECT count(*) FROM points_campaign_use m"
    " WHERE m.merchant_id = $1 AND m.campaign_id = $2 AND m.customer_id <> '*' AND m.times > 0)"
    " AS members FROM points_campaign_use"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND customer_id = '*'"
)


def use_writes(merchant_id: str, customer_id: str, use: UseChange) -> tuple[Write, Write]:
    """The row of the member, and that of everybody."""
    change = use.change
    values = (change.points, change.money_minor, change.times, change.progress, change.reached)
    mine = (merchant_id, use.campaign_id, customer_id, *values)
    all_of_us = (merchant_id, use.campaign_id, EVERYBODY, *values)
    if use.budget is None or use.member_budget is None:
        return Write(GIVE_BACK_USE, mine), Write(GIVE_BACK_USE, all_of_us)
    return (
        Write(TAKE_USE, (*mine, *_limits(use.member_budget))),
        Write(TAKE_USE, (*all_of_us, *_limits(use.budget))),
    )


def _limits(budget: Budget) -> tuple[int | None, int | None, int | None]:
    return budget.points, budget.money_minor, budget.count


def used_of(rows: Iterable[Row]) -> Mapping[str, CampaignUsed]:
    """What campaigns have given so far, overall and to a member, from the rows of both."""
    used: dict[str, CampaignUsed] = {}
    for row in rows:
        before = used.get(row["campaign_id"], NOTHING_USED)
        used[row["campaign_id"]] = _with(before, row)
    return used


def _with(used: CampaignUsed, row: Row) -> CampaignUsed:
    read = Used(*tuple(row)[2:])
    if row["customer_id"] == EVERYBODY:
        return CampaignUsed(read, used.member)
    return CampaignUsed(used.overall, read)


async def find_spent(database: Database, merchant_id: str, campaign_id: str) -> Spent:
    row = await database.fetch_row(SELECT_SPENT, merchant_id, campaign_id)
    if row is None:
        return Spent()
    return Spent(
        points=row["points"],
        money_minor=row["money_minor"],
        count=row["times"],
        members=row["members"],
    )
