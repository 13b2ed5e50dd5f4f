"""The metric that must stay at zero: what a verification of the ledger found wrong."""

from prometheus_client import CollectorRegistry

from runtime.tallies import Counter
from runtime.telemetry import PREFIX


class LedgerMetrics:
    """Counts findings, so that one that is found again counts again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.verified = Counter(
            "points_ledger_verified_accounts",
            "Accounts recomputed by verifications",
            (),
            PREFIX,
            registry=registry,
        )
        self.mismatches = Counter(
            "points_ledger_mismatches",
            "Differences between an account and its entries, found by verifications",
            (),
            PREFIX,
            registry=registry,
        )
