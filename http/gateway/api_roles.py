"""The platform's routes to roles: the built-in ones, and those that narrow them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.auth.messages import (
    ACCOUNTS,
    QUERIES,
    AccessRole,
    DeleteRole,
    ListRoles,
    PutRole,
    Role,
)
from actors.vocabulary import Page
from gateway.api_accounts import TAG, AccountRole
from gateway.api_sessions import Done
from gateway.auditing import audited
from gateway.bodies import Body, Text
from gateway.permissions import NARROWED, check_known, check_unnarrowed, permissions_of
from gateway.problems import Problem
from gateway.routes import OPERATORS, Answer, ApiRequest, Handler, Response, Route, accepted, answer

PATH: Final = "/v1/admin/roles"
ONE: Final = PATH + "/{role_id}"

Permission = Annotated[str, Meta(min_length=3, max_length=64, description="such as `orders:read`")]
Permissions = Annotated[tuple[Permission, ...], Meta(min_length=1, max_length=64)]


class RoleBody(Body, frozen=True, kw_only=True):
    """`permissions` are all that accounts with this role may, of what `base` may. `reason` is kept
    in the audit log."""

    base: AccountRole
    permissions: Permissions
    reason: Text


class RoleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`built_in` roles are what the routes say, and cannot be changed."""

    role_id: str
    base: Role
    built_in: bool
    permissions: tuple[str, ...]
    changed_at: datetime | None


def info(role: AccessRole) -> RoleInfo:
    return RoleInfo(
        role_id=role.role_id,
        base=role.base,
        built_in=False,
        permissions=role.permissions,
        changed_at=role.changed_at,
    )


def _listing(built_in: tuple[RoleInfo, ...]) -> Handler:
    async def list_(request: ApiRequest) -> Answer:
        own = await request.ask(QUERIES, ListRoles())
        return answer(Page((*built_in, *map(info, own)), None))

    return list_


def _putting(known: dict[Role, frozenset[str]]) -> Handler:
    async def put(request: ApiRequest) -> Answer:
        body: RoleBody = request.body
        role_id, base = request.path["role_id"], Role(body.base.value)
        if role_id in {role.value for role in Role}:
            raise Problem(409, "role_built_in", f"the role {role_id} is built in")
        check_unnarrowed(request.caller, base)
        permissions = tuple(sorted(set(body.permissions)))
        check_known(permissions, known.get(base, frozenset()), "permissions")
        after = {"base": base.value, "permissions": list(permissions)}
        event = audited(request, "role.put", role_id, after=after, reason=body.reason)
        command = PutRole(role_id, base, permissions, (event,))
        return answer(info(accepted(await request.ask(ACCOUNTS, command))))

    return put


async def delete(request: ApiRequest) -> Answer:
    role_id = request.path["role_id"]
    check_unnarrowed(request.caller, Role.PLATFORM)
    event = audited(request, "role.delete", role_id)
    accepted(await request.ask(ACCOUNTS, DeleteRole(role_id, (event,))))
    return answer(Done())


def role_routes(others: Iterable[Route]) -> tuple[Route, ...]:
    """The routes. What there is to permit follows from `others`, and from these themselves."""
    known: dict[Role, frozenset[str]] = {}
    routes = (
        Route(
            method="GET",
            path=PATH,
            handler=_listing(tuple(_built_in(others))),
            summary="Roles and what they may: the built-in ones first",
            tag=TAG,
            roles=OPERATORS,
            responses={200: Response("All roles", Page[RoleInfo])},
        ),
        Route(
            method="PUT",
            path=ONE,
            handler=_putting(known),
            summary="Create a role that narrows a built-in one, or change what it may",
            tag=TAG,
            roles=OPERATORS,
            body=RoleBody,
            responses={200: Response("The role", RoleInfo)},
            problems=(409,),
        ),
        Route(
            method="DELETE",
            path=ONE,
            handler=delete,
            summary="Delete a role that no account has",
            tag=TAG,
            roles=OPERATORS,
            responses={200: Response("It is gone", Done)},
            problems=(409,),
        ),
    )
    known |= {role: permissions_of((*others, *routes), role) for role in NARROWED}
    return routes


def _built_in(routes: Iterable[Route]) -> Iterable[RoleInfo]:
    for role in Role:
        permissions = tuple(sorted(permissions_of(routes, role)))
        yield RoleInfo(
            role_id=role.value, base=role, built_in=True, permissions=permissions, changed_at=None
        )
