"""The whole check: outcomes, accounts, real time."""

from tests.history.accounts import check_accounts
from tests.history.outcomes import check_outcomes
from tests.history.realtime import check_real_time
from tests.history.values import Anomaly, FinalState, History


def check(history: History, final: FinalState) -> list[Anomaly]:
    """Everything in which `final` does not follow from `history`; nothing where all is well."""
    return [
        *check_outcomes(history, final),
        *check_accounts(history, final),
        *check_real_time(history, final),
    ]
