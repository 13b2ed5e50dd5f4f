"""Metrics of the auth domain."""

from prometheus_client import CollectorRegistry, Gauge

from runtime.tallies import Counter
from runtime.telemetry import PREFIX


class AuthMetrics:
    """How logins end, how often a refresh token came twice, and how much is revoked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.logins = Counter(
            "logins", "Logins by how they ended", ("outcome",), PREFIX, registry=registry
        )
        self.reuses = Counter(
            "refresh_reuses",
            "Refresh tokens that were used again, which ended their sessions",
            (),
            PREFIX,
            registry=registry,
        )
        self.revoked = Gauge(
            "revocations",
            "Tokens, sessions and API keys that are revoked and would not have expired yet",
            (),
            PREFIX,
            registry=registry,
        )
