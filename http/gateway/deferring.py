"""Earnings that are put off while the database is away: 202 instead of 503."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from actors.points.away import database_away
from actors.points.deferral_messages import (
    Defer,
    Deferral,
    DeferralStatus,
    DeferredEarn,
    FindDeferrals,
    FoundDeferrals,
    GetDeferral,
    NothingDeferred,
)
from actors.points.messages import DEFERRALS, QUERIES, Receipt
from actors.vocabulary import Idempotency, Refusal
from gateway.points_bodies import Mutated, mutated
from gateway.problems import Problem, ProblemDocument, not_found, problem_of_refusal
from gateway.routes import Answer, ApiRequest, answer
from runtime import ActorError
from runtime.context import time_left_s
from runtime.policies import BreakerOpen, PolicyError

STATUS_PATH: Final = "/v1/points/deferrals/{deferral_id}"

FIND_TIMEOUT_S: Final = 0.5
"""What is queued is looked up in memory; who does not answer by then is no reason to wait."""

PATIENCE: Final = 2 / 3
"""The part of the time left that the account gets. The rest is for the disk."""


class Queued(msgspec.Struct, frozen=True):
    """The points are promised, and will be posted when the database is back. `status_url` tells
    what became of them."""

    status: Literal["queued"]
    deferral_id: str
    status_url: str


class DeferralView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`result` when it was applied, `problem` when it was refused or is dead: the status that the
    request would have been answered with."""

    deferral_id: str
    customer_id: str
    status: DeferralStatus
    deferred_at: datetime
    finished_at: datetime | None = None
    result: Mutated | None = None
    problem: ProblemDocument | None = None


def queued(deferral: Deferral) -> Queued:
    url = STATUS_PATH.replace("{deferral_id}", deferral.deferral_id)
    return Queued("queued", deferral.deferral_id, url)


def known_answer(known: Deferral | Receipt) -> Answer:
    """Of an earning that was put off: where to ask what becomes of it, or what became of it."""
    if isinstance(known, Receipt):
        return answer(mutated(known), replayed=known.replayed)
    body = queued(known)
    told = answer(body, 202)
    return Answer(told.body, 202, headers=(("location", body.status_url),))


def patience_s() -> float:
    """How long an account may take, so that enough is left to put an earning off."""
    return time_left_s() * PATIENCE


def worth_putting_off(error: Exception) -> bool:
    """Whether an earning that failed so is promised for later: nothing is wrong with it, and the
    domain that would post it cannot reach the database, or is given a rest, be it only when asked
    again: the cause is what that came to."""
    rests = any(isinstance(each, BreakerOpen) for each in (error, error.__cause__))
    return rests or database_away(error)


async def find(request: ApiRequest, keys: Sequence[Idempotency]) -> FoundDeferrals:
    """What is queued under these keys, or was applied lately. Most of the time nothing is queued,
    which is known without asking."""
    if isinstance(request.notice(DEFERRALS), NothingDeferred):
        return FoundDeferrals((None,) * len(keys), away=False)
    question = FindDeferrals(request.merchant_id, tuple(keys))
    try:
        return await request.ask(DEFERRALS, question, timeout_s=FIND_TIMEOUT_S)
    except (ActorError, PolicyError):
        return FoundDeferrals((None,) * len(keys), away=False)


async def find_one(request: ApiRequest) -> tuple[Deferral | Receipt | None, bool]:
    """What is queued under the request's key, or was applied under it lately, and whether the
    database is known to be away.

    Raises `Problem` when the key belongs to another request.
    """
    found = await find(request, [request.key])
    (known,) = found.by_key
    if isinstance(known, Refusal):
        raise problem_of_refusal(known)
    return known, found.away


async def put_off(request: ApiRequest, earning: DeferredEarn, error: Exception | None) -> Answer:
    """Queue an earning, unless it was queued before and applied meanwhile. Raises `Problem` when it
    is not kept, and `error`, which is why it is put off, when nobody could be asked."""
    try:
        (told,) = await request.ask(DEFERRALS, Defer(request.merchant_id, (earning,)))
    except (ActorError, PolicyError) as failure:
        raise (error or failure) from None
    if isinstance(told, Refusal):
        raise problem_of_refusal(told)
    return known_answer(told)


async def put_all_off(
    request: ApiRequest, earnings: Sequence[DeferredEarn]
) -> Sequence[Deferral | Receipt | Refusal | None]:
    """As `put_off`; None for each when nobody could be asked."""
    try:
        message = Defer(request.merchant_id, tuple(earnings))
        return await request.ask(DEFERRALS, message)
    except (ActorError, PolicyError):
        return (None,) * len(earnings)


async def status(request: ApiRequest) -> Answer:
    """What became of a deferral: from memory where it is queued, or else from the database."""
    question = GetDeferral(request.merchant_id, request.path["deferral_id"])
    try:
        found = await request.ask(DEFERRALS, question, timeout_s=FIND_TIMEOUT_S)
    except (ActorError, PolicyError):
        found = None
    if found is None:
        found = await request.ask(QUERIES, question)
    if found is None:
        raise not_found("there is no such deferral")
    return answer(_view(found, request.trace_id))


def _view(deferral: Deferral, trace_id: str) -> DeferralView:
    result = deferral.result
    problem: Problem | None = problem_of_refusal(result) if isinstance(result, Refusal) else None
    return DeferralView(
        deferral_id=deferral.deferral_id,
        customer_id=deferral.customer_id,
        status=deferral.status,
        deferred_at=deferral.deferred_at,
        finished_at=deferral.finished_at,
        result=mutated(result) if isinstance(result, Receipt) else None,
        problem=problem.document(trace_id, None) if problem is not None else None,
    )
