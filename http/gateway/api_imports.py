"""The import routes: CSV files in parts."""

from typing import Final

from actors.core.messages import (
    IMPORTS,
    MAX_PART_BYTES,
    MAX_PARTS,
    AddPart,
    CancelImport,
    CreateImport,
    GetImport,
    Import,
    ImportKind,
    ListImportErrors,
    ListImports,
    RowError,
    StartImport,
)
from actors.vocabulary import Page
from gateway.bodies import Body, Currency, PageQuery
from gateway.problems import Problem, not_found
from gateway.routes import STAFF, WRITERS, Answer, ApiRequest, Response, Route, accepted, answer

TAG: Final = "Imports"
CSV: Final = ("text/csv", "application/octet-stream", "text/plain")


class ImportBody(Body, frozen=True, kw_only=True):
    """A `dry_run` checks every row and changes nothing. Rows that do not name their currency are
    in `currency`, or that of the merchant."""

    kind: ImportKind
    dry_run: bool = False
    currency: Currency | None = None


async def create(request: ApiRequest) -> Answer:
    body: ImportBody = request.body
    command = CreateImport(
        merchant_id=request.merchant_id,
        kind=body.kind,
        dry_run=body.dry_run,
        created_by=request.caller.subject,
        currency=body.currency,
    )
    return answer(accepted(await request.ask(IMPORTS, command)), 201)


async def add_part(request: ApiRequest) -> Answer:
    text = request.path["part"]
    if not (text.isascii() and text.isdigit()) or int(text[:9]) >= MAX_PARTS or len(text) > 9:
        raise not_found(f"parts are numbered from 0 to {MAX_PARTS - 1}")
    data = request.body.data
    if not data:
        raise Problem(422, "invalid_part", "the part is empty")
    command = AddPart(request.merchant_id, request.path["import_id"], int(text), data)
    return answer(accepted(await request.ask(IMPORTS, command, bulk=True)))


async def start(request: ApiRequest) -> Answer:
    command = StartImport(request.merchant_id, request.path["import_id"])
    return answer(accepted(await request.ask(IMPORTS, command, bulk=True)), 202)


async def cancel(request: ApiRequest) -> Answer:
    command = CancelImport(request.merchant_id, request.path["import_id"])
    return answer(accepted(await request.ask(IMPORTS, command)))


async def show(request: ApiRequest) -> Answer:
    question = GetImport(request.merchant_id, request.path["import_id"])
    found = await request.ask(IMPORTS, question)
    if found is None:
        raise not_found("there is no such import")
    return answer(found)


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListImports(request.merchant_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(IMPORTS, question)))


async def errors(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    import_id = request.path["import_id"]
    question = ListImportErrors(request.merchant_id, import_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(IMPORTS, question)))


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/imports",
        handler=create,
        summary="Begin an import of customers, orders or opening balances",
        tag=TAG,
        roles=WRITERS,
        body=ImportBody,
        responses={201: Response("The import, which waits for its parts", Import)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path="/v1/imports",
        handler=list_,
        summary="Imports, newest first",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of imports", Page[Import])},
    ),
    Route(
        method="GET",
        path="/v1/imports/{import_id}",
        handler=show,
        summary="One import, and how far it got",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The import", Import)},
    ),
    Route(
        method="PUT",
        path="/v1/imports/{import_id}/parts/{part}",
        handler=add_part,
        summary="Send a part of the file: numbered from 0, of whole lines, up to 1 MiB",
        tag=TAG,
        roles=WRITERS,
        raw=CSV,
        body_max_bytes=MAX_PART_BYTES,
        responses={200: Response("The import", Import)},
        problems=(409,),
    ),
    Route(
        method="POST",
        path="/v1/imports/{import_id}/start",
        handler=start,
        summary="All parts are there: begin to work them off",
        tag=TAG,
        roles=WRITERS,
        responses={202: Response("The import, which runs", Import)},
        problems=(409, 422),
    ),
    Route(
        method="POST",
        path="/v1/imports/{import_id}/cancel",
        handler=cancel,
        summary="Stop an import; what was imported stays",
        tag=TAG,
        roles=WRITERS,
        responses={200: Response("The import", Import)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/imports/{import_id}/errors",
        handler=errors,
        summary="Rows that were not imported, with their lines",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of errors", Page[RowError])},
    ),
)
