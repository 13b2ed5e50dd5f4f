"""The routes about the API itself: metrics, the OpenAPI document and its page."""

from collections.abc import Sequence
from typing import Final

import attrs
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.docs_page import CONTENT_SECURITY_POLICY, docs_page, landing_page
from gateway.metrics import exposition
from gateway.openapi import openapi
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
class Pages:
    """What describes the API, ready to be sent."""

    document: Answer
    page: Answer
    landing: Answer


@attrs.define
class Documents:
    """The answers are made once, when somebody asks for one of them. That takes tens of
    milliseconds, and therefore a thread."""

    _registry: CollectorRegistry
    _version: str
    _routes: Sequence[Route] = ()
    _pages: Pages | None = None
    _making: trio.Lock = attrs.field(factory=trio.Lock)

    def describe(self, routes: Sequence[Route]) -> None:
        """All routes that there are."""
        self._routes = routes

    async def metrics(self, request: ApiRequest) -> Answer:
        return exposition(self._registry)

    async def openapi(self, request: ApiRequest) -> Answer:
        return (await self._made()).document

    async def page(self, request: ApiRequest) -> Answer:
        return (await self._made()).page

    async def landing(self, request: ApiRequest) -> Answer:
        return (await self._made()).landing

    async def _made(self) -> Pages:
        """Nobody waits in line for what is there."""
        if self._pages is None:
            async with self._making:
                if self._pages is None:
                    self._pages = await trio.to_thread.run_sync(self._make)
        return self._pages

    def _make(self) -> Pages:
        document = openapi(self._routes, self._version)
        return Pages(
            Answer(encode_json(document)),
            html_answer(docs_page(document)),
            html_answer(landing_page(document["info"]["title"])),
        )


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
    documents.describe([*routes, *own])
    return own
