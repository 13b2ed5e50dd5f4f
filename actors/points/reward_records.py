"""Between rewards, redemptions and their tables."""

from datetime import datetime

from actors.points.program_messages import Redemption, Reward, RewardTerms
from actors.points.reward_queries import (
    CHANGE_REWARD,
    END_REDEMPTION,
    INSERT_REDEMPTION,
    INSERT_REWARD,
    TAKE_STOCK,
)
from actors.points.rewards import Cancelled, RedemptionChange
from runtime.storage import Row, Write


def redemption_writes(merchant_id: str, change: RedemptionChange) -> tuple[Write, Write]:
    """The redemption's row, and the stock: more than there is breaks a constraint."""
    redemption = change.redemption
    redemption_id, reward_id, quantity = (
        redemption.redemption_id,
        redemption.reward_id,
        redemption.quantity,
    )
    if isinstance(change, Cancelled):
        ended = (merchant_id, redemption_id, change.cancelled_by, change.cancelled_at)
        return (
            Write(END_REDEMPTION, ended),
            Write(TAKE_STOCK, (merchant_id, reward_id, -quantity)),
        )
    row = (
        merchant_id,
        redemption_id,
        redemption.customer_id,
        reward_id,
        quantity,
        redemption.cost_points,
        redemption.reward_version,
        redemption.transaction_id,
        redemption.redeemed_at,
    )
    return (
        Write(INSERT_REDEMPTION, row),
        Write(TAKE_STOCK, (merchant_id, reward_id, quantity)),
    )


def reward_write(
    merchant_id: str, reward_id: str, terms: RewardTerms, version: int, now: datetime
) -> Write:
    """Terms as the version that they become: the first creates the reward."""
    row = (
        merchant_id,
        reward_id,
        terms.name,
        terms.cost_points,
        terms.stock,
        terms.per_customer_max,
        terms.valid_from,
        terms.valid_until,
        terms.active,
        version,
        now,
    )
    return Write(INSERT_REWARD if version == 1 else CHANGE_REWARD, row)


def reward_of(row: Row) -> Reward:
    return Reward(
        reward_id=row["reward_id"],
        name=row["name"],
        cost_points=row["cost_points"],
        stock=row["stock"],
        taken=row["taken"],
        per_customer_max=row["per_customer_max"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        active=row["active"],
        version=row["version"],
    )


def terms_of(reward: Reward) -> RewardTerms:
    return RewardTerms(
        name=reward.name,
        cost_points=reward.cost_points,
        stock=reward.stock,
        per_customer_max=reward.per_customer_max,
        valid_from=reward.valid_from,
        valid_until=reward.valid_until,
        active=reward.active,
    )


def redemption_from(row: Row) -> Redemption:
    return Redemption(
        redemption_id=row["redemption_id"],
        customer_id=row["customer_id"],
        reward_id=row["reward_id"],
        quantity=row["quantity"],
        cost_points=row["cost_points"],
        reward_version=row["reward_version"],
        transaction_id=row["transaction_id"],
        redeemed_at=row["redeemed_at"],
        cancelled_at=row["cancelled_at"],
    )
