"""The routes to runs, segments and their configuration."""

from typing import Final

from actors.rfm_analytics.messages import (
    QUERIES,
    RUNS,
    GetConfig,
    GetCustomerRfm,
    GetRun,
    GetSegments,
    ListRuns,
    ListSegmentCustomers,
    Preview,
    PreviewTerms,
    PutConfig,
    Run,
    StartRun,
)
from actors.vocabulary import Page
from gateway.bodies import PageQuery, utc_or_none
from gateway.problems import not_found
from gateway.rfm_bodies import (
    ConfigBody,
    ConfigView,
    CustomerRfmView,
    MembersQuery,
    MembersView,
    RunBody,
    SegmentsQuery,
    SegmentsView,
    config_view,
    customer_view,
    members_view,
    segments_view,
)
from gateway.routes import (
    OWNERS,
    STAFF,
    WRITERS,
    Answer,
    ApiRequest,
    Keyed,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "RFM"
RUNS_PATH: Final = "/v1/rfm/runs"
SEGMENTS_PATH: Final = "/v1/rfm/segments"
CONFIG_PATH: Final = "/v1/rfm/config"


async def start_run(request: ApiRequest) -> Answer:
    as_of = utc_or_none(request.body.as_of, "as_of")
    command = StartRun(request.merchant_id, as_of, request.idempotency)
    started = accepted(await request.ask(RUNS, command))
    return answer(started.run, 202, replayed=started.replayed)


async def runs(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListRuns(request.merchant_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


async def show_run(request: ApiRequest) -> Answer:
    found = await request.ask(QUERIES, GetRun(request.merchant_id, request.path["run_id"]))
    if found is None:
        raise not_found("there is no such run")
    return answer(found)


async def segments(request: ApiRequest) -> Answer:
    query: SegmentsQuery = request.query
    found = await request.recall(QUERIES, GetSegments(request.merchant_id, query.run_id))
    return answer(segments_view(found, accepted(found.value)))


async def members(request: ApiRequest) -> Answer:
    query: MembersQuery = request.query
    question = ListSegmentCustomers(
        request.merchant_id, request.path["name"], query.run_id, query.limit, query.cursor
    )
    found = await request.recall(QUERIES, question)
    return answer(members_view(found, accepted(found.value)))


async def customer(request: ApiRequest) -> Answer:
    question = GetCustomerRfm(request.merchant_id, request.path["customer_id"])
    found = await request.recall(QUERIES, question)
    return answer(customer_view(found, accepted(found.value)))


async def get_config(request: ApiRequest) -> Answer:
    return answer(config_view(await request.ask(QUERIES, GetConfig(request.merchant_id))))


async def put_config(request: ApiRequest) -> Answer:
    command = PutConfig(request.merchant_id, request.body.terms())
    return answer(config_view(accepted(await request.ask(RUNS, command))))


async def preview(request: ApiRequest) -> Answer:
    question = PreviewTerms(request.merchant_id, request.body.terms())
    return answer(accepted(await request.ask(QUERIES, question)))


RUN_ROUTES: Final = (
    Route(
        method="POST",
        path=RUNS_PATH,
        handler=start_run,
        summary="Have all customers scored; one run is under way at a time",
        tag=TAG,
        roles=WRITERS,
        body=RunBody,
        body_optional=True,
        keyed=Keyed.OPTIONAL,
        responses={202: Response("The run, which is queued", Run)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path=RUNS_PATH,
        handler=runs,
        summary="Runs, the newest first",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of runs", Page[Run])},
    ),
    Route(
        method="GET",
        path=f"{RUNS_PATH}/{{run_id}}",
        handler=show_run,
        summary="A run: its state, and why it failed or was skipped",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The run", Run)},
    ),
)

SEGMENT_ROUTES: Final = (
    Route(
        method="GET",
        path=SEGMENTS_PATH,
        handler=segments,
        summary="How many customers each segment has, and what they spent",
        tag=TAG,
        roles=STAFF,
        query=SegmentsQuery,
        responses={
            200: Response("The segments of the newest run, or of the one named", SegmentsView)
        },
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path=f"{SEGMENTS_PATH}/{{name}}/customers",
        handler=members,
        summary="The customers of a segment, by id",
        tag=TAG,
        roles=STAFF,
        query=MembersQuery,
        responses={200: Response("One page, of the same run as the first one", MembersView)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/customers/{customer_id}/rfm",
        handler=customer,
        summary="A customer's scores and segment, the rule that matched, and how it was before",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The customer in the newest run", CustomerRfmView)},
    ),
)

CONFIG_ROUTES: Final = (
    Route(
        method="GET",
        path=CONFIG_PATH,
        handler=get_config,
        summary="How customers are scored and segmented, and when",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("What the next run goes by", ConfigView)},
    ),
    Route(
        method="PUT",
        path=CONFIG_PATH,
        handler=put_config,
        summary="Choose the scoring, segments of one's own, and the schedule",
        tag=TAG,
        roles=OWNERS,
        body=ConfigBody,
        responses={200: Response("What the next run goes by", ConfigView)},
        problems=(404, 409),
    ),
    Route(
        method="POST",
        path="/v1/rfm/preview",
        handler=preview,
        summary="What the newest run's segments would have been with another configuration",
        tag=TAG,
        roles=STAFF,
        body=ConfigBody,
        responses={200: Response("The segments as they would be, and as they are", Preview)},
        problems=(409,),
    ),
)

ROUTES: Final = (*RUN_ROUTES, *SEGMENT_ROUTES, *CONFIG_ROUTES)
