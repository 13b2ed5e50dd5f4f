"""Problem documents (RFC 9457): the one form in which the API says no."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from math import ceil
from typing import Annotated

import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError, AskTimeout, Expired, MailboxFull, Outcome
from runtime.policies import BreakerOpen, DeadlineExceeded, NotAdmitted, PolicyError
from runtime.storage import (
    TAKEN_OVER,
    CommitUnknown,
    StorageError,
    StorageFull,
    StorageUnavailable,
    TakenOver,
)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = (("retry-after", "1"),)
INTERRUPTED = "interrupted; it may have happened, ask again with the same key"

Headers = tuple[tuple[str, str], ...]

STATUS_OF_REFUSAL = {
    RefusalKind.NOT_FOUND: 404,
    RefusalKind.CONFLICT: 409,
    RefusalKind.INVALID: 422,
    RefusalKind.UNAVAILABLE: 503,
}


class Problem(Exception):
    """Ends a request with a problem document. `code` is stable, `detail` is for people."""

    def __init__(self, status: int, code: str, detail: str, headers: Headers = ()) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers

    def document(self, trace_id: str | None, instance: str | None) -> "ProblemDocument":
        return ProblemDocument(
            type="about:blank",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            trace_id=trace_id,
            instance=instance,
        )


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """`code` names the reason for programs, `trace_id` leads to the log lines of the request."""

    type: str
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    detail: str
    code: str
    trace_id: str | None
    instance: str | None = None


def unavailable(code: str, detail: str, retry_after_s: float | None = None) -> Problem:
    """503, to be tried again."""
    if retry_after_s is None:
        return Problem(503, code, detail, RETRY_AFTER)
    headers = (("retry-after", str(max(1, ceil(retry_after_s)))),)
    return Problem(503, code, detail, headers)


def taken_over() -> Problem:
    """Trying again helps when it reaches the process that has the database now."""
    return unavailable("taken_over", f"{TAKEN_OVER}; nothing was changed")


def not_found(detail: str = "there is no such resource") -> Problem:
    return Problem(404, "not_found", detail)


def problem_of_refusal(refusal: Refusal) -> Problem:
    """A domain's "no" as a problem."""
    status = STATUS_OF_REFUSAL[refusal.kind]
    headers = RETRY_AFTER if status == 503 else ()
    return Problem(status, refusal.code, refusal.detail, headers)


def problem_of_error(error: BaseException) -> Problem | None:
    """The problem an exception stands for; `None` for one that nobody foresaw.

    Of a group, every member has to be foreseen; the gravest one is told.
    """
    if isinstance(error, BaseExceptionGroup):
        problems = [problem_of_error(member) for member in _leaves(error)]
        foreseen = [problem for problem in problems if problem is not None]
        if len(foreseen) < len(problems):
            return None
        return max(foreseen, key=lambda problem: problem.status)
    if isinstance(error, Problem):
        return error
    if isinstance(error, ActorError):
        return _of_actor_error(error)
    if isinstance(error, PolicyError):
        return _of_policy_error(error)
    if isinstance(error, TakenOver):
        return taken_over()
    if isinstance(error, StorageError):
        return _of_storage_error(error)
    if isinstance(error, HTTPException):
        return _of_http_exception(error)
    return None


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for member in group.exceptions:
        if isinstance(member, BaseExceptionGroup):
            yield from _leaves(member)
        else:
            yield member


def overloaded(retry_after_s: float | None = None) -> Problem:
    detail = "too much is waiting already; nothing was changed"
    return unavailable("overloaded", detail, retry_after_s)


def too_late(outcome: Outcome) -> Problem:
    """504, with what is known about what was asked for."""
    if outcome is Outcome.NOT_DELIVERED:
        return Problem(504, "timeout_not_started", "no answer in time; nothing was changed")
    detail = "no answer in time; it may have happened, ask again with the same key"
    return Problem(504, "timeout_outcome_unknown", detail)


def _of_policy_error(error: PolicyError) -> Problem:
    if isinstance(error, BreakerOpen):
        detail = "this part failed too often and is left alone for a moment; nothing was changed"
        return unavailable("domain_unavailable", detail, error.retry_after_s)
    if isinstance(error, NotAdmitted):
        return overloaded(error.retry_after_s)
    if isinstance(error, DeadlineExceeded):
        return too_late(error.outcome)
    return unavailable("unavailable", "this part is not running; nothing was changed")


def _of_actor_error(error: ActorError) -> Problem:
    if isinstance(error, MailboxFull):
        return overloaded()
    if isinstance(error, AskTimeout | Expired):
        return too_late(error.outcome)
    if error.outcome is Outcome.UNKNOWN:
        return unavailable("interrupted_outcome_unknown", INTERRUPTED)
    return unavailable("unavailable", "this part is not running; nothing was changed")


def _of_storage_error(error: StorageError) -> Problem:
    if isinstance(error, StorageUnavailable):
        detail = "the database cannot be reached; nothing was changed"
        return unavailable("storage_unavailable", detail)
    if isinstance(error, StorageFull):
        return unavailable("storage_full", "the database is full; nothing was changed")
    if isinstance(error, CommitUnknown):
        return unavailable("interrupted_outcome_unknown", INTERRUPTED)
    detail = "the database failed; it may have happened, ask again with the same key"
    return unavailable("storage_failed", detail)


def _of_http_exception(error: HTTPException) -> Problem:
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"this resource takes {allowed}"
        return Problem(405, "method_not_allowed", detail, (("allow", allowed),))
    if isinstance(error, NotFound):
        return not_found()
    status = error.code if error.code is not None and 400 <= error.code <= 599 else 404
    phrase = HTTPStatus(status).phrase
    return Problem(status, re.sub(r"\W+", "_", phrase.lower()), phrase)
