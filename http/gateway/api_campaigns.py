"""The routes to campaigns: their definitions, their states, and what they have done."""

from typing import Final

from actors.campaign.messages import (
    CAMPAIGNS,
    QUERIES,
    Campaign,
    CampaignKind,
    CampaignState,
    CampaignVersion,
    ChangeCampaign,
    CreateCampaign,
    GetCampaign,
    GetStats,
    ListCampaigns,
    ListVersions,
    Move,
    MoveCampaign,
)
from actors.vocabulary import Page
from gateway.api_deliveries import CampaignFigures, with_deliveries
from gateway.bodies import PageQuery
from gateway.campaign_bodies import CampaignBody
from gateway.problems import not_found
from gateway.routes import (
    OWNERS,
    STAFF,
    Answer,
    ApiRequest,
    Handler,
    Keyed,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Campaigns"
PATH: Final = "/v1/campaigns"
ONE: Final = "/v1/campaigns/{campaign_id}"


class CampaignQuery(PageQuery, frozen=True):
    state: CampaignState | None = None
    kind: CampaignKind | None = None


async def create(request: ApiRequest) -> Answer:
    command = CreateCampaign(
        merchant_id=request.merchant_id,
        definition=request.body.definition(),
        by=request.caller.subject,
        idempotency=request.idempotency,
    )
    created = accepted(await request.ask(CAMPAIGNS, command))
    return answer(created.campaign, 201, replayed=created.replayed)


async def list_(request: ApiRequest) -> Answer:
    query: CampaignQuery = request.query
    question = ListCampaigns(
        merchant_id=request.merchant_id,
        state=query.state,
        kind=query.kind,
        limit=query.limit,
        cursor=query.cursor,
    )
    return answer(accepted(await request.ask(QUERIES, question)))


async def show(request: ApiRequest) -> Answer:
    return answer(await _found(request))


async def change(request: ApiRequest) -> Answer:
    command = ChangeCampaign(
        merchant_id=request.merchant_id,
        campaign_id=request.path["campaign_id"],
        definition=request.body.definition(),
        by=request.caller.subject,
    )
    return answer(accepted(await request.ask(CAMPAIGNS, command)))


async def versions(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    campaign = await _found(request)
    question = ListVersions(request.merchant_id, campaign.campaign_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


async def stats(request: ApiRequest) -> Answer:
    question = GetStats(request.merchant_id, request.path["campaign_id"])
    found = await request.ask(QUERIES, question)
    if found is None:
        raise not_found("there is no such campaign")
    return answer(await with_deliveries(request, found))


async def _found(request: ApiRequest) -> Campaign:
    question = GetCampaign(request.merchant_id, request.path["campaign_id"])
    campaign = await request.ask(QUERIES, question)
    if campaign is None:
        raise not_found("there is no such campaign")
    return campaign


def _mover(move: Move) -> Handler:
    async def handler(request: ApiRequest) -> Answer:
        command = MoveCampaign(
            merchant_id=request.merchant_id,
            campaign_id=request.path["campaign_id"],
            move=move,
            by=request.caller.subject,
        )
        return answer(accepted(await request.ask(CAMPAIGNS, command)))

    return handler


MOVES: Final = {
    Move.START: "Start a campaign, at the time of its schedule or now",
    Move.PAUSE: "Pause a campaign",
    Move.RESUME: "Go on with a campaign that was paused",
    Move.CANCEL: "End a campaign for good; what it gave stays",
}

ROUTES: Final = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        summary="Draft a campaign",
        tag=TAG,
        roles=OWNERS,
        body=CampaignBody,
        keyed=Keyed.OPTIONAL,
        responses={201: Response("The draft", Campaign)},
        problems=(404,),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="Campaigns, the latest first",
        tag=TAG,
        roles=STAFF,
        query=CampaignQuery,
        responses={200: Response("One page of campaigns", Page[Campaign])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show,
        summary="One campaign",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The campaign", Campaign)},
    ),
    Route(
        method="PUT",
        path=ONE,
        handler=change,
        summary="Change a campaign that does not run: the next version of it",
        tag=TAG,
        roles=OWNERS,
        body=CampaignBody,
        responses={200: Response("The campaign", Campaign)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path=ONE + "/versions",
        handler=versions,
        summary="What a campaign was at any time, the latest version first",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of versions", Page[CampaignVersion])},
    ),
    Route(
        method="GET",
        path=ONE + "/stats",
        handler=stats,
        summary="What a campaign has given, and what is left of its budget",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The figures", CampaignFigures)},
    ),
    *(
        Route(
            method="POST",
            path=f"{ONE}/{move.value}",
            handler=_mover(move),
            summary=summary,
            tag=TAG,
            roles=OWNERS,
            responses={200: Response("The campaign", Campaign)},
            problems=(409,),
        )
        for move, summary in MOVES.items()
    ),
)
