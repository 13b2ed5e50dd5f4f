"""Routes as data: what a request to a path may contain, who may send it, what answers it."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Final

import attrs
import msgspec

from actors.auth.messages import Principal, Role
from actors.vocabulary import Idempotency, Refusal
from gateway.problems import Headers, problem_of_refusal
from runtime import ActorSystem
from runtime.policies import Priority

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

    `body` and `query` are of the types that the route declares.
    """

    system: ActorSystem
    principal: Principal | None
    path: Mapping[str, str]
    body: Any
    query: Any
    idempotency: Idempotency | None
    trace_id: str

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
    `problems` are the statuses of the route's own problems, beside those that every route has.
    With `body_optional` an empty body stands for the defaults. `deadline_s` takes the place of
    the deadline that requests usually have. `priority` says what is given up first under overload.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    responses: Mapping[int, Response]
    tag: str
    roles: frozenset[Role] = frozenset()
    public: bool = False
    body: Any = None
    documented_body: Any = None
    body_optional: bool = False
    body_max_bytes: int | None = None
    deadline_s: float | None = None
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
    def problem_statuses(self) -> frozenset[int]:
        statuses = {400, 500, 503, *self.problems}
        if not self.public:
            statuses |= {401, 403, 422, 504}
        if self.body is not None:
            statuses |= {408, 413, 415, 422}
        if self.query is not None or "{" in self.path:
            statuses.add(422)
        if "{" in self.path:
            statuses.add(404)
        if self.keyed is not Keyed.NONE:
            statuses.add(409)
        return frozenset(statuses)
