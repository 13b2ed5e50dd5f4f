"""A checker of histories: what clients were told, against what the store says in the end."""

from tests.history.checker import check
from tests.history.values import (
    Acknowledged,
    Anomaly,
    Balance,
    Deferred,
    Entry,
    FinalState,
    History,
    Kind,
    Operation,
    Outcome,
    Read,
    Refused,
    Rule,
    Unknown,
    amount_of,
    change_of,
)

__all__ = [
    "Acknowledged",
    "Anomaly",
    "Balance",
    "Deferred",
    "Entry",
    "FinalState",
    "History",
    "Kind",
    "Operation",
    "Outcome",
    "Read",
    "Refused",
    "Rule",
    "Unknown",
    "amount_of",
    "change_of",
    "check",
]
