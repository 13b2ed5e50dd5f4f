"""Metrics of the audit log and of privacy requests."""

from prometheus_client import CollectorRegistry, Gauge

from runtime.tallies import Counter
from runtime.telemetry import PREFIX


class AuditMetrics:
    """How many entries were written, and how late whoever writes them is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.entries = Counter(
            "audit_entries", "Entries of the audit log", (), PREFIX, registry=registry
        )
        self.lag = Gauge(
            "audit_outbox_lag_seconds",
            "Age of the oldest event that is not in the audit log yet",
            (),
            PREFIX,
            registry=registry,
        )


class PrivacyMetrics:
    """How many requests of customers about their data are late."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.overdue = Gauge(
            "privacy_requests_overdue",
            "Requests of customers about their data that are past their due date",
            (),
            PREFIX,
            registry=registry,
        )
