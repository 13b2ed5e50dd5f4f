"""Permissions as they follow from the routes, and who has which by its role."""

from collections.abc import Iterable
from typing import Final

from actors.auth.messages import Principal, Role
from gateway.problems import Problem
from gateway.routes import Route

NARROWED: Final = (Role.PLATFORM, Role.OWNER, Role.MANAGER, Role.SUPPORT)
"""Roles that a role of one's own may narrow."""


def permissions_of(routes: Iterable[Route], role: Role) -> frozenset[str]:
    """What a role may, by area of the API: `orders:read`."""
    return frozenset(
        route.permission for route in routes if role in route.roles and not route.personal
    )


def check_known(wanted: Iterable[str], known: frozenset[str], field: str) -> None:
    """Raises `Problem` for a permission that there is not."""
    unknown = sorted(set(wanted) - known)
    if unknown:
        detail = f"there is no {unknown[0][:80]!r} for this role - at `$.{field}`"
        raise Problem(422, "unknown_permission", detail)


def check_not_more(caller: Principal, wanted: Iterable[str]) -> None:
    """Nobody gives what he has not. Raises `Problem`."""
    if caller.permissions is not None and not caller.permissions.issuperset(wanted):
        raise Problem(403, "permission_missing", "nobody can give more than he may himself")


def check_unnarrowed(caller: Principal, role: Role) -> None:
    """Who has a narrower role decides nothing about platform staff. Raises `Problem`."""
    if role is Role.PLATFORM and caller.permissions is not None:
        detail = "accounts and roles of the platform are for those who may do everything in it"
        raise Problem(403, "permission_missing", detail)
