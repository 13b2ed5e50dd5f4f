"""Metrics of referrals."""

from prometheus_client import CollectorRegistry, Gauge

from runtime.tallies import Counter
from runtime.telemetry import PREFIX


class ReferralMetrics:
    """What is asked for, what became of messages, what the provider tells, and rewards.

    Messages are counted when their new state is durable.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "referral_requests",
            "Invitations and claims by what became of them",
            ("kind", "outcome"),
            PREFIX,
            registry=registry,
        )
        self.messages = Counter(
            "referral_messages",
            "Messages to friends by the states that they came to",
            ("channel", "state"),
            PREFIX,
            registry=registry,
        )
        self.statuses = Counter(
            "referral_statuses",
            "What the provider told of texts: taken, duplicate, parked or forged",
            ("outcome",),
            PREFIX,
            registry=registry,
        )
        self.rewards = Counter(
            "referral_rewards",
            "Referrals that were rewarded, rejected or reversed after they had qualified",
            ("outcome",),
            PREFIX,
            registry=registry,
        )
        self.watched = Gauge(
            "referral_texts_watched",
            "Texts of the last hour that were sent at least ten minutes ago",
            (),
            PREFIX,
            registry=registry,
        )
        self.unconfirmed = Gauge(
            "referral_texts_unconfirmed",
            "Of the texts watched, those whose fate nobody has told",
            (),
            PREFIX,
            registry=registry,
        )
