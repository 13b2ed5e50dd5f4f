"""The domain's queues, and its jobs as they are enqueued."""

from datetime import datetime

from runtime.jobs import Delays, NewJob, QueuePolicy

SEND, POLL = "referrals.send", "referrals.poll"
REWARD, REVERSE = "referrals.reward", "referrals.reverse"
UPKEEP = "referrals.upkeep"

MESSAGES = QueuePolicy(
    name="referrals.messages",
    concurrency=8,
    depth_max=100_000,
    attempts_max=8,
    attempt_timeout_s=15.0,
    delays=Delays(initial_s=30.0, max_s=3_600.0),
)
"""Invitations, and questions what became of them. A provider that is away is tried for two hours;
longer, when it says so itself or its breaker is open."""

REWARDS = QueuePolicy(
    name="referrals.rewards",
    concurrency=8,
    depth_max=1_000_000,
    attempts_max=20,
    attempt_timeout_s=20.0,
    delays=Delays(initial_s=1.0, max_s=30.0),
)
"""Rewards wait in it for as long as an order can be given back."""


def send_job(merchant_id: str, message_id: str) -> NewJob:
    return NewJob(
        queue=MESSAGES.name,
        name=SEND,
        merchant_id=merchant_id,
        payload={"message_id": message_id},
        unique_key=f"send:{message_id}",
    )


def poll_job(merchant_id: str, message_id: str, at: datetime) -> NewJob:
    """Asks the provider once, when it has told nothing by itself."""
    return NewJob(
        queue=MESSAGES.name,
        name=POLL,
        merchant_id=merchant_id,
        payload={"message_id": message_id},
        unique_key=f"poll:{message_id}",
        run_at=at,
    )


def reward_job(merchant_id: str, referral_id: str, at: datetime) -> NewJob:
    return NewJob(
        queue=REWARDS.name,
        name=REWARD,
        merchant_id=merchant_id,
        payload={"referral_id": referral_id},
        unique_key=f"reward:{referral_id}",
        run_at=at,
    )


def reverse_job(merchant_id: str, referral_id: str, reason: str, by: str) -> NewJob:
    return NewJob(
        queue=REWARDS.name,
        name=REVERSE,
        merchant_id=merchant_id,
        payload={"referral_id": referral_id, "reason": reason, "by": by},
        unique_key=f"reverse:{referral_id}",
    )
