"""The routes to badges, achievements, leaderboards and engagement."""

from collections.abc import Callable
from typing import Any, Final

from actors.auth.messages import Role
from actors.gamification.messages import (
    BOARDS,
    DEFINITIONS,
    PLAYERS,
    SCORE,
    Award,
    Definition,
    Engagement,
    GetBoard,
    GetDefinition,
    GetEngagement,
    GetListing,
    GetProgress,
    Kind,
    ListAwards,
    ListDefinitions,
    PlayerKey,
    ProgressView,
    PutDefinition,
    SetListing,
    Terms,
)
from actors.vocabulary import Page
from gateway.api_ledger import visible_customer
from gateway.bodies import PageQuery
from gateway.gamification_bodies import (
    AchievementBody,
    AchievementView,
    BadgeBody,
    BadgeView,
    BoardBody,
    BoardPageView,
    BoardQuery,
    BoardView,
    ListingBody,
    ListingView,
    ScoreBody,
    ScoreView,
    achievement_view,
    badge_view,
    board_page_view,
    board_view,
    score_view,
)
from gateway.problems import not_found
from gateway.routes import (
    MEMBERS,
    OWNERS,
    Answer,
    ApiRequest,
    Handler,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Gamification"
CUSTOMER: Final = "/v1/customers/{customer_id}"

View = Callable[[Definition], Any]


def listing(kind: Kind, view: View) -> Handler:
    """The handler that lists definitions of a kind."""

    async def list_all(request: ApiRequest) -> Answer:
        query: PageQuery = request.query
        question = ListDefinitions(request.merchant_id, kind, query.limit, query.cursor)
        found = accepted(await request.ask(DEFINITIONS, question))
        return answer(Page(tuple(map(view, found.items)), found.next_cursor))

    return list_all


def showing(kind: Kind, view: View, parameter: str) -> Handler:
    """The handler that shows the definition that the path names."""

    async def show(request: ApiRequest) -> Answer:
        question = GetDefinition(request.merchant_id, kind, request.path[parameter])
        found = await request.ask(DEFINITIONS, question)
        if found is None:
            raise not_found(f"there is no such {kind.value}")
        return answer(view(found))

    return show


def putting(view: View, parameter: str) -> Handler:
    """The handler that adds a version of the definition that the path names."""

    async def put(request: ApiRequest) -> Answer:
        return await _put(request, request.path[parameter], request.body.terms(), view)

    return put


async def _put(request: ApiRequest, definition_id: str, terms: Terms, view: View) -> Answer:
    command = PutDefinition(request.merchant_id, definition_id, terms)
    return answer(view(accepted(await request.ask(DEFINITIONS, command))))


async def get_score(request: ApiRequest) -> Answer:
    found = await request.ask(DEFINITIONS, GetDefinition(request.merchant_id, Kind.SCORE, SCORE))
    if found is None:
        raise not_found("there is no score")
    return answer(score_view(found))


async def put_score(request: ApiRequest) -> Answer:
    return await _put(request, SCORE, request.body.score(), score_view)


async def progress(request: ApiRequest) -> Answer:
    key = PlayerKey(request.merchant_id, visible_customer(request))
    return answer(accepted(await request.ask_entity(PLAYERS, key, GetProgress())))


async def engagement(request: ApiRequest) -> Answer:
    key = PlayerKey(request.merchant_id, visible_customer(request))
    return answer(accepted(await request.ask_entity(PLAYERS, key, GetEngagement())))


async def awards(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    customer_id = visible_customer(request)
    question = ListAwards(request.merchant_id, customer_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(BOARDS, question)))


async def board(request: ApiRequest) -> Answer:
    query: BoardQuery = request.query
    caller = request.caller
    member = caller.customer_id if caller.role is Role.CUSTOMER else None
    if member is not None and query.customer_id not in (None, member):
        raise not_found("there is no such customer")
    question = GetBoard(
        request.merchant_id,
        request.path["board_id"],
        query.cycle,
        member or query.customer_id,
        query.limit,
        query.cursor,
    )
    page = accepted(await request.ask(BOARDS, question))
    return answer(board_page_view(page, member))


async def get_listing(request: ApiRequest) -> Answer:
    customer_id = visible_customer(request)
    listed = accepted(await request.ask(BOARDS, GetListing(request.merchant_id, customer_id)))
    return answer(ListingView(customer_id=customer_id, listed=listed))


async def put_listing(request: ApiRequest) -> Answer:
    body: ListingBody = request.body
    customer_id = visible_customer(request)
    command = SetListing(request.merchant_id, customer_id, body.listed)
    listed = accepted(await request.ask(BOARDS, command))
    return answer(ListingView(customer_id=customer_id, listed=listed))


DEFINING: Final = (
    Route(
        method="GET",
        path="/v1/badges",
        handler=listing(Kind.BADGE, badge_view),
        summary="The badges that members can have",
        tag=TAG,
        roles=MEMBERS,
        query=PageQuery,
        responses={200: Response("One page of badges", Page[BadgeView])},
    ),
    Route(
        method="GET",
        path="/v1/badges/{badge_id}",
        handler=showing(Kind.BADGE, badge_view, "badge_id"),
        summary="One badge",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The badge", BadgeView)},
    ),
    Route(
        method="PUT",
        path="/v1/badges/{badge_id}",
        handler=putting(badge_view, "badge_id"),
        summary="Create a badge, or change it",
        tag=TAG,
        roles=OWNERS,
        body=BadgeBody,
        responses={200: Response("The badge", BadgeView)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/achievements",
        handler=listing(Kind.ACHIEVEMENT, achievement_view),
        summary="For what badges are awarded",
        tag=TAG,
        roles=MEMBERS,
        query=PageQuery,
        responses={200: Response("One page of achievements", Page[AchievementView])},
    ),
    Route(
        method="GET",
        path="/v1/achievements/{achievement_id}",
        handler=showing(Kind.ACHIEVEMENT, achievement_view, "achievement_id"),
        summary="One achievement",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The achievement", AchievementView)},
    ),
    Route(
        method="PUT",
        path="/v1/achievements/{achievement_id}",
        handler=putting(achievement_view, "achievement_id"),
        summary="Create an achievement, or change its rule",
        tag=TAG,
        roles=OWNERS,
        body=AchievementBody,
        responses={200: Response("The achievement", AchievementView)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/leaderboards",
        handler=listing(Kind.BOARD, board_view),
        summary="The leaderboards",
        tag=TAG,
        roles=MEMBERS,
        query=PageQuery,
        responses={200: Response("One page of leaderboards", Page[BoardView])},
    ),
    Route(
        method="PUT",
        path="/v1/leaderboards/{board_id}",
        handler=putting(board_view, "board_id"),
        summary="Create a leaderboard, or change it",
        tag=TAG,
        roles=OWNERS,
        body=BoardBody,
        responses={200: Response("The leaderboard", BoardView)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/engagement",
        handler=get_score,
        summary="What the engagement score is made of",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The weights in force", ScoreView)},
    ),
    Route(
        method="PUT",
        path="/v1/engagement",
        handler=put_score,
        summary="Set what the engagement score is made of",
        tag=TAG,
        roles=OWNERS,
        body=ScoreBody,
        responses={200: Response("The weights in force", ScoreView)},
        problems=(404, 409),
    ),
)

PLAYING: Final = (
    Route(
        method="GET",
        path=f"{CUSTOMER}/progress",
        handler=progress,
        summary="How far a member is with each achievement",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The achievements in force", ProgressView)},
    ),
    Route(
        method="GET",
        path=f"{CUSTOMER}/badges",
        handler=awards,
        summary="The badges of a member, the latest first",
        tag=TAG,
        roles=MEMBERS,
        query=PageQuery,
        responses={200: Response("One page of badges, revoked ones too", Page[Award])},
    ),
    Route(
        method="GET",
        path=f"{CUSTOMER}/engagement",
        handler=engagement,
        summary="The engagement score of a member, term by term",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The score now", Engagement)},
    ),
    Route(
        method="GET",
        path="/v1/leaderboards/{board_id}",
        handler=board,
        summary="One cycle of a leaderboard, the best first, and one's own rank",
        tag=TAG,
        roles=MEMBERS,
        query=BoardQuery,
        responses={200: Response("One page of the cycle", BoardPageView)},
    ),
    Route(
        method="GET",
        path=f"{CUSTOMER}/leaderboards",
        handler=get_listing,
        summary="Whether a member is on leaderboards",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The choice", ListingView)},
    ),
    Route(
        method="PUT",
        path=f"{CUSTOMER}/leaderboards",
        handler=put_listing,
        summary="Put a member on leaderboards, or take them off",
        tag=TAG,
        roles=MEMBERS,
        body=ListingBody,
        responses={200: Response("The choice", ListingView)},
    ),
)

ROUTES: Final = (*DEFINING, *PLAYING)
