"""The routes to rewards, and to what members redeem."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.auth.messages import Role
from actors.points.messages import (
    ACCOUNTS,
    INTAKE,
    MAX_REWARD_QUANTITY,
    AccountKey,
    Apply,
    ApplyBatch,
    BatchItem,
    CancelRedemption,
    RedeemReward,
)
from actors.points.program_messages import (
    PROGRAM,
    GetRedemption,
    GetReward,
    ListRedemptions,
    ListRewards,
    PutReward,
    Redemption,
    Reward,
    RewardTerms,
)
from actors.vocabulary import MAX_AMOUNT, Page
from gateway.bodies import Amount, Body, Id, Instant, PageQuery, Text, utc_or_none
from gateway.points_bodies import Mutated, mutated
from gateway.problems import not_found
from gateway.routes import (
    MEMBERS,
    OWNERS,
    STAFF,
    Answer,
    ApiRequest,
    Keyed,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Rewards"
ONE: Final = "/v1/rewards/{reward_id}"
REDEMPTIONS: Final = "/v1/redemptions"
REDEMPTION: Final = "/v1/redemptions/{redemption_id}"


class RewardBody(Body, frozen=True, kw_only=True):
    """What a reward costs, how many there are, and when it can be had. Null: no limit."""

    name: Text
    cost_points: Amount
    stock: Annotated[int, Meta(ge=0, le=MAX_AMOUNT)] | None = None
    per_customer_max: Amount | None = None
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    active: bool = True

    def terms(self) -> RewardTerms:
        return RewardTerms(
            name=self.name,
            cost_points=self.cost_points,
            stock=self.stock,
            per_customer_max=self.per_customer_max,
            valid_from=utc_or_none(self.valid_from, "valid_from"),
            valid_until=utc_or_none(self.valid_until, "valid_until"),
            active=self.active,
        )


class RewardQuery(PageQuery, frozen=True):
    """`on_offer`: only what can be redeemed now. Members see nothing else."""

    on_offer: bool = False


class RedemptionBody(Body, frozen=True, kw_only=True):
    """Spend a member's points on a reward."""

    customer_id: Id
    reward_id: Id
    quantity: Annotated[int, Meta(ge=1, le=MAX_REWARD_QUANTITY)] = 1


class CancelBody(Body, frozen=True, kw_only=True):
    reason: Text = "redemption cancelled"


class RedemptionQuery(PageQuery, frozen=True):
    customer_id: Id | None = None


class RedemptionView(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is `redeemed` or `cancelled`."""

    redemption_id: str
    customer_id: str
    reward_id: str
    quantity: int
    cost_points: int
    reward_version: int
    transaction_id: str
    status: str
    redeemed_at: datetime
    cancelled_at: datetime | None


async def list_rewards(request: ApiRequest) -> Answer:
    query: RewardQuery = request.query
    on_offer = query.on_offer or request.caller.role is Role.CUSTOMER
    question = ListRewards(request.merchant_id, on_offer, query.limit, query.cursor)
    return answer(accepted(await request.ask(PROGRAM, question)))


async def show_reward(request: ApiRequest) -> Answer:
    question = GetReward(request.merchant_id, request.path["reward_id"])
    reward = await request.ask(PROGRAM, question)
    if reward is None:
        raise not_found("there is no such reward")
    return answer(reward)


async def put_reward(request: ApiRequest) -> Answer:
    reward_id = request.path["reward_id"]
    command = PutReward(request.merchant_id, reward_id, request.body.terms())
    return answer(accepted(await request.ask(PROGRAM, command)))


async def redeem(request: ApiRequest) -> Answer:
    body: RedemptionBody = request.body
    caller = request.caller
    if caller.role is Role.CUSTOMER and caller.customer_id != body.customer_id:
        raise not_found("there is no such customer")
    mutation = RedeemReward(
        idempotency=request.key, reward_id=body.reward_id, quantity=body.quantity
    )
    key = AccountKey(request.merchant_id, body.customer_id)
    (result,) = await request.ask_entity(ACCOUNTS, key, Apply((mutation,)))
    done = accepted(result)
    return answer(mutated(done), replayed=done.replayed)


async def cancel(request: ApiRequest) -> Answer:
    body: CancelBody = request.body
    mutation = CancelRedemption(
        idempotency=request.key,
        redemption_id=request.path["redemption_id"],
        reason=body.reason,
    )
    (result,) = await request.ask(INTAKE, ApplyBatch(request.merchant_id, (BatchItem(mutation),)))
    done = accepted(result)
    return answer(mutated(done), replayed=done.replayed)


async def show_redemption(request: ApiRequest) -> Answer:
    question = GetRedemption(request.merchant_id, request.path["redemption_id"])
    redemption = await request.ask(PROGRAM, question)
    caller = request.caller
    foreign = (
        redemption is not None
        and caller.role is Role.CUSTOMER
        and redemption.customer_id != caller.customer_id
    )
    if redemption is None or foreign:
        raise not_found("there is no such redemption")
    return answer(_view(redemption))


async def list_redemptions(request: ApiRequest) -> Answer:
    query: RedemptionQuery = request.query
    caller = request.caller
    customer_id = query.customer_id
    if caller.role is Role.CUSTOMER:
        if customer_id not in (None, caller.customer_id):
            raise not_found("there is no such customer")
        customer_id = caller.customer_id
    question = ListRedemptions(request.merchant_id, customer_id, query.limit, query.cursor)
    found = accepted(await request.ask(PROGRAM, question))
    return answer(Page(tuple(map(_view, found.items)), found.next_cursor))


def _view(redemption: Redemption) -> RedemptionView:
    return RedemptionView(
        redemption_id=redemption.redemption_id,
        customer_id=redemption.customer_id,
        reward_id=redemption.reward_id,
        quantity=redemption.quantity,
        cost_points=redemption.cost_points,
        reward_version=redemption.reward_version,
        transaction_id=redemption.transaction_id,
        status="redeemed" if redemption.cancelled_at is None else "cancelled",
        redeemed_at=redemption.redeemed_at,
        cancelled_at=redemption.cancelled_at,
    )


CATALOGUE: Final = (
    Route(
        method="GET",
        path="/v1/rewards",
        handler=list_rewards,
        summary="The rewards that points can be spent on",
        tag=TAG,
        roles=MEMBERS,
        query=RewardQuery,
        responses={200: Response("One page of rewards", Page[Reward])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show_reward,
        summary="One reward",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The reward", Reward)},
    ),
    Route(
        method="PUT",
        path=ONE,
        handler=put_reward,
        summary="Create a reward, or change its terms",
        tag=TAG,
        roles=OWNERS,
        body=RewardBody,
        responses={200: Response("The reward", Reward)},
        problems=(409,),
    ),
)

SPENDING: Final = (
    Route(
        method="POST",
        path=REDEMPTIONS,
        handler=redeem,
        summary="Spend a member's points on a reward",
        tag=TAG,
        roles=MEMBERS,
        body=RedemptionBody,
        keyed=Keyed.REQUIRED,
        responses={200: Response("What was done, or had been done before", Mutated)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path=REDEMPTIONS,
        handler=list_redemptions,
        summary="What was redeemed, the latest first",
        tag=TAG,
        roles=MEMBERS,
        query=RedemptionQuery,
        responses={200: Response("One page of redemptions", Page[RedemptionView])},
        problems=(404,),
    ),
    Route(
        method="GET",
        path=REDEMPTION,
        handler=show_redemption,
        summary="One redemption",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The redemption", RedemptionView)},
    ),
    Route(
        method="POST",
        path=REDEMPTION + "/cancel",
        handler=cancel,
        summary="Take a redemption back: the points return to their lots, the reward to its stock",
        tag=TAG,
        roles=STAFF,
        body=CancelBody,
        body_optional=True,
        keyed=Keyed.REQUIRED,
        responses={200: Response("What was done, or had been done before", Mutated)},
        problems=(404, 409),
    ),
)

ROUTES: Final = (*CATALOGUE, *SPENDING)
