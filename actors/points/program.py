"""The actor that keeps each merchant's program: refund policy, rewards, what was redeemed."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.core.messages import MERCHANTS, GetMerchant
from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.points.liability import find_liability
from actors.points.lookups import find_refund_rule
from actors.points.program_messages import (
    GetLiability,
    GetRedemption,
    GetRefundRule,
    GetReward,
    ListRedemptions,
    ListRewards,
    PutReward,
    Redemption,
    RefundRule,
    Reward,
    RewardTerms,
    SetRefundRule,
)
from actors.points.reward_queries import (
    INSERT_REFUND_POLICY,
    LIST_REDEMPTIONS,
    LIST_REDEMPTIONS_OF,
    LIST_REWARDS,
    LIST_REWARDS_ON_OFFER,
    SELECT_REDEMPTION,
    SELECT_REWARD,
)
from actors.points.reward_records import redemption_from, reward_of, reward_write, terms_of
from actors.vocabulary import MAX_AMOUNT, Page, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, StorageError, Write

NEWEST = (datetime.max.replace(tzinfo=UTC), "")


class Program(Workers):
    """Reads and writes what merchants say of points. Redemptions themselves are the accounts'."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case GetReward():
                return await self._reward(message.merchant_id, message.reward_id)
            case ListRewards():
                return await self._list_rewards(message)
            case GetRedemption():
                return await self._redemption(message)
            case ListRedemptions():
                return await self._list_redemptions(message)
            case GetRefundRule():
                return await find_refund_rule(self._database, message.merchant_id)
            case PutReward():
                return await self._put_reward(message)
            case SetRefundRule():
                return await self._set_refund_rule(message)
            case GetLiability():
                now = self.system.clock.now()
                return await find_liability(self._database, message.merchant_id, now)
        return await super().receive(message)

    async def _reward(self, merchant_id: str, reward_id: str) -> Reward | None:
        row = await self._database.fetch_row(SELECT_REWARD, merchant_id, reward_id)
        return reward_of(row) if row is not None else None

    async def _list_rewards(self, message: ListRewards) -> Page[Reward] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        values = (message.merchant_id, *after, limit + 1)
        if message.on_offer:
            now = self.system.clock.now()
            rows = await self._database.fetch(LIST_REWARDS_ON_OFFER, *values, now)
        else:
            rows = await self._database.fetch(LIST_REWARDS, *values)
        return page(rows, limit, reward_of, lambda row: [row["reward_id"]])

    async def _redemption(self, message: GetRedemption) -> Redemption | None:
        values = (message.merchant_id, message.redemption_id)
        row = await self._database.fetch_row(SELECT_REDEMPTION, *values)
        return redemption_from(row) if row is not None else None

    async def _list_redemptions(self, message: ListRedemptions) -> Page[Redemption] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        values = (message.merchant_id, *before, limit + 1)
        if message.customer_id is None:
            rows = await self._database.fetch(LIST_REDEMPTIONS, *values)
        else:
            rows = await self._database.fetch(LIST_REDEMPTIONS_OF, *values, message.customer_id)
        return page(rows, limit, redemption_from, _redemption_key)

    async def _put_reward(self, message: PutReward) -> Reward | Refusal:
        merchant_id, reward_id, terms = message.merchant_id, message.reward_id, message.terms
        current = await self._reward(merchant_id, reward_id)
        refusal = check_terms(terms, current) or await self._unknown_merchant(merchant_id)
        if refusal is not None:
            return refusal
        if current is not None and terms_of(current) == terms:
            return current
        version = current.version + 1 if current is not None else 1
        now = self.system.clock.now()
        write = reward_write(merchant_id, reward_id, terms, version, now)
        if not await self._written(write):
            detail = "the reward, or its stock, was changed at the same time; look again"
            return Refusal(RefusalKind.CONFLICT, "reward_conflict", detail)
        return await self._reward(merchant_id, reward_id) or _gone(reward_id)

    async def _set_refund_rule(self, message: SetRefundRule) -> RefundRule | Refusal:
        merchant_id = message.merchant_id
        refusal = await self._unknown_merchant(merchant_id)
        if refusal is not None:
            return refusal
        current = await find_refund_rule(self._database, merchant_id)
        if current.policy is message.policy:
            return current
        rule = RefundRule(current.version + 1, message.policy)
        row = (merchant_id, rule.version, rule.policy.value, self.system.clock.now())
        if not await self._written(Write(INSERT_REFUND_POLICY, row)):
            detail = "the policy was changed by somebody else at the same time"
            return Refusal(RefusalKind.CONFLICT, "refund_policy_conflict", detail)
        return rule

    async def _unknown_merchant(self, merchant_id: str) -> Refusal | None:
        if await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id)) is not None:
            return None
        detail = f"there is no merchant {merchant_id}"
        return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)

    async def _written(self, write: Write) -> bool:
        answer = await self.system.ref(JOURNAL).ask(Append((write,)))
        return not isinstance(answer, Rejected)


def check_terms(terms: RewardTerms, current: Reward | None) -> Refusal | None:
    """What must hold of a reward's terms, beside what is taken of it already."""
    if not 1 <= terms.cost_points <= MAX_AMOUNT:
        return _invalid(f"cost_points must be 1 to {MAX_AMOUNT}")
    if terms.stock is not None and not 0 <= terms.stock <= MAX_AMOUNT:
        return _invalid(f"stock must be 0 to {MAX_AMOUNT}")
    if terms.per_customer_max is not None and not 1 <= terms.per_customer_max <= MAX_AMOUNT:
        return _invalid(f"per_customer_max must be 1 to {MAX_AMOUNT}")
    bounded = terms.valid_from is not None and terms.valid_until is not None
    if bounded and terms.valid_from >= terms.valid_until:  # type: ignore[operator]
        return _invalid("valid_until must be after valid_from")
    if current is not None and terms.stock is not None and terms.stock < current.taken:
        detail = f"{current.taken} are taken already; the stock cannot be less"
        return Refusal(RefusalKind.CONFLICT, "stock_below_taken", detail)
    return None


def _invalid(detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, "invalid_reward", detail)


def _gone(reward_id: str) -> Refusal:
    return Refusal(RefusalKind.NOT_FOUND, "reward_unknown", f"there is no reward {reward_id}")


def _redemption_key(row: Any) -> list[str]:
    return [row["redeemed_at"].isoformat(), row["redemption_id"]]
