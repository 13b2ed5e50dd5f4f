"""The platform's routes to accounts, and to who logged in."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.admin_core.messages import PLATFORM
from actors.auth.messages import (
    ACCOUNTS,
    QUERIES,
    Account,
    ChangeAccount,
    CreateAccount,
    GetAccount,
    ListAccounts,
    ListLoginAttempts,
    LoginAttempt,
    Role,
)
from actors.core.messages import MERCHANTS, GetMerchant
from actors.vocabulary import Page
from gateway.api_sessions import LOGIN_DEADLINE_S, Email, NewPassword
from gateway.auditing import audited
from gateway.bodies import Body, Id, PageQuery, Text
from gateway.permissions import check_unnarrowed
from gateway.problems import Problem, not_found
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer

TAG: Final = "Accounts"
PATH: Final = "/v1/admin/accounts"
ONE: Final = PATH + "/{account_id}"


class AccountRole(Enum):
    """Roles that people have."""

    PLATFORM = "platform"
    OWNER = "owner"
    MANAGER = "manager"
    SUPPORT = "support"
    CUSTOMER = "customer"


class AccountBody(Body, frozen=True, kw_only=True):
    """`merchant_id` for every role but platform, `customer_id` for the role customer alone.
    `role_id` names a role of `/v1/admin/roles` that narrows what `role` may."""

    merchant_id: Id | None = None
    email: Email
    password: NewPassword
    role: AccountRole
    customer_id: Id | None = None
    role_id: Id | None = None


class AccountChange(Body, frozen=True, kw_only=True):
    """What is given is changed. An empty `role_id` takes the narrower role away. `reason` is kept
    in the audit log."""

    reason: Text
    disabled: bool | None = None
    password: NewPassword | None = None
    role_id: Annotated[str, Meta(max_length=64)] | None = None


class AccountQuery(PageQuery, frozen=True):
    """`merchant_id`: only those of one merchant. `platform`: only those of none."""

    merchant_id: Id | None = None
    platform: bool = False
    email: Email | None = None


class AccountInfo(msgspec.Struct, frozen=True, kw_only=True):
    account_id: str
    merchant_id: str | None
    email: str
    role: Role
    customer_id: str | None
    role_id: str | None
    disabled: bool
    created_at: datetime
    changed_at: datetime


class LoginQuery(PageQuery, frozen=True):
    """`merchant_id`: only at one merchant. `platform`: only by staff of the platform."""

    merchant_id: Id | None = None
    platform: bool = False
    account_id: Id | None = None


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` is `success`, or the code that the client was answered. `account_id` is null where
    there is no such account; what was typed in is not kept."""

    login_id: str
    happened_at: datetime
    merchant_id: str | None
    account_id: str | None
    address: str
    known_device: bool
    outcome: str


def info(account: Account) -> AccountInfo:
    return AccountInfo(
        account_id=account.account_id,
        merchant_id=account.merchant_id,
        email=account.email,
        role=account.role,
        customer_id=account.customer_id,
        role_id=account.role_id,
        disabled=account.disabled,
        created_at=account.created_at,
        changed_at=account.changed_at,
    )


def _login(attempt: LoginAttempt) -> Login:
    return Login(
        login_id=attempt.attempt_id,
        happened_at=attempt.happened_at,
        merchant_id=attempt.merchant_id,
        account_id=attempt.account_id,
        address=attempt.address,
        known_device=attempt.known_device,
        outcome=attempt.outcome,
    )


async def _check_merchant(request: ApiRequest, merchant_id: str) -> None:
    if await request.ask(MERCHANTS, GetMerchant(merchant_id)) is None:
        raise Problem(422, "merchant_unknown", f"there is no merchant {merchant_id}")


async def create(request: ApiRequest) -> Answer:
    body: AccountBody = request.body
    role = Role(body.role.value)
    check_unnarrowed(request.caller, role)
    if body.merchant_id is not None:
        await _check_merchant(request, body.merchant_id)
    account_id = request.system.ids.new("acc")
    event = audited(
        request,
        "account.create",
        account_id,
        after={"role": role.value, "role_id": body.role_id, "customer_id": body.customer_id},
        merchant_id=body.merchant_id,
    )
    command = CreateAccount(
        merchant_id=body.merchant_id,
        account_id=account_id,
        email=body.email,
        password=body.password,
        role=role,
        customer_id=body.customer_id,
        role_id=body.role_id,
        publishes=(event,),
    )
    return answer(info(accepted(await request.ask(ACCOUNTS, command, bulk=True))), 201)


async def _account(request: ApiRequest) -> Account:
    account = await request.ask(QUERIES, GetAccount(request.path["account_id"]))
    if account is None:
        raise not_found("there is no such account")
    return account


async def show(request: ApiRequest) -> Answer:
    return answer(info(await _account(request)))


async def change(request: ApiRequest) -> Answer:
    body: AccountChange = request.body
    before = await _account(request)
    check_unnarrowed(request.caller, before.role)
    changes: dict[str, Any] = {"disabled": body.disabled, "role_id": body.role_id}
    event = audited(
        request,
        "account.change",
        before.account_id,
        before={"disabled": before.disabled, "role_id": before.role_id},
        after=changes | {"password": "changed" if body.password is not None else None},
        reason=body.reason,
        merchant_id=before.merchant_id,
    )
    command = ChangeAccount(
        account_id=before.account_id, password=body.password, publishes=(event,), **changes
    )
    return answer(info(accepted(await request.ask(ACCOUNTS, command, bulk=True))))


async def list_(request: ApiRequest) -> Answer:
    query: AccountQuery = request.query
    wanted = ListAccounts(
        merchant_id=PLATFORM if query.platform else query.merchant_id,
        email=query.email,
        limit=query.limit,
        cursor=query.cursor,
    )
    found: Page[Account] = accepted(await request.ask(QUERIES, wanted))
    return answer(Page(tuple(map(info, found.items)), found.next_cursor))


async def list_logins(request: ApiRequest) -> Answer:
    query: LoginQuery = request.query
    wanted = ListLoginAttempts(
        merchant_id=PLATFORM if query.platform else query.merchant_id,
        account_id=query.account_id,
        limit=query.limit,
        cursor=query.cursor,
    )
    found: Page[LoginAttempt] = accepted(await request.ask(QUERIES, wanted))
    return answer(Page(tuple(map(_login, found.items)), found.next_cursor))


ROUTES: Final = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        summary="Create an account that can log in",
        tag=TAG,
        roles=OPERATORS,
        body=AccountBody,
        deadline_s=LOGIN_DEADLINE_S,
        responses={201: Response("The account", AccountInfo)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="Accounts, in the order of their ids",
        tag=TAG,
        roles=OPERATORS,
        query=AccountQuery,
        responses={200: Response("One page of accounts", Page[AccountInfo])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show,
        summary="One account",
        tag=TAG,
        roles=OPERATORS,
        responses={200: Response("The account", AccountInfo)},
    ),
    Route(
        method="PATCH",
        path=ONE,
        handler=change,
        summary="Disable or enable an account, or change its password or role; ends its sessions",
        tag=TAG,
        roles=OPERATORS,
        body=AccountChange,
        deadline_s=LOGIN_DEADLINE_S,
        responses={200: Response("The account as it is now", AccountInfo)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/admin/login-audit",
        handler=list_logins,
        summary="Who logged in, or tried to, the latest first",
        tag=TAG,
        roles=OPERATORS,
        query=LoginQuery,
        responses={200: Response("One page of logins", Page[Login])},
    ),
)
