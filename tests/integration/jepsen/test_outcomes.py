"""What the clients make of an answer is what the API's problems promise."""

import msgspec
import pytest

from actors.vocabulary import Refusal, RefusalKind
from gateway.problems import problem_of_error, problem_of_refusal
from runtime import ActorDown, AskTimeout, Expired, MailboxFull, Outcome
from runtime.storage import CommitUnknown, StorageError, StorageFull, StorageUnavailable
from tests.history import Acknowledged, Balance, Deferred, Refused, Unknown
from tests.integration.jepsen.http import Answer
from tests.integration.jepsen.outcomes import UnexpectedAnswer, outcome_of

RECEIPT = {
    "transaction_id": "txn-1",
    "sequence": 3,
    "amount": -10,
    "balance": {"posted": 30, "held": 10, "available": 20, "pending": 0},
}


@pytest.mark.parametrize("replayed", [True, False])
def test_a_receipt_is_an_acknowledgement(replayed: bool) -> None:
    headers = {"idempotency-replayed": "true"} if replayed else {}
    outcome = outcome_of(Answer(200, headers, RECEIPT))
    assert outcome == Acknowledged("txn-1", 3, -10, Balance(posted=30, held=10))
    assert isinstance(outcome, Acknowledged)
    assert outcome.replayed is replayed


def test_an_accepted_one_is_deferred() -> None:
    assert outcome_of(Answer(202, {}, {})) == Deferred()


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (MailboxFull("a", None, "full"), True),
        (ActorDown("a", None), True),
        (Expired("a", None, "late"), True),
        (StorageUnavailable("gone"), True),
        (StorageFull("full"), True),
        (ActorDown("a", None, outcome=Outcome.UNKNOWN), False),
        (AskTimeout("a", None, "late"), False),
        (CommitUnknown("lost"), False),
        (StorageError("broken"), False),
    ],
)
def test_a_problem_says_that_it_was_not_done_or_that_nobody_knows(
    error: Exception, known: bool
) -> None:
    problem = problem_of_error(error)
    assert problem is not None
    body = msgspec.to_builtins(problem.document("trace", None))
    outcome = outcome_of(Answer(problem.status, {}, body))
    assert type(outcome) is (Refused if known else Unknown)


def test_what_no_fault_explains_is_unexpected() -> None:
    refusal = Refusal(RefusalKind.NOT_FOUND, "customer_unknown", "there is no customer")
    body = msgspec.to_builtins(problem_of_refusal(refusal).document("trace", None))
    with pytest.raises(UnexpectedAnswer):
        outcome_of(Answer(404, {}, body))
    with pytest.raises(UnexpectedAnswer):
        outcome_of(Answer(200, {}, RECEIPT | {"balance": RECEIPT["balance"] | {"held": 11}}))  # type: ignore[operator]
