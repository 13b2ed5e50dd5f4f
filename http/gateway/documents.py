"""The routes about the API itself: metrics, the OpenAPI document and its page."""

from collections.abc import Sequence
from typing import Final

import attrs
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.docs_page import CONTENT_SECURITY_POLICY, docs_page, landing_page
from gateway.metrics import exposition
from gateway.openapi import TITLE, openapi
from gateway.routes import Answer, ApiRequest, Handler, Response, Route, encode_json
from gateway.settings import GatewaySettings
from runtime.policies import Priority

TAG: Final = "Operation"
HTML: Final = "text/html; charset=utf-8"


def html_answer(page: str) -> Answer:
    """A page, with leave for its own style and nothing else."""
    headers = (("content-security-policy", CONTENT_SECURITY_POLICY),)
    return Answer(page.encode(), content_type=HTML, headers=headers)


@attrs.frozen
class Described:
    """What is answered about the API."""

    document: Answer
    page: Answer

    @classmethod
    def of(cls, routes: Sequence[Route], version: str) -> "Described":
        document = openapi(routes, version)
        return cls(Answer(encode_json(document)), html_answer(docs_page(document)))


@attrs.define(eq=False)
class Documents:
    """The answers are made when somebody asks for the first time, in a thread: a tenth of a second
    that neither a start nor other requests have to wait for."""

    _registry: CollectorRegistry
    _version: str
    routes: Sequence[Route] = ()
    _lock: trio.Lock = attrs.field(factory=trio.Lock)
    _described: Described | None = None

    async def _description(self) -> Described:
        async with self._lock:
            if self._described is None:
                self._described = await trio.to_thread.run_sync(
                    Described.of, self.routes, self._version
                )
            return self._described

    async def metrics(self, request: ApiRequest) -> Answer:
        return exposition(self._registry)

    async def openapi(self, request: ApiRequest) -> Answer:
        return (await self._description()).document

    async def page(self, request: ApiRequest) -> Answer:
        return (await self._description()).page

    async def landing(self, request: ApiRequest) -> Answer:
        return html_answer(landing_page(TITLE))


def _document(
    path: str, handler: Handler, summary: str, response: Response, *, unlimited: bool = False
) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        tag=TAG,
        public=True,
        priority=Priority.DASHBOARDS,
        unlimited=unlimited,
        responses={200: response},
    )


def document_routes(
    routes: Sequence[Route], settings: GatewaySettings, registry: CollectorRegistry
) -> tuple[Route, ...]:
    """The routes of this area, which describe `routes` and themselves."""
    documents = Documents(registry, settings.version)
    own = (
        _document(
            "/metrics",
            documents.metrics,
            "Metrics for Prometheus",
            Response("All metrics", content_type=CONTENT_TYPE_LATEST),
            unlimited=True,
        ),
        _document(
            "/v1/openapi.json",
            documents.openapi,
            "This description as an OpenAPI document",
            Response("The document", dict),
        ),
        _document(
            "/docs",
            documents.page,
            "This description as a page",
            Response("The page", content_type=HTML),
        ),
        _document(
            "/", documents.landing, "Where to go from here", Response("A page", content_type=HTML)
        ),
    )
    documents.routes = (*routes, *own)
    return own
