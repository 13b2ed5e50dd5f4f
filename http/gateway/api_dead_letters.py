"""The platform's routes to dead letters: jobs that failed for good, of all merchants."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from actors.paging import Moment, decode_cursor, page
from actors.vocabulary import Page, Refusal, RefusalKind
from gateway.auditing import audited
from gateway.bodies import PageQuery
from gateway.problems import not_found
from gateway.putting_back import TAG, Intervention, PutBackBody
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer
from runtime.jobs import (
    JOBS,
    PLATFORM,
    GetDeadLetter,
    Job,
    JobRefusal,
    ListDeadLetters,
    PutBack,
)
from runtime.jobs.model import JobState
from runtime.tracing import trace_id_of

NEWEST: Final = (datetime.max.replace(tzinfo=UTC), "")

NOT_NOW: Final = {
    JobRefusal.NOT_FOUND: Refusal(
        RefusalKind.NOT_FOUND, "not_found", "there is no such dead letter"
    ),
    JobRefusal.ENDED: Refusal(RefusalKind.CONFLICT, "not_dead", "the job was put back already"),
    JobRefusal.DUPLICATE: Refusal(
        RefusalKind.CONFLICT, "job_is_live", "a job with the same unique key is live"
    ),
}


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`merchant_id` is null for a job of the platform itself."""

    job_id: str
    merchant_id: str | None
    queue: str
    name: str
    attempts: int
    created_at: datetime
    died_at: datetime | None
    error: str | None
    trace_id: str | None


class FailedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    attempt: int
    error: str


class JobDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A job with everything that is known about it. `payload` is as it was enqueued, `state` says
    what has become of one that was put back."""

    job_id: str
    merchant_id: str | None
    queue: str
    name: str
    key: str | None
    state: JobState
    attempts: int
    created_at: datetime
    run_at: datetime
    died_at: datetime | None
    trace_id: str | None
    payload: Any
    errors: tuple[FailedAttempt, ...]
    history: tuple[Intervention, ...]


def dead_letter(job: Job) -> DeadLetter:
    return DeadLetter(
        job_id=job.job_id,
        merchant_id=_merchant(job),
        queue=job.queue,
        name=job.name,
        attempts=job.attempt,
        created_at=job.created_at,
        died_at=job.finished_at,
        error=job.errors[-1].error if job.errors else None,
        trace_id=trace_id_of(job.trace_id),
    )


def details(job: Job) -> JobDetails:
    return JobDetails(
        job_id=job.job_id,
        merchant_id=_merchant(job),
        queue=job.queue,
        name=job.name,
        key=job.key,
        state=job.state,
        attempts=job.attempt,
        created_at=job.created_at,
        run_at=job.run_at,
        died_at=job.finished_at,
        trace_id=trace_id_of(job.trace_id),
        payload=job.payload,
        errors=tuple(
            FailedAttempt(at=each.at, attempt=each.attempt, error=each.error) for each in job.errors
        ),
        history=tuple(
            Intervention(at=note.at, action=note.action, by=note.by, reason=note.reason)
            for note in job.history
        ),
    )


def _merchant(job: Job) -> str | None:
    return job.merchant_id if job.merchant_id != PLATFORM else None


def _position(job: Job) -> tuple[str, str]:
    died_at = job.finished_at if job.finished_at is not None else NEWEST[0]
    return died_at.isoformat(), job.job_id


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    before = accepted(decode_cursor(query.cursor, tuple[Moment, str], NEWEST))
    jobs = await request.ask(JOBS, ListDeadLetters(before, query.limit + 1))
    return answer(page(jobs, query.limit, dead_letter, _position))


async def show(request: ApiRequest) -> Answer:
    job = await request.ask(JOBS, GetDeadLetter(request.path["job_id"]))
    if job is None:
        raise not_found("there is no such dead letter")
    return answer(details(job))


async def put_back(request: ApiRequest) -> Answer:
    body: PutBackBody = request.body
    dead = await request.ask(JOBS, GetDeadLetter(request.path["job_id"]))
    if dead is None:
        raise not_found("there is no such dead letter")
    event = audited(
        request,
        "dead_letter.put_back",
        dead.job_id,
        before={"state": dead.state.value, "attempts": dead.attempt, "queue": dead.queue},
        after={"state": JobState.AVAILABLE.value, "attempts": 0, "queue": dead.queue},
        reason=body.reason,
        merchant_id=_merchant(dead),
    )
    command = PutBack(dead.job_id, request.caller.subject, body.reason, (event,))
    job = await request.ask(JOBS, command)
    if isinstance(job, JobRefusal):
        job = accepted(NOT_NOW[job])
    return answer(details(job))


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/admin/dead-letters",
        handler=list_,
        summary="Jobs that failed for good, of all merchants, the latest first",
        tag=TAG,
        roles=OPERATORS,
        query=PageQuery,
        responses={200: Response("One page of dead letters", Page[DeadLetter])},
    ),
    Route(
        method="GET",
        path="/v1/admin/dead-letters/{job_id}",
        handler=show,
        summary="One dead letter, also after it was put back, with payload and failed attempts",
        tag=TAG,
        roles=OPERATORS,
        responses={200: Response("The dead letter", JobDetails)},
    ),
    Route(
        method="POST",
        path="/v1/admin/dead-letters/{job_id}/put-back",
        handler=put_back,
        summary="Give a dead letter all its attempts again",
        tag=TAG,
        roles=OPERATORS,
        body=PutBackBody,
        responses={200: Response("The job as it waits now", JobDetails)},
        problems=(409,),
    ),
)
