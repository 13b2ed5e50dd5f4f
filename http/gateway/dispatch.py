"""The way of a request: head, route, caller, body, handler, answer, log line, metrics."""

import re
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any, Final

import attrs
import structlog
import trio
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, RequestTimeout

from actors.auth.messages import Principal, Role
from actors.vocabulary import Idempotency
from gateway.admission import Admission, route_limit
from gateway.authentication import Authenticator
from gateway.bodies import ID_PATTERN, Decode, body_decoder, query_decoder
from gateway.domains import Domains
from gateway.guarding import check_standing
from gateway.head import Head, read_head
from gateway.idempotency import InFlight, fingerprint, read_key
from gateway.incoming import Incoming
from gateway.metrics import UNMATCHED, HttpMetrics
from gateway.problems import (
    PROBLEM_JSON,
    Headers,
    Problem,
    not_found,
    problem_of_error,
    taken_over,
)
from gateway.raw_bodies import UNCOMPRESSED, raw_body
from gateway.routes import JSON, Answer, ApiRequest, Route, encode_json
from gateway.settings import GatewaySettings
from runtime import ActorSystem, request_context
from runtime.policies import LoadShedder
from runtime.policies.limits import Limit
from runtime.policies.shedding import Permit
from runtime.storage import DatabaseHandle
from runtime.tracing import Span, SpanKind, trace_id_of

log = structlog.get_logger("loyalnest.http")

CLIENT_GONE: Final = 499
"""Status in logs and metrics of a request whose client went away before the answer."""

DENIED: Final = frozenset({401, 403})

_ID: Final = re.compile(ID_PATTERN)
_JSON_RAW: Final = JSON.encode()

ADMIN_PATHS: Final = "/v1/admin/"
LENGTH_DIGITS: Final = 15
"""Digits of a length that matter: any length of more is too large anyway."""


@attrs.frozen
class Operation:
    """A route, made ready: its decoders are built once."""

    route: Route
    body: Decode | None
    query: Decode
    body_max_bytes: int
    deadline_s: float
    domain: str
    limit: Limit | None


def operation(route: Route, settings: GatewaySettings) -> Operation:
    """Make a route ready to be served."""
    return Operation(
        route,
        body_decoder(route.body) if route.body is not None else None,
        query_decoder(route.query),
        _body_max_bytes(route, settings),
        route.deadline_s or settings.deadline_s,
        route.domain,
        route_limit(route, settings),
    )


def _body_max_bytes(route: Route, settings: GatewaySettings) -> int:
    if route.path.startswith(ADMIN_PATHS):
        return settings.admin_body_max_bytes
    return route.body_max_bytes or settings.body_max_bytes


@attrs.define(eq=False)
class Exchange:
    """One request and what is known about it so far, for its log line.

    `trace` is what its work inherits: the trace id, or a traceparent that names its span too.
    """

    request: Incoming
    head: Head
    trace: str
    trace_id: str
    started: float
    address: str
    span: Span | None = None
    route: str = UNMATCHED
    domain: str = UNMATCHED
    principal: Principal | None = None
    permit: Permit | None = None
    limits: Headers = ()

    @property
    def request_id(self) -> str:
        return self.head.valid_request_id() or self.trace_id


@attrs.define(eq=False)
class Dispatcher:
    """Answers every request, whatever happens on the way."""

    _system: ActorSystem
    _settings: GatewaySettings
    _authenticator: Authenticator
    _metrics: HttpMetrics
    _database: DatabaseHandle
    admission: Admission
    _shedder: LoadShedder
    _domains: Domains
    operations: Mapping[str, Operation]
    _in_flight: InFlight = attrs.field(factory=InFlight)

    async def answer(
        self,
        request: Incoming,
        endpoint: str,
        parameters: Mapping[str, str],
        routing_error: HTTPException | None,
    ) -> tuple[Answer, str]:
        """The answer, and the request id that goes with it. Raises only cancellation."""
        head = read_head(request.headers)
        exchange = self._begin(request, head)
        answer = None
        self._metrics.in_flight.inc()
        exchange.permit = request.permit
        try:
            self.admission.check_size(request)
            if routing_error is not None:
                answer = await self._unrouted(exchange, routing_error)
            else:
                answer = await self._answer(exchange, self.operations[endpoint], parameters)
        except trio.Cancelled:
            raise
        except BaseException as error:  # a group may hold a cancellation beside errors
            if isinstance(error, Problem) and error.status in DENIED:
                self._metrics.denials.labels(error.code).inc()
            answer = explain(error, exchange.trace_id, request.path)
        finally:
            self._account(exchange, answer.status if answer is not None else CLIENT_GONE)
        return self.admission.dressed(answer, head, exchange.limits), exchange.request_id

    def _begin(self, request: Incoming, head: Head) -> Exchange:
        started, trace, span = perf_counter(), head.trace() or self.new_trace_id(), None
        if self._system.tracing is not None:
            span = self._system.tracing.begin_root(request.method, SpanKind.SERVER, trace)
            trace = span.traceparent
        trace_id, address = trace_id_of(trace) or trace, self.admission.client(request)
        return Exchange(request, head, trace, trace_id, started, address, span)

    async def recognise(self, request: Incoming) -> Principal:
        """Whose token comes with a request that goes on without an answer. Raises `Problem`."""
        head = read_head(request.headers)
        head.check()
        try:
            return await self._authenticator.principal(head.authorization)
        except Problem as problem:
            self._metrics.denials.labels(problem.code).inc()
            await self.admission.failed_authentication(self.admission.client(request))
            raise

    def new_trace_id(self) -> str:
        return self._system.ids.new("req")

    async def _unrouted(self, exchange: Exchange, error: HTTPException) -> Answer:
        method, head = exchange.request.method, exchange.head
        return await self.admission.unrouted(method, head, exchange.address, error)

    async def _answer(
        self, exchange: Exchange, operation: Operation, parameters: Mapping[str, str]
    ) -> Answer:
        request, head, route = exchange.request, exchange.head, operation.route
        exchange.route, exchange.domain = route.path, operation.domain
        if exchange.permit is None:
            self._shedder.check(route.priority, route.domain)
        deadline = trio.current_time() + operation.deadline_s
        with request_context(deadline=deadline, trace_id=exchange.trace):
            head.check()
            if route.public:
                limit = operation.limit
                exchange.limits = await self.admission.stranger(exchange.address, route, limit)
                if route.recognises and head.authorization is not None:
                    exchange.principal = await self._authenticate(exchange)
            else:
                if self._database.retired:
                    raise taken_over()
                await self._authorise(exchange, operation)
            check_ids(parameters)
            query = operation.query(request.query)
            key = read_key(head.idempotency_key, route.keyed)
            body = await _body(operation, exchange)
            if exchange.permit is None:
                exchange.permit = await self._shedder.admit(route.priority, route.domain)
            call = ApiRequest(
                system=self._system,
                domains=self._domains,
                principal=exchange.principal,
                path=parameters,
                body=body,
                query=query,
                idempotency=None,
                trace_id=exchange.trace_id,
                safe=route.method == "GET",
                address=exchange.address,
            )
            with self._system.foreground:
                if key is None:
                    return await route.handler(call)
                call.idempotency = Idempotency(key, fingerprint(route.method, request.path, body))
                wait_until = min(deadline, trio.current_time() + self._settings.in_flight_wait_s)
                return await self._in_flight.alone(call, wait_until, route.handler)

    async def _authenticate(self, exchange: Exchange) -> Principal:
        try:
            return await self._authenticator.principal(exchange.head.authorization)
        except Problem:
            await self.admission.failed_authentication(exchange.address)
            raise

    async def _authorise(self, exchange: Exchange, operation: Operation) -> None:
        route = operation.route
        principal = exchange.principal = await self._authenticate(exchange)
        exchange.limits = await self.admission.caller(principal, route, operation.limit)
        if principal.role not in route.roles:
            detail = f"the role {principal.role.value} may not do this"
            raise Problem(403, "role_not_allowed", detail)
        if principal.permissions is not None and not route.allows(principal.permissions):
            detail = f"this needs the permission {route.permission}"
            raise Problem(403, "permission_missing", detail)
        if principal.role is Role.PLATFORM:
            await check_standing(self._domains, principal)

    def _account(self, exchange: Exchange, status: int) -> None:
        if exchange.permit is not None:
            if status == CLIENT_GONE:
                exchange.permit.abandon()
            else:
                exchange.permit.release(exchange.route)
        seconds = perf_counter() - exchange.started
        method = exchange.request.method
        principal = exchange.principal
        self._metrics.in_flight.dec()
        if exchange.span is not None:
            _end_span(exchange.span, exchange, status)
        self._metrics.observe(exchange.domain, exchange.route, method, status, seconds)
        log.info(
            "request",
            method=method,
            route=exchange.route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            trace_id=exchange.trace_id,
            client=exchange.address,
            merchant_id=principal.merchant_id if principal is not None else None,
        )


def _end_span(span: Span, exchange: Exchange, status: int) -> None:
    span.rename(f"{exchange.request.method} {exchange.route}")
    span.set("http.request.method", exchange.request.method)
    span.set("http.route", exchange.route)
    span.set("http.response.status_code", status)
    span.end(str(status) if status >= 500 else None)


def explain(error: BaseException, trace_id: str, instance: str | None) -> Answer:
    """Say no. Raises what is not an error: cancellation, and the like inside a group."""
    _raise_cancellation(error)
    problem = problem_of_error(error)
    if problem is None:
        log.error("request_failed", trace_id=trace_id, exc_info=error)
        problem = Problem(500, "internal_error", "something went wrong on our side")
    return problem_answer(problem, trace_id, instance)


def problem_answer(problem: Problem, trace_id: str, instance: str | None) -> Answer:
    document = encode_json(problem.document(trace_id, instance))
    return Answer(document, problem.status, PROBLEM_JSON, problem.headers)


def check_ids(parameters: Mapping[str, str]) -> None:
    """What cannot be an id names nothing: 404."""
    for value in parameters.values():
        if _ID.match(value) is None:
            raise not_found()


async def _body(operation: Operation, exchange: Exchange) -> Any:
    """The validated body of a request, None on a route that takes none. Raises `Problem`."""
    if operation.body is None and not operation.route.raw:
        return None
    head = exchange.head
    if declared_bytes(head.content_length) > operation.body_max_bytes:
        raise too_large(operation.body_max_bytes)
    try:
        raw = await exchange.request.data()
    except RequestEntityTooLarge:
        raise too_large(operation.body_max_bytes) from None
    except RequestTimeout:
        raise Problem(408, "body_too_slow", "the body did not arrive in time") from None
    if len(raw) > operation.body_max_bytes:
        raise too_large(operation.body_max_bytes)
    if operation.body is None:
        return raw_body(raw, head, exchange.request.headers, operation.route.raw)
    if not raw and operation.route.body_optional:
        return operation.body(b"{}")
    if head.content_encoding not in (None, b"identity"):
        raise Problem(415, "unsupported_encoding", "send the body uncompressed", UNCOMPRESSED)
    if head.content_type != _JSON_RAW and not is_json(head.content_type):
        raise Problem(415, "unsupported_media_type", f"send the body as {JSON}")
    return operation.body(raw)


def declared_bytes(content_length: bytes | None) -> int:
    """The length a body is said to have; 0 when nothing useful is said."""
    if content_length is None or not content_length.isdigit():
        return 0
    return int(content_length[:LENGTH_DIGITS])


def too_large(limit_bytes: int) -> Problem:
    return Problem(413, "body_too_large", f"the body may have at most {limit_bytes} bytes")


def is_json(content_type: bytes | None) -> bool:
    """Whether a content type is JSON in UTF-8."""
    if content_type is None:
        return False
    media, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    allowed = {b"charset=utf-8", b'charset="utf-8"', b""}
    return media == _JSON_RAW and all(parameter in allowed for parameter in parameters)


def _raise_cancellation(error: BaseException) -> None:
    """Raise what must not be answered: cancellation, exits, and groups that hold them."""
    if isinstance(error, BaseExceptionGroup):
        errors, rest = error.split(Exception)
        if rest is not None:
            if errors is not None:
                log.error("request_failed", exc_info=errors)
            raise rest
    elif not isinstance(error, Exception):
        raise error


def operations(routes: Iterable[Route], settings: GatewaySettings) -> dict[str, Operation]:
    """Routes by name, made ready. Raises `ValueError` for two of the same name."""
    ready: dict[str, Operation] = {}
    for route in routes:
        if route.name in ready:
            raise ValueError(f"two routes for {route.name}")
        ready[route.name] = operation(route, settings)
    return ready
