"""Which route of the API a request is for. In one process the same routes are compiled once."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NoReturn

from werkzeug.routing import Map, MapAdapter, Rule

MAPS_MAX: Final = 8
"""Listeners of one process that have different routes; the tests have some."""


class MatchingRule(Rule):
    """Matches paths, and builds none: to make the code for that takes Werkzeug longer than all
    else in the start of a listener."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., NoReturn]:
        return _never_built


@lru_cache(MAPS_MAX)
def api_map(routes: tuple[tuple[str, str, str], ...]) -> MapAdapter:
    """Matches a path and a method to one of the routes: name, method and path with `{…}` in it.

    Raises what Werkzeug does: `NotFound`, `MethodNotAllowed`.
    """
    rules = [
        MatchingRule(path.replace("{", "<").replace("}", ">"), endpoint=name, methods=[method])
        for name, method, path in routes
    ]
    return Map(rules, merge_slashes=False).bind("")


def _never_built(_rule: Rule, *_arguments: object) -> NoReturn:
    raise NotImplementedError("no URLs are built here")
