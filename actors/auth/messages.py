"""What other parts of LoyalNest may say to the auth domain, and what it answers."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

KEYS = "auth.keys"
"""Name of the actor that keeps the signing keys."""

LOGINS = "auth.logins"
"""Name of the actor that people log in at."""

CAPTCHA = "auth.captcha"
"""Name of the actor that makes challenges, and takes each solution once."""

SESSIONS = "auth.sessions"
"""Name of the actor that keeps sessions: refresh, logout."""

ACCOUNTS = "auth.accounts"
"""Name of the actor that writes accounts and roles."""

API_KEYS = "auth.api_keys"
"""Name of the actor that makes, knows and withdraws API keys."""

REVOCATIONS = "auth.revocations"
"""Name of the actor that knows what is revoked, and who is suspended."""

GUARD = "auth.guard"
"""Name of the actor that platform staff are checked at, on every request."""

QUERIES = "auth.queries"
"""Name of the actor that reads the domain's tables."""

ISSUER = "loyalnest"
AUDIENCE = "loyalnest-api"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the media type of RFC 9068
ALGORITHM = "EdDSA"
"""What every access token says of itself."""

MAX_TTL_S = 24 * 3600
"""Longest life of a token. So long a key is accepted after it was replaced."""

ACCESS_TTL_S = 900
"""Life of an access token that a login or a refresh gives."""

API_KEY_PREFIX = "lnk_"
"""What every API key begins with, so that one that leaked is recognised, by programs too."""


class Role(Enum):
    """Who calls. Only `CUSTOMER` is bound to one customer, only `PLATFORM` to no merchant."""

    PLATFORM = "platform"
    OWNER = "owner"
    MANAGER = "manager"
    SUPPORT = "support"
    CUSTOMER = "customer"
    MACHINE = "machine"


@attrs.frozen
class Principal:
    """The verified caller of a request.

    With `permissions` it may do no more than these (`orders:read`), whatever its role may.
    `session_id` is of the login that it comes from, None for a token without one.
    """

    subject: str
    role: Role
    merchant_id: str | None
    customer_id: str | None
    expires_at: float
    token_id: str
    session_id: str | None = None
    permissions: frozenset[str] | None = None


@attrs.frozen
class VerificationKey:
    """An Ed25519 public key. `public_pem` is PEM text."""

    kid: str
    public_pem: str


@attrs.frozen
class GetVerificationKeys(Call[tuple[VerificationKey, ...]]):
    """The keys whose tokens are accepted now. For a `kid` that is not among them, the key files
    are looked at first."""

    kid: str | None = None


class DenialKind(Enum):
    """Why somebody is not let in, which decides the HTTP status.

    `TRY_LATER` comes with a time, and says nothing about the password. `BUSY` is ours.
    """

    UNAUTHENTICATED = "unauthenticated"
    TRY_LATER = "try_later"
    FORBIDDEN = "forbidden"
    BUSY = "busy"


@attrs.frozen
class Denial:
    """An expected "no". `code` is stable and machine readable, `detail` for people."""

    kind: DenialKind
    code: str
    detail: str
    retry_after_s: float = 0.0


@attrs.frozen(kw_only=True)
class Grant:
    """What a login or a refresh gives. `device_token` makes the device known at later logins,
    None where it is known already. All of these are secrets; the refresh token works once."""

    access_token: str = attrs.field(repr=False)
    access_expires_in_s: int
    refresh_token: str = attrs.field(repr=False)
    refresh_expires_at: datetime
    device_token: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class LogIn(Call[Grant | Denial]):
    """To `LOGINS`. `merchant_id` is None for platform staff. `address` is what is counted.

    `captcha` is the solution of a challenge, `device_token` that of an earlier login.
    """

    merchant_id: str | None
    email: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)
    address: str
    captcha: str | None = attrs.field(default=None, repr=False)
    device_token: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Refresh(Call[Grant | Denial]):
    """To `SESSIONS`: the next access token and the next refresh token, for one that was not used.
    One that was used before ends the session that it belongs to."""

    refresh_token: str = attrs.field(repr=False)


@attrs.frozen
class LogOut(Call[None]):
    """To `SESSIONS`: accept the caller's token no longer, and end its session, if it has one.
    Answered once that is durable; every process knows it within seconds."""

    principal: Principal


@attrs.frozen(kw_only=True)
class ChangePassword(Call[Denial | Refusal | None]):
    """To `ACCOUNTS`, from the account itself: it ends all of its sessions."""

    merchant_id: str | None
    account_id: str
    old: str = attrs.field(repr=False)
    new: str = attrs.field(repr=False)


@attrs.frozen
class Challenge:
    """A proof of work as ALTCHA has it: find the number below `maxnumber` whose decimal digits
    behind `salt` hash to `challenge`."""

    algorithm: str
    challenge: str
    maxnumber: int
    salt: str
    signature: str


@attrs.frozen
class GetChallenge(Call[Challenge]):
    """To `CAPTCHA`."""


@attrs.frozen
class Account:
    """Somebody who may log in. `role_id` names the role that narrows what `role` may."""

    merchant_id: str | None
    account_id: str
    email: str = attrs.field(repr=False)
    role: Role
    customer_id: str | None
    role_id: str | None
    disabled: bool
    created_at: datetime
    changed_at: datetime


@attrs.frozen(kw_only=True)
class CreateAccount(Call[Account | Refusal]):
    """To `ACCOUNTS`. `publishes` are events of the transaction that creates it."""

    merchant_id: str | None
    account_id: str
    email: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)
    role: Role
    customer_id: str | None = None
    role_id: str | None = None
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen(kw_only=True)
class ChangeAccount(Call[Account | Refusal]):
    """To `ACCOUNTS`: change what is not None. `role_id` "" takes the narrower role away.
    Whatever changes, all sessions of the account end."""

    account_id: str
    role_id: str | None = None
    disabled: bool | None = None
    password: str | None = attrs.field(default=None, repr=False)
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class GetAccount(Call[Account | None]):
    """To `QUERIES`."""

    account_id: str


@attrs.frozen(kw_only=True)
class ListAccounts(Call[Page[Account] | Refusal]):
    """To `QUERIES`, in the order of their ids, of all merchants or of one; `PLATFORM` of
    admin_core stands for the platform."""

    merchant_id: str | None = None
    email: str | None = attrs.field(default=None, repr=False)
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class AccessRole:
    """A role that narrows what `base` may to some permissions."""

    role_id: str
    base: Role
    permissions: tuple[str, ...]
    changed_at: datetime


@attrs.frozen
class PutRole(Call[AccessRole | Refusal]):
    """To `ACCOUNTS`: create a role, or change its permissions, which counts from the next login
    or refresh on. Its base never changes."""

    role_id: str
    base: Role
    permissions: tuple[str, ...]
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class DeleteRole(Call[Refusal | None]):
    """To `ACCOUNTS`. A role that accounts have is refused."""

    role_id: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class ListRoles(Call[tuple[AccessRole, ...]]):
    """To `QUERIES`: all of them."""


@attrs.frozen(kw_only=True)
class LoginAttempt:
    """A login that was tried. `outcome` is `success`, or the code of its denial. `account_id` is
    None where no such account exists; the address it was tried with is kept as a hash only."""

    attempt_id: str
    merchant_id: str | None
    happened_at: datetime
    account_id: str | None
    address: str
    known_device: bool
    outcome: str


@attrs.frozen(kw_only=True)
class ListLoginAttempts(Call[Page[LoginAttempt] | Refusal]):
    """To `QUERIES`, the latest first: of all merchants, of one, or of one account."""

    merchant_id: str | None = None
    account_id: str | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class ApiKey:
    """What is known of a key; not the key itself. `last_used_at` is right to the minute."""

    merchant_id: str
    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@attrs.frozen
class CreatedKey:
    """`secret` is told this once, and kept nowhere."""

    key: ApiKey
    secret: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class CreateApiKey(Call[CreatedKey | Refusal]):
    """To `API_KEYS`. `publishes` are events of the transaction that creates it."""

    merchant_id: str
    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_by: str
    expires_at: datetime | None = None
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class RevokeApiKey(Call[Refusal | None]):
    """To `API_KEYS`: accept a key no longer, in every process within seconds."""

    merchant_id: str
    key_id: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class ListApiKeys(Call[Page[ApiKey] | Refusal]):
    """To `QUERIES`: the keys of a merchant that are not revoked, in the order of their ids."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class VerifyApiKey(Call[ApiKey | None]):
    """To `API_KEYS`: whose key has this fingerprint, None where none is in force."""

    fingerprint: str = attrs.field(repr=False)


@attrs.frozen
class Revoked:
    """A token, a session or an API key that is not accepted, until it would have expired."""

    revoked_id: str
    expires_at: float


@attrs.frozen
class Revocations:
    """`complete`: all there are, and not only those since the last answer. `suspended` are
    always all merchants that are. `mark` says from where the next question goes on."""

    mark: str
    complete: bool
    revoked: tuple[Revoked, ...]
    suspended: frozenset[str]


@attrs.frozen
class FollowRevocations(Call[Revocations]):
    """To `REVOCATIONS`: what came since `mark`, as soon as there is something; at once to those
    who have no mark, or one that means nothing any more."""

    mark: str = ""


@attrs.frozen
class SuspendMerchant(Call[Refusal | None]):
    """To `REVOCATIONS`: let nobody of a merchant in, from within seconds on. Again changes only
    the reason."""

    merchant_id: str
    reason: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class ResumeMerchant(Call[Refusal | None]):
    """To `REVOCATIONS`: let those of a suspended merchant in again."""

    merchant_id: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class ListSuspended(Call[frozenset[str]]):
    """To `REVOCATIONS`: the merchants that are suspended, as this process knows."""


class Standing(Enum):
    """`UNKNOWN`: what could tell is away, so that nobody is let in."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@attrs.frozen
class CheckStanding(Call[Standing]):
    """To `GUARD`: whether a token of platform staff is in force, as all processes know it."""

    token_id: str
    session_id: str | None
