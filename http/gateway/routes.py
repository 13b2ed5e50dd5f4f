"""Routes as data: what a request to a path may contain, who may send it, what answers it."""

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar

import attrs
import msgspec

from actors.auth.messages import Principal, Role
from actors.vocabulary import Idempotency, Refusal
from gateway.domains import Domains
from gateway.problems import Headers, problem_of_refusal
from runtime import ActorSystem, Call
from runtime.policies import Answer as Recalled
from runtime.policies import Priority

Reply = TypeVar("Reply")

OWNERS: Final = frozenset({Role.OWNER, Role.MANAGER})
WRITERS: Final = OWNERS | {Role.MACHINE}
STAFF: Final = WRITERS | {Role.SUPPORT}
MEMBERS: Final = STAFF | {Role.CUSTOMER}
OPERATORS: Final = frozenset({Role.PLATFORM})
EVERYONE: Final = frozenset(Role)

JSON: Final = "application/json"

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

encode_json: Final = msgspec.json.Encoder().encode


class Keyed(Enum):
    """What a route makes of the header `Idempotency-Key`."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@attrs.define(eq=False)
class ApiRequest:
    """A request that has passed authentication and validation.

    `body` and `query` are of the types that the route declares. A `safe` one changes nothing.
    `address` is where it comes from.
    """

    system: ActorSystem
    domains: Domains
    principal: Principal | None
    path: Mapping[str, str]
    body: Any
    query: Any
    idempotency: Idempotency | None
    trace_id: str
    safe: bool = False
    address: str = ""

    def ask(
        self,
        name: str,
        message: Call[Reply],
        *,
        timeout_s: float | None = None,
        bulk: bool = False,
    ) -> Coroutine[Any, Any, Reply]:
        """Ask an actor of a domain, as `Domains.ask`, which says what this raises."""
        return self.domains.ask(
            name,
            message,
            timeout_s=timeout_s,
            bulk=bulk,
            repeatable=self.repeatable,
            share=self._share,
        )

    def ask_entity(
        self, region: str, key: Hashable, message: Call[Reply], *, timeout_s: float | None = None
    ) -> Coroutine[Any, Any, Reply]:
        """As `ask`, of the entity with `key`."""
        return self.domains.ask_entity(
            region,
            key,
            message,
            timeout_s=timeout_s,
            repeatable=self.repeatable,
            share=self._share,
        )

    async def recall(self, name: str, message: Call[Reply]) -> Recalled[Reply]:
        """As `ask`; instead of no answer, the last one, marked, where the domain declares that."""
        return await self.domains.recall(name, message, share=self._share)

    def notice(self, name: str) -> object | None:
        """What an actor of a domain has posted."""
        return self.domains.notice(name)

    @property
    def repeatable(self) -> bool:
        """Whether asking twice does no harm."""
        return self.safe or self.idempotency is not None

    @property
    def _share(self) -> str | None:
        return self.principal.merchant_id if self.principal is not None else None

    @property
    def caller(self) -> Principal:
        """The principal. Only on routes that are not public."""
        if self.principal is None:
            raise LookupError("a public route has no caller")
        return self.principal

    @property
    def merchant_id(self) -> str:
        """The merchant of the token. Only on routes whose roles all have one."""
        merchant_id = self.caller.merchant_id
        if merchant_id is None:
            raise LookupError("the caller belongs to no merchant")
        return merchant_id

    @property
    def key(self) -> Idempotency:
        """The idempotency key. Only on routes that require one."""
        if self.idempotency is None:
            raise LookupError("the route does not require an idempotency key")
        return self.idempotency


@attrs.frozen
class RawBody:
    """A body as it came, and the headers it came with, their names in lower case."""

    data: bytes = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)


@attrs.frozen
class Answer:
    """What goes back: `body` is encoded already."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Headers = ()


Handler = Callable[[ApiRequest], Awaitable[Answer]]

REPLAYED: Final = (("idempotency-replayed", "true"),)


def answer(value: object, status: int = 200, *, replayed: bool = False) -> Answer:
    """An answer in JSON."""
    return Answer(encode_json(value), status, headers=REPLAYED if replayed else ())


def accepted(result: Any) -> Any:
    """The result itself, unless it is a refusal. Raises `Problem`."""
    if isinstance(result, Refusal):
        raise problem_of_refusal(result)
    return result


@attrs.frozen
class Response:
    """One documented answer of a route. `type` is a JSON type, or None for another medium."""

    description: str
    type: Any = None
    content_type: str = JSON


def priority_of_method(method: str) -> Priority:
    """How important a request is that declares nothing."""
    return Priority.READS if method in READING else Priority.WRITES


@attrs.frozen(kw_only=True)
class Route:
    """An operation of the API.

    Nobody may use it unless `roles` names them or `public` says that no token is needed.
    A public route that `recognises` its callers verifies a token if there is one.
    `problems` are the statuses of the route's own problems, beside those that every route has.
    One with `raw` media types takes bodies of these as they are: a `RawBody`;
    `headers` tells which further ones it needs, and what for.
    With `body_optional` an empty body stands for the defaults. `deadline_s` takes the place of
    the deadline that requests usually have. `limit_per_minute` is how often one merchant, one
    address on a public route, or one caller of a `personal` route may use it; a route that is
    `unlimited` counts against no limit.
    `priority` says what is given up first under overload. A `personal` route is about nobody but
    the caller, and needs no permission.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    responses: Mapping[int, Response]
    tag: str
    roles: frozenset[Role] = frozenset()
    public: bool = False
    recognises: bool = False
    body: Any = None
    documented_body: Any = None
    raw: tuple[str, ...] = ()
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body_optional: bool = False
    body_max_bytes: int | None = None
    deadline_s: float | None = None
    limit_per_minute: int | None = None
    unlimited: bool = False
    personal: bool = False
    query: Any = None
    keyed: Keyed = Keyed.NONE
    problems: tuple[int, ...] = ()
    priority: Priority = attrs.field()

    @priority.default
    def _priority_of_the_method(self) -> Priority:
        return priority_of_method(self.method)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def domain(self) -> str:
        """The area of the API that it belongs to, as a label."""
        return self.tag.lower()

    @property
    def permission(self) -> str:
        """What a narrower role, or an API key, must have to use it: `orders:read`."""
        return f"{self.domain}:{'read' if self.method in READING else 'write'}"

    def allows(self, permissions: frozenset[str]) -> bool:
        """Whether somebody with no more than these may use it. What concerns nobody but the
        caller is open to all of its roles."""
        return self.personal or self.permission in permissions

    @property
    def problem_statuses(self) -> frozenset[int]:
        statuses = {400, 414, 431, 500, 503, *self.problems}
        if not self.unlimited:
            statuses.add(429)
        if not self.public:
            statuses |= {401, 403, 422, 504}
        if self.body is not None or self.raw:
            statuses |= {408, 413, 415, 422}
        if self.query is not None or "{" in self.path:
            statuses.add(422)
        if "{" in self.path:
            statuses.add(404)
        if self.keyed is not Keyed.NONE:
            statuses.add(409)
        return frozenset(statuses)
