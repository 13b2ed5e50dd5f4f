"""The jobs that reward both sides of a referral, and take that back."""

from datetime import datetime, timedelta

import attrs
import msgspec
import structlog

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import GetOrder
from actors.points.messages import ACCOUNTS, AccountKey, Apply, Earn, Receipt, Result, Reverse
from actors.referrals.claiming import end_writes
from actors.referrals.lookups import Lookups
from actors.referrals.messages import (
    REFERRAL_REWARDED,
    ReferralRewarded,
    ReferralState,
    Review,
)
from actors.referrals.metrics import ReferralMetrics
from actors.referrals.model import ORDER_RETURNED, counts
from actors.referrals.queries import CONFIRM, REWARD
from actors.referrals.records import Stored, step_write
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime import ActorError
from runtime.jobs import Job, RetryAfter
from runtime.journal import JOURNAL, Append
from runtime.registries import in_registry
from runtime.storage import Database, Entry, StorageError, Write
from runtime.storage.outbox import outbox_write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.referrals")

SYSTEM = "system"
REASON = "referral"
COME_BACK_S = 5.0

ADVOCATE, FRIEND = "advocate", "friend"
SIDES = (ADVOCATE, FRIEND)


def reward_key(referral_id: str, side: str) -> Idempotency:
    """One for each side of a referral: the ledger has its reward once, whoever asks how often."""
    key = f"referral:{referral_id}:{side}"
    return Idempotency(key, key)


@attrs.frozen
class RewardReferral:
    """First the confirmation is written, once; from then on both sides get their points, whatever
    happens to the order or to this process. Only then the referral is rewarded.

    Before it is due, or while somebody has to look at it, nothing happens.
    """

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        lookups = Lookups(system, self.database)
        referral = await lookups.referral(job.merchant_id, job.payload["referral_id"])
        if referral is None or referral.state is not ReferralState.QUALIFIED:
            return ()
        if referral.review is Review.PENDING or referral.confirm_at is None:
            return ()
        now = system.clock.now()
        if now < referral.confirm_at:
            raise RetryAfter((referral.confirm_at - now) / timedelta(seconds=1), "not due yet")
        try:
            if referral.confirmed_at is None and not await _confirm(system, referral, now):
                return ()
            receipts = [await _earn(system, lookups, referral, side) for side in SIDES]
        except (ActorError, StorageError) as error:
            raise RetryAfter(COME_BACK_S, str(error)) from error
        await _rewarded(system, referral, *receipts)
        return ()


async def _confirm(system: ActorSystem, referral: Stored, now: datetime) -> bool:
    """Whether the order counts for good now. Raises as asks do."""
    question = GetOrder(referral.merchant_id, referral.order_id or "")
    order = await system.ref(CORE_QUERIES).ask(question)
    cancelled = order is None or order.cancelled_at is not None
    total, refunded = (order.total_minor, order.refunded_minor) if order is not None else (0, 0)
    if not counts(referral.program, total, refunded, cancelled=cancelled):
        state = ReferralState.REJECTED
        entry = end_writes(referral, state, ORDER_RETURNED, now, by=SYSTEM)
        if await system.ref(JOURNAL).ask(Append(entry)) is None:
            _metrics(system).rewards.labels("rejected").inc()
        return False
    row = (referral.merchant_id, referral.referral_id, referral.state.value, now)
    rejected = await system.ref(JOURNAL).ask(Append((Write(CONFIRM, row),)))
    if rejected is not None:
        raise RetryAfter(COME_BACK_S, "somebody else decided at the same time")
    return True


async def _earn(system: ActorSystem, lookups: Lookups, referral: Stored, side: str) -> str | None:
    """The transaction of one side's reward; None where there is none. Raises `RetryAfter`."""
    program = referral.program
    amount = program.advocate_points if side == ADVOCATE else program.friend_points
    customer_id = referral.advocate_id if side == ADVOCATE else referral.friend_id
    if not amount or customer_id is None:
        return None
    customer = await lookups.customer(referral.merchant_id, customer_id)
    if not isinstance(customer, Refusal):
        customer_id = customer.customer_id
    earn = Earn(idempotency=reward_key(referral.referral_id, side), amount=amount, reason=REASON)
    result = await _apply(system, referral.merchant_id, customer_id, earn)
    if isinstance(result, Receipt):
        return result.transaction_id
    log.warning("referral_earned_nothing", referral=referral.referral_id, code=result.code)
    return None


async def _apply(
    system: ActorSystem, merchant_id: str, customer_id: str, mutation: Earn | Reverse
) -> Result:
    account = system.entities(ACCOUNTS).ref(AccountKey(merchant_id, customer_id))
    (result,) = await account.ask(Apply((mutation,)))
    if isinstance(result, Refusal) and result.kind is RefusalKind.UNAVAILABLE:
        raise RetryAfter(COME_BACK_S, result.detail)
    return result


async def _rewarded(
    system: ActorSystem, referral: Stored, advocate: str | None, friend: str | None
) -> None:
    now, after = system.clock.now(), ReferralState.REWARDED
    key = (referral.merchant_id, referral.referral_id)
    row = (*key, referral.state.value, after.value, now, advocate, friend)
    told = _told(system, referral, now)
    entry = (Write(REWARD, row), step_write(referral, after, now, SYSTEM), told)
    if await system.ref(JOURNAL).ask(Append(entry, publishes=True)) is None:
        _metrics(system).rewards.labels("rewarded").inc()


def _told(
    system: ActorSystem, referral: Stored, now: datetime, *, reversed_: bool = False
) -> Write:
    """The event that others hear of it by."""
    payload = ReferralRewarded(
        referral_id=referral.referral_id,
        customer_id=referral.advocate_id,
        happened_at=now,
        reversed=reversed_,
    )
    return outbox_write(
        merchant_id=referral.merchant_id,
        event_id=system.ids.new("ev"),
        topic=REFERRAL_REWARDED,
        key=referral.advocate_id,
        payload=msgspec.to_builtins(payload),
        created_at=now,
    )


@attrs.frozen
class ReverseReferral:
    """Takes back what both sides have of it by new entries, as far as the merchant's policy allows,
    and then ends the referral as reversed."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        lookups = Lookups(system, self.database)
        referral = await lookups.referral(job.merchant_id, job.payload["referral_id"])
        if referral is None:
            return ()
        if referral.state is ReferralState.QUALIFIED and referral.confirmed_at is not None:
            raise RetryAfter(COME_BACK_S, "it is being rewarded")
        if referral.state is not ReferralState.REWARDED:
            return ()
        try:
            for side in SIDES:
                await _take_back(system, lookups, referral, side)
        except (ActorError, StorageError) as error:
            raise RetryAfter(COME_BACK_S, str(error)) from error
        reason, by = str(job.payload["reason"]), str(job.payload["by"])
        now = system.clock.now()
        end = end_writes(referral, ReferralState.REVERSED, reason, now, by=by)
        entry = (*end, _told(system, referral, now, reversed_=True))
        if await system.ref(JOURNAL).ask(Append(entry, publishes=True)) is None:
            _metrics(system).rewards.labels("reversed").inc()
        return ()


async def _take_back(system: ActorSystem, lookups: Lookups, referral: Stored, side: str) -> None:
    advocate = side == ADVOCATE
    transaction = referral.advocate_transaction if advocate else referral.friend_transaction
    customer_id = referral.advocate_id if advocate else referral.friend_id
    if transaction is None or customer_id is None:
        return
    key = f"{reward_key(referral.referral_id, side).key}:reversed"
    reverse = Reverse(idempotency=Idempotency(key, key), transaction_id=transaction, reason=REASON)
    result = await _apply(system, referral.merchant_id, customer_id, reverse)
    if isinstance(result, Refusal):
        log.warning("referral_left_points", referral=referral.referral_id, code=result.code)


def _metrics(system: ActorSystem) -> ReferralMetrics:
    return in_registry(system.metrics.registry, ReferralMetrics)
