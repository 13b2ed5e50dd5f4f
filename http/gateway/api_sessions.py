"""The routes by which people log in, stay in and log out."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.auth.messages import (
    ACCOUNTS,
    CAPTCHA,
    LOGINS,
    SESSIONS,
    ChangePassword,
    GetChallenge,
    Grant,
    LogIn,
    LogOut,
    Refresh,
)
from gateway.addresses import counted_as
from gateway.api_auth import TAG
from gateway.bodies import Body, Id
from gateway.denials import let_in
from gateway.problems import Problem
from gateway.routes import EVERYONE, Answer, ApiRequest, Response, Route, answer
from runtime.policies import Priority

LOGINS_TAG: Final = "Logins"
"""Apart from what those do who are in: under overload each area has its share of the room."""

LOGIN_DEADLINE_S: Final = 10.0
"""Passwords take their time, and wait for each other."""

Email = Annotated[str, Meta(min_length=3, max_length=254, description="in upper or lower case")]
Password = Annotated[str, Meta(min_length=1, max_length=256)]
NewPassword = Annotated[
    str, Meta(min_length=8, max_length=256, description="8 characters and more; no common one")
]
Opaque = Annotated[str, Meta(min_length=1, max_length=200, description="as it was given")]
Solution = Annotated[
    str, Meta(min_length=1, max_length=2_000, description="of a challenge: JSON in base64 (ALTCHA)")
]


class LoginBody(Body, frozen=True, kw_only=True):
    """`merchant_id` only for those who work for a merchant, or are its customers. `captcha` where
    it was asked for. `device_token` of an earlier login on this device."""

    merchant_id: Id | None = None
    email: Email
    password: Password
    captcha: Solution | None = None
    device_token: Opaque | None = None


class RefreshBody(Body, frozen=True, kw_only=True):
    refresh_token: Opaque


class PasswordBody(Body, frozen=True, kw_only=True):
    password: Password
    new_password: NewPassword


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """`refresh_token` works once, and gives the next one. `device_token` is there when the device
    was not known: keep it, and send it along at the next login."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    refresh_expires_at: datetime
    device_token: str | None


class ChallengeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Find the `number` up to `maxnumber` for which the SHA-256 of `salt` followed by its decimal
    digits is `challenge`; send all but `maxnumber` back with it, as JSON in base64."""

    algorithm: str
    challenge: str
    maxnumber: int
    salt: str
    signature: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    done: bool = True


def _tokens(grant: Grant) -> Tokens:
    return Tokens(
        access_token=grant.access_token,
        token_type="Bearer",  # noqa: S106 - a kind
        expires_in=grant.access_expires_in_s,
        refresh_token=grant.refresh_token,
        refresh_expires_at=grant.refresh_expires_at,
        device_token=grant.device_token,
    )


async def log_in(request: ApiRequest) -> Answer:
    body: LoginBody = request.body
    login = LogIn(
        merchant_id=body.merchant_id,
        email=body.email,
        password=body.password,
        address=counted_as(request.address),
        captcha=body.captcha,
        device_token=body.device_token,
    )
    return answer(_tokens(let_in(await request.ask(LOGINS, login, bulk=True))))


async def refresh(request: ApiRequest) -> Answer:
    body: RefreshBody = request.body
    return answer(_tokens(let_in(await request.ask(SESSIONS, Refresh(body.refresh_token)))))


async def log_out(request: ApiRequest) -> Answer:
    if request.caller.token_id == request.caller.subject:
        raise Problem(403, "not_for_api_keys", "an API key is revoked, and does not log out")
    await request.ask(SESSIONS, LogOut(request.caller))
    return answer(Done())


async def change_password(request: ApiRequest) -> Answer:
    body: PasswordBody = request.body
    change = ChangePassword(
        merchant_id=request.caller.merchant_id,
        account_id=request.caller.subject,
        old=body.password,
        new=body.new_password,
    )
    let_in(await request.ask(ACCOUNTS, change, bulk=True))
    return answer(Done())


async def challenge(request: ApiRequest) -> Answer:
    found = await request.ask(CAPTCHA, GetChallenge())
    return answer(
        ChallengeAnswer(
            algorithm=found.algorithm,
            challenge=found.challenge,
            maxnumber=found.maxnumber,
            salt=found.salt,
            signature=found.signature,
        )
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/auth/login",
        handler=log_in,
        summary="Log in with an account's address and password",
        tag=LOGINS_TAG,
        public=True,
        body=LoginBody,
        deadline_s=LOGIN_DEADLINE_S,
        priority=Priority.READS,
        responses={200: Response("Tokens", Tokens)},
        problems=(401, 403, 503, 504),
    ),
    Route(
        method="POST",
        path="/v1/auth/refresh",
        handler=refresh,
        summary="The next tokens of a session, for a refresh token that was not used yet",
        tag=TAG,
        public=True,
        body=RefreshBody,
        responses={200: Response("Tokens", Tokens)},
        problems=(401, 403, 503, 504),
    ),
    Route(
        method="POST",
        path="/v1/auth/logout",
        handler=log_out,
        summary="End the session of the access token; no process accepts it any more",
        tag=TAG,
        roles=EVERYONE,
        personal=True,
        responses={200: Response("It has ended", Done)},
    ),
    Route(
        method="POST",
        path="/v1/auth/password",
        handler=change_password,
        summary="Change the password of the caller's account, which ends all of its sessions",
        tag=TAG,
        roles=EVERYONE,
        personal=True,
        body=PasswordBody,
        deadline_s=LOGIN_DEADLINE_S,
        limit_per_minute=30,
        responses={200: Response("It was changed", Done)},
        problems=(404, 409),
    ),
    Route(
        method="POST",
        path="/v1/auth/captcha/challenge",
        handler=challenge,
        summary="A proof of work, which a login asks for after failures",
        tag=LOGINS_TAG,
        public=True,
        responses={200: Response("The challenge", ChallengeAnswer)},
        problems=(503, 504),
    ),
)
