"""The platform's routes to the audit log."""

from typing import Final

from actors.admin_core.messages import (
    PLATFORM,
    QUERIES,
    AuditEntry,
    AuditVerification,
    ListAudit,
    VerifyAudit,
)
from actors.vocabulary import Page
from gateway.bodies import Id, PageQuery
from gateway.putting_back import TAG
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer

PATH: Final = "/v1/admin/audit"
VERIFY_DEADLINE_S: Final = 300.0


class AuditQuery(PageQuery, frozen=True):
    """`merchant_id`: only what concerns one merchant. `platform`: only what concerns none."""

    merchant_id: Id | None = None
    platform: bool = False


async def list_(request: ApiRequest) -> Answer:
    query: AuditQuery = request.query
    merchant_id = PLATFORM if query.platform else query.merchant_id
    wanted = ListAudit(query.cursor, query.limit, merchant_id)
    return answer(accepted(await request.ask(QUERIES, wanted)))


async def verify(request: ApiRequest) -> Answer:
    found = await request.ask(QUERIES, VerifyAudit(), timeout_s=VERIFY_DEADLINE_S, bulk=True)
    return answer(found)


ROUTES: Final = (
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="What operators did, to whom and why, the latest first",
        tag=TAG,
        roles=OPERATORS,
        query=AuditQuery,
        responses={200: Response("One page of the log", Page[AuditEntry])},
    ),
    Route(
        method="GET",
        path=f"{PATH}/verify",
        handler=verify,
        summary="Recompute the hash chains of the audit log",
        tag=TAG,
        roles=OPERATORS,
        deadline_s=VERIFY_DEADLINE_S,
        responses={200: Response("What was found", AuditVerification)},
    ),
)
