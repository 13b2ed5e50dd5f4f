"""Which route a request is for: found part by part, and as Werkzeug would find it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from gateway.api_map import ApiMap, api_map
from gateway.application import all_routes
from gateway.settings import GatewaySettings
from runtime import ActorSystem
from supervisors.health import HealthBoard

ROUTES = tuple(
    (route.name, route.method, route.path)
    for route in all_routes(ActorSystem(), GatewaySettings(), HealthBoard())
)
METHODS = sorted({method for _, method, _ in ROUTES} | {"HEAD", "OPTIONS"})
PARTS = sorted({part for _, _, path in ROUTES for part in path.split("/")} | {"", "x", "a b", "\n"})
WERKZEUG = Map(
    [
        Rule(path.replace("{", "<").replace("}", ">"), endpoint=name, methods=[method])
        for name, method, path in ROUTES
    ],
    merge_slashes=False,
).bind("")

Found = tuple[str, Mapping[str, Any]] | type[HTTPException]


def found(matching: Any, path: str, method: str) -> Found:
    try:
        name, parameters = matching.match(path, method)
    except HTTPException as error:
        return type(error)
    return name, dict(parameters)


def neighbours(path: str) -> list[str]:
    """The path with ids in it, and paths that are nearly it."""
    parts = ["id-1" if part.startswith("{") else part for part in path.split("/")]
    changed = [
        "/".join([*parts[:at], other, *parts[at + 1 :]])
        for at in range(1, len(parts))
        for other in ("", "x")
    ]
    whole = "/".join(parts)
    return [whole, f"{whole}/", f"/{whole}", f"{whole}/x", *changed]


def test_every_route_and_what_is_nearly_one_are_found_as_by_werkzeug() -> None:
    matching = api_map(ROUTES)
    for _, own, path in ROUTES:
        for near in neighbours(path):
            for method in (own, "HEAD", "PUT"):
                assert found(matching, near, method) == found(WERKZEUG, near, method), near


@given(st.lists(st.sampled_from(PARTS), max_size=7).map("/".join), st.sampled_from(METHODS))
def test_any_path_is_found_as_by_werkzeug(path: str, method: str) -> None:
    assert found(api_map(ROUTES), path, method) == found(WERKZEUG, path, method)


def test_what_begins_as_a_fixed_path_may_still_be_one_with_a_parameter() -> None:
    matching: ApiMap = api_map((("fixed", "GET", "/a/b/c"), ("any", "GET", "/a/{id}/d")))
    assert matching.match("/a/b/c", "GET") == ("fixed", {})
    assert matching.match("/a/b/d", "GET") == ("any", {"id": "b"})
    with pytest.raises(NotFound):
        matching.match("/a/b/e", "GET")
    with pytest.raises(MethodNotAllowed):
        matching.match("/a/b/c", "POST")
