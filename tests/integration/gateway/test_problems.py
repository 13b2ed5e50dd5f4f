"""Which exceptions become which problems, and which are none of a client's business."""

from typing import Any

import pytest
from werkzeug.exceptions import ImATeapot, MethodNotAllowed

from actors.vocabulary import Refusal, RefusalKind
from gateway.dispatch import explain
from gateway.problems import problem_of_error, problem_of_refusal
from runtime import ActorDown, AskCycle, AskTimeout, Expired, MailboxFull, Outcome
from runtime.storage import CommitUnknown, StorageError, StorageFull, StorageUnavailable

FORESEEN: list[tuple[BaseException, int, str]] = [
    (MailboxFull("a", None, "full"), 503, "overloaded"),
    (ActorDown("a", None), 503, "unavailable"),
    (ActorDown("a", None, outcome=Outcome.UNKNOWN), 503, "interrupted_outcome_unknown"),
    (Expired("a", None, "late"), 504, "timeout_not_started"),
    (AskTimeout("a", None, "late"), 504, "timeout_outcome_unknown"),
    (AskCycle("a", None, ("a", "b", "a")), 503, "unavailable"),
    (StorageUnavailable("gone"), 503, "storage_unavailable"),
    (StorageFull("full"), 503, "storage_full"),
    (CommitUnknown("lost"), 503, "interrupted_outcome_unknown"),
    (StorageError("broken"), 503, "storage_failed"),
    (MethodNotAllowed(["GET"]), 405, "method_not_allowed"),
    (ImATeapot(), 418, "i_m_a_teapot"),
]


@pytest.mark.parametrize(("error", "status", "code"), FORESEEN)
def test_an_error_that_was_foreseen(error: BaseException, status: int, code: str) -> None:
    problem = problem_of_error(error)
    assert problem is not None
    assert (problem.status, problem.code) == (status, code)
    assert (("retry-after", "1") in problem.headers) is (status == 503)


@pytest.mark.parametrize(
    ("error", "promised"),
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
def test_a_problem_promises_that_nothing_was_changed_only_where_that_is_known(
    error: Exception, promised: bool
) -> None:
    problem = problem_of_error(error)
    assert problem is not None
    assert ("nothing was changed" in problem.detail) is promised


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (RefusalKind.NOT_FOUND, 404),
        (RefusalKind.CONFLICT, 409),
        (RefusalKind.INVALID, 422),
        (RefusalKind.UNAVAILABLE, 503),
    ],
)
def test_a_refusal_keeps_its_code_and_detail(kind: RefusalKind, status: int) -> None:
    problem = problem_of_refusal(Refusal(kind, "because", "of this"))
    assert (problem.status, problem.code, problem.detail) == (status, "because", "of this")


def test_an_error_nobody_foresaw_is_500() -> None:
    assert problem_of_error(KeyError("x")) is None
    assert explain(KeyError("x"), "trace", "/").status == 500


def test_one_unforeseen_error_in_a_group_makes_it_500() -> None:
    group = ExceptionGroup("", [MailboxFull("a", None, "full"), KeyError("x")])
    assert explain(group, "trace", "/").status == 500


def test_of_foreseen_errors_the_gravest_is_told() -> None:
    full, late = MailboxFull("a", None, "full"), AskTimeout("b", None, "late")
    group = ExceptionGroup("", [full, ExceptionGroup("", [late])])
    assert explain(group, "trace", "/").status == 504


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        BaseExceptionGroup("", [KeyboardInterrupt(), KeyError("x")]),
    ],
)
def test_what_is_not_an_error_is_not_answered(error: Any) -> None:
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - its kind is asserted below
        explain(error, "trace", "/")
    assert not isinstance(raised.value, Exception)
    assert "KeyError" not in repr(raised.value)
