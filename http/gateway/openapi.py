"""The OpenAPI 3.1 document, made from the route table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.bodies import ID_PATTERN, KEY_PATTERN
from gateway.problems import PROBLEM_JSON, ProblemDocument
from gateway.routes import JSON, Keyed, Response, Route

Json = dict[str, Any]

HEADER: Final[Json] = {"type": "string", "pattern": "^[!-~]{1,255}$"}

REF_PREFIX: Final = "#/components/schemas/"
REF: Final = REF_PREFIX + "{name}"
PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")

DESCRIPTION: Final = """\
Loyalty programs for many merchants: customers, orders, and an auditable ledger of points.

Every request but those under Operation carries an access token, which says whose data it is
about: `Authorization: Bearer <token>`. Another merchant's object does not exist: 404.

Errors are problem documents (RFC 9457). `code` names the reason for programs and stays the same,
`trace_id` is the request's id, also sent back in `X-Request-Id`.

Mutations of points carry a header `Idempotency-Key`. The same key with the same body is answered
with the first result, and `Idempotency-Replayed: true`. So after any error that leaves open what
happened, send the same request again.

Points are integers, money is integer minor units with an ISO 4217 currency, times are RFC 3339
in UTC. Lists come in pages: pass `next_cursor` as `cursor` to go on."""


KEY_DESCRIPTION: Final = "1 to 255 visible ASCII characters; the same key makes a retry safe"

MEANINGS: Final = {
    400: "The request cannot be read, or a required header is missing",
    401: "No valid access token",
    403: "Not for this role",
    404: "There is no such thing, or it is another merchant's",
    408: "The body did not arrive in time",
    409: "It contradicts what is there, or the same key is still being worked on",
    413: "The body is too large",
    414: "The URL is too long",
    415: "The body is not JSON",
    422: "A field is wrong or unknown, a rule forbids it, or the key belongs to another request",
    429: "Too many requests; come back after the seconds in Retry-After",
    431: "Too many headers, or too long ones",
    500: "Our mistake",
    503: "This part is full or down; come back after the seconds in Retry-After",
    504: "No answer in time; the code says whether it may have happened",
}


def openapi(routes: Sequence[Route], version: str) -> Json:
    """The document about these routes."""
    schemas = _schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "LoyalNest", "version": version, "description": DESCRIPTION},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.mentioned(paths),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


class Schemas:
    """The JSON schema of every type the routes mention."""

    def __init__(self, types: Sequence[Any], found: Iterable[Json], components: Json) -> None:
        self._found = list(zip(types, found, strict=True))
        self.components = components

    def of(self, type_: Any) -> Json:
        return next(schema for known, schema in self._found if known is type_)

    def mentioned(self, paths: Json) -> Json:
        """The components without those that only queries have, whose fields are parameters."""
        names: dict[str, None] = {}
        waiting: list[Any] = [paths]
        while waiting:
            node = waiting.pop()
            if isinstance(node, str) and node.startswith(REF_PREFIX):
                name = node.removeprefix(REF_PREFIX)
                if name not in names:
                    names[name] = None
                    waiting.append(self.components[name])
            elif isinstance(node, list):
                waiting += node
            elif isinstance(node, dict):
                waiting += node.values()
        return {name: schema for name, schema in self.components.items() if name in names}

    def properties(self, type_: Any) -> tuple[Mapping[str, Json], Sequence[str]]:
        """The properties of an object type, and which of them are required."""
        name = self.of(type_)["$ref"].rpartition("/")[2]
        schema = self.components[name]
        return schema["properties"], schema.get("required", ())


def _schemas(routes: Sequence[Route]) -> Schemas:
    types = list(_types(routes))
    found, components = msgspec.json.schema_components(types, ref_template=REF)
    return Schemas(types, found, components)


def _types(routes: Sequence[Route]) -> Iterable[Any]:
    yield ProblemDocument
    for route in routes:
        for type_ in (body_type(route), route.query):
            if type_ is not None:
                yield type_
        for response in route.responses.values():
            if response.type is not None:
                yield response.type


def body_type(route: Route) -> Any:
    """The type that describes a route's body to a client."""
    return route.documented_body or route.body


def _operation(route: Route, schemas: Schemas) -> Json:
    operation: Json = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "security": _security(route),
        "parameters": _parameters(route, schemas),
        "responses": _responses(route, schemas),
    }
    if not route.public:
        operation["x-roles"] = sorted(role.value for role in route.roles)
    if body_type(route) is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {JSON: {"schema": schemas.of(body_type(route))}},
        }
    if route.raw:
        schema = {"type": "string"} if JSON not in route.raw else {"type": "object"}
        content = {media: {"schema": schema} for media in route.raw}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    """An empty alternative says that a token is optional."""
    if not route.public:
        return [{"bearer": []}]
    return [{}, {"bearer": []}] if route.recognises else []


def operation_id(route: Route) -> str:
    """`post_v1_points_earn`: unique, and a valid anchor."""
    return re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_")


def _parameters(route: Route, schemas: Schemas) -> list[Json]:
    parameters: list[Json] = [
        _parameter(name, "path", {"type": "string", "pattern": ID_PATTERN}, required=True)
        for name in PATH_PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        properties, required = schemas.properties(route.query)
        parameters += [
            _parameter(name, "query", schema, required=name in required)
            for name, schema in properties.items()
        ]
    if route.keyed is not Keyed.NONE:
        schema = {"type": "string", "pattern": KEY_PATTERN, "description": KEY_DESCRIPTION}
        required_key = route.keyed is Keyed.REQUIRED
        parameters.append(_parameter("Idempotency-Key", "header", schema, required=required_key))
    for name, meaning in route.headers.items():
        parameters.append(
            _parameter(name, "header", HEADER | {"description": meaning}, required=True)
        )
    return parameters


def _parameter(name: str, place: str, schema: Json, *, required: bool) -> Json:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _responses(route: Route, schemas: Schemas) -> dict[str, Json]:
    responses = {
        str(status): _response(response, schemas) for status, response in route.responses.items()
    }
    problem = {"content": {PROBLEM_JSON: {"schema": schemas.of(ProblemDocument)}}}
    for status in sorted(route.problem_statuses - set(route.responses)):
        responses[str(status)] = {"description": MEANINGS[status], **problem}
    return responses


def _response(response: Response, schemas: Schemas) -> Json:
    content: Json = {}
    if response.type is not None:
        content = {"schema": schemas.of(response.type)}
    return {"description": response.description, "content": {response.content_type: content}}
