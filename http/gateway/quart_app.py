"""The Quart application: its routing and its connections, with a short way between the two."""

from collections.abc import Coroutine, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import trio
from prometheus_client import Gauge
from quart import websocket
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import MapAdapter

from gateway.api_map import NO_PARAMETERS, api_map
from gateway.dispatch import Dispatcher, explain
from gateway.incoming import Incoming
from gateway.live import PATH as LIVE
from gateway.live import WATCHED, Live, Target, check_origin, token_headers
from gateway.problems import Problem
from gateway.routes import Answer
from gateway.security import API_CSP, CSP, RawHeaders
from gateway.visitors import VISITOR
from runtime.changes import Changes

NOWHERE: Final = "/./"
"""The beginning of no route's path."""

NO_STATE: Final[Mapping[str, Any]] = {}

Match = tuple[str, Mapping[str, Any], HTTPException | None]
"""The name of a route and the parameters in the path, or why there is none."""


class EncodedAnswer:
    """An answer in the terms of ASGI."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, answer: Answer, request_id: str, common: RawHeaders) -> None:
        self.status = answer.status
        self.body = answer.body
        self.headers: RawHeaders = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request_id.encode()),
            *common,
        ]
        own_policy = False
        for name, value in answer.headers:
            own_policy = own_policy or name == CSP
            self.headers.append((name.encode(), value.encode()))
        if not own_policy:
            self.headers.append(API_CSP)


def path_of(target: str) -> str:
    """The path that a target names, whole URLs included; one that no route has for others."""
    if target.startswith(("http://", "https://")):
        try:
            target = urlsplit(target).path or "/"
        except ValueError:
            return NOWHERE + target
    return target if target.startswith("/") and not target.startswith("//") else NOWHERE + target


class Connection(TrioASGIHTTPConnection):
    """Sends an encoded answer as two events, and to the end.

    Hypercorn reports a disconnect as soon as the answer is out, while it still tidies up in the
    task that sent it. Quart-Trio then cancels that task: `Connection: close` left the connection
    open, and an idle one without its timeout. Once an answer is on its way, only the deadline of
    its sends ends it.
    """

    answering = False

    def _create_request_from_scope(self, send: Any) -> Request:
        """Quart would drop what stands before the path, and all slashes but one."""
        self.scope["path"] = path_of(self.scope["path"])
        return super()._create_request_from_scope(send)

    async def handle_messages(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Request, receive: Any
    ) -> None:
        await ASGIHTTPConnection.handle_messages(self, request, receive)
        if not self.answering:
            nursery.cancel_scope.cancel()

    async def _send_response(self, send: Any, response: Any) -> None:
        self.answering = True
        if not isinstance(response, EncodedAnswer):
            await super()._send_response(send, response)
            return
        start = {
            "type": "http.response.start",
            "status": response.status,
            "headers": response.headers,
        }
        await send(start)
        await send({"type": "http.response.body", "body": response.body, "more_body": False})


class Gateway(QuartTrio):
    """Hands requests for the API's routes to the dispatcher.

    They bypass Quart's contexts, signals, sessions, and functions before and after a request,
    which together cost more than all that the gateway does itself. Routes added to Quart in its
    own way get everything of it, with problem documents for errors.
    """

    asgi_http_class = Connection

    def __init__(
        self,
        dispatcher: Dispatcher,
        changes: Changes,
        live_connections: Gauge,
        origins: frozenset[str],
    ) -> None:
        super().__init__("gateway", static_folder=None)
        self.config["RESPONSE_TIMEOUT"] = None
        self.url_map.merge_slashes = False
        self.register_error_handler(Exception, self._quart_problem)
        self._dispatcher = dispatcher
        routes = ((name, each.route) for name, each in dispatcher.operations.items())
        self._api = api_map(tuple((name, route.method, route.path) for name, route in routes))
        self._own: MapAdapter | None = None
        self._live = Live(self._target, self._read, changes, live_connections)
        self._origins = origins
        self.add_websocket(LIVE, view_func=self._serve_live)

    async def handle_request(self, request: Request) -> Any:
        """The answer to a request. Raises only cancellation."""
        match = self._match(request.path, request.method)
        if self._is_quarts_own(match):
            return await super().handle_request(request)
        return await self._answer(_incoming(request), match)

    def prompt_answer(self, request: Incoming) -> Coroutine[Any, Any, EncodedAnswer] | None:
        """See `Prompt`."""
        request.path = path_of(request.path)
        match = self._match(request.path, request.method)
        return None if self._is_quarts_own(match) else self._answer(request, match)

    def go_away(self) -> None:
        """See `Prompt`."""
        self._live.go_away()

    async def _serve_live(self) -> None:
        request = _upgrade(websocket.scope)
        check_origin(request.headers, self._origins)
        principal = await self._dispatcher.recognise(request)
        if principal.merchant_id is None:
            raise Problem(403, "role_not_allowed", "this is for those of a merchant")
        await self._live.serve(request, principal.merchant_id)

    def _target(self, path: str) -> Target | None:
        endpoint, parameters, error = self._match(path, "GET")
        if error is not None or endpoint not in WATCHED:
            return None
        return Target(path, endpoint, parameters)

    async def _read(self, target: Target, upgrade: Incoming) -> Answer:
        request = attrs.evolve(upgrade, path=target.path, target_bytes=len(target.path))
        answer, _ = await self._dispatcher.answer(request, target.endpoint, target.parameters, None)
        return answer

    async def _answer(self, request: Incoming, match: Match) -> EncodedAnswer:
        answer, request_id = await self._dispatcher.answer(request, *match)
        return EncodedAnswer(answer, request_id, self._dispatcher.admission.common_headers)

    def _is_quarts_own(self, match: Match) -> bool:
        endpoint, _, error = match
        return error is None and endpoint not in self._dispatcher.operations

    def _match(self, path: str, method: str) -> Match:
        try:
            endpoint, parameters = self._api.match(path, method)
        except NotFound:
            return self._match_own(path, method)
        except HTTPException as error:
            return "", NO_PARAMETERS, error
        return endpoint, parameters, None

    def _match_own(self, path: str, method: str) -> Match:
        if self._own is None:
            self._own = self.url_map.bind("")
        try:
            endpoint, parameters = self._own.match(path, method)
        except HTTPException as error:
            return "", NO_PARAMETERS, error
        return endpoint, parameters, None

    async def _quart_problem(self, error: Exception) -> TrioResponse:
        """What Quart's own routes say no with, and what answers unknown WebSocket paths."""
        trace_id = self._dispatcher.new_trace_id()
        answer = explain(error, trace_id, None)
        common = [*self._dispatcher.admission.common_headers, API_CSP]
        headers = {name.decode(): value.decode() for name, value in common}
        headers |= {**dict(answer.headers), "X-Request-Id": trace_id}
        return TrioResponse(
            answer.body, answer.status, headers=headers, content_type=answer.content_type
        )


def _incoming(request: Request) -> Incoming:
    """A request that came by ASGI."""
    scope: Any = request.scope
    visitor = scope.get("state", NO_STATE).get(VISITOR)
    return Incoming(
        method=request.method,
        path=request.path,
        query=request.query_string,
        target_bytes=len(scope["raw_path"]) + len(scope["query_string"]),
        headers=scope["headers"],
        peer=scope["client"][0] if scope["client"] else None,
        permit=visitor.take_permit() if visitor is not None else None,
        read_body=request.get_data,  # type: ignore[arg-type]
    )


def _upgrade(scope: Any) -> Incoming:
    """The request by which a WebSocket began, with its token as a header."""
    return Incoming(
        method="GET",
        path=scope["path"],
        query=b"",
        target_bytes=len(scope["raw_path"]) + len(scope["query_string"]),
        headers=token_headers(list(scope["headers"])),
        peer=scope["client"][0] if scope["client"] else None,
    )
