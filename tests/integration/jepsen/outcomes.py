"""What an answer of the API says about a mutation: done, not done, taken in, or unknown."""

from tests.history import Acknowledged, Balance, Deferred, Outcome, Refused, Unknown
from tests.integration.jepsen.http import Answer

NOT_DONE = frozenset(
    {
        "overloaded",
        "unavailable",
        "timeout_not_started",
        "storage_unavailable",
        "storage_full",
        "taken_over",
        "domain_unavailable",
    }
)
"""Codes of 503 and 504 that promise that nothing was changed, and say so in words."""

PROMISE = "nothing was changed"

MAY_BE_DONE = frozenset(
    {
        "timeout_outcome_unknown",
        "interrupted_outcome_unknown",
        "storage_failed",
        "storage_outcome_unknown",
        "deferrals_full",
        "deferrals_unavailable",
        "account_unavailable",
        "idempotency_in_flight",
    }
)
"""Codes that say nothing of the outcome: ask again with the same key."""

DECIDED = frozenset({"insufficient_points"})
"""Codes with which an account says no to what the clients here ask for."""


class UnexpectedAnswer(Exception):
    """An answer that none of the faults explains."""


def outcome_of(answer: Answer) -> Outcome:
    """Raises `UnexpectedAnswer` for an answer that should not be."""
    if answer.status == 200:
        return _acknowledged(answer)
    if answer.status == 202:
        return Deferred()
    code, detail = answer.body["code"], answer.body["detail"]
    if code in DECIDED or (code in NOT_DONE and PROMISE in detail):
        return Refused(code)
    if code in MAY_BE_DONE and PROMISE not in detail:
        return Unknown(code)
    raise UnexpectedAnswer(f"{answer.status}: {answer.body}")


def balance_of(body: dict[str, int]) -> Balance:
    """A balance as the API states it. Raises `UnexpectedAnswer` when it contradicts itself."""
    balance = Balance(posted=body["posted"], held=body["held"])
    if balance.available != body["available"]:
        raise UnexpectedAnswer(f"{body}")
    return balance


def _acknowledged(answer: Answer) -> Acknowledged:
    body = answer.body
    return Acknowledged(
        body["transaction_id"],
        body["sequence"],
        body["amount"],
        balance_of(body["balance"]),
        replayed=answer.headers.get("idempotency-replayed") == "true",
    )
