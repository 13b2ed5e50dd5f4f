"""The routes to a merchant's refund policy and to what it owes in points."""

from typing import Final

from actors.points.program_messages import (
    PROGRAM,
    GetLiability,
    GetRefundRule,
    Liability,
    RefundPolicy,
    RefundRule,
    SetRefundRule,
)
from gateway.bodies import Body
from gateway.routes import (
    OWNERS,
    STAFF,
    Answer,
    ApiRequest,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Points"
LIABILITY_DEADLINE_S: Final = 60.0
"""The report adds up every lot of a merchant."""

LIABILITIES_PER_MINUTE: Final = 120


class RefundPolicyBody(Body, frozen=True, kw_only=True):
    """What reversals may take back of earned points."""

    policy: RefundPolicy


async def get_refund_policy(request: ApiRequest) -> Answer:
    return answer(await request.ask(PROGRAM, GetRefundRule(request.merchant_id)))


async def put_refund_policy(request: ApiRequest) -> Answer:
    command = SetRefundRule(request.merchant_id, request.body.policy)
    return answer(accepted(await request.ask(PROGRAM, command)))


async def liability(request: ApiRequest) -> Answer:
    return answer(await request.ask(PROGRAM, GetLiability(request.merchant_id), bulk=True))


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/points/refund-policy",
        handler=get_refund_policy,
        summary="What reversals may take back of earned points",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The policy in force", RefundRule)},
    ),
    Route(
        method="PUT",
        path="/v1/points/refund-policy",
        handler=put_refund_policy,
        summary="Set what reversals may take back",
        tag=TAG,
        roles=OWNERS,
        body=RefundPolicyBody,
        responses={200: Response("The policy in force", RefundRule)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path="/v1/points/liability",
        handler=liability,
        summary="Points outstanding, by the month in which they expire, and the breakage",
        tag=TAG,
        roles=OWNERS,
        deadline_s=LIABILITY_DEADLINE_S,
        limit_per_minute=LIABILITIES_PER_MINUTE,
        responses={200: Response("The report", Liability)},
    ),
)
