"""Making what a login or a refresh gives."""

from datetime import datetime

import attrs

from actors.auth.inside import SignToken
from actors.auth.messages import ACCESS_TTL_S, KEYS, AccessRole, Account, Grant
from actors.auth.model import REFRESH_LIFE, kept_as
from actors.auth.opaque import fingerprint, new_secret
from actors.auth.queries import INSERT_REFRESH, SELECT_ROLE
from actors.auth.rows import role_of
from actors.auth.tokens import Claims
from runtime import ActorSystem
from runtime.storage import Database, Write

REFRESH_PREFIX = "lnr_"


@attrs.frozen
class Granted:
    """A grant, and the row that makes its refresh token count."""

    grant: Grant
    write: Write


async def make_grant(
    system: ActorSystem,
    database: Database,
    account: Account,
    session_id: str,
    session_expires_at: datetime,
) -> Granted:
    """The next tokens of a session. They count once the row is durable."""
    now = system.clock.now()
    expires_at = min(now + REFRESH_LIFE, session_expires_at)
    ttl_s = max(1, min(ACCESS_TTL_S, int((session_expires_at - now).total_seconds())))
    claims = Claims(
        subject=account.account_id,
        role=account.role,
        merchant_id=account.merchant_id,
        customer_id=account.customer_id,
        token_id=system.ids.new("tok"),
        session_id=session_id,
        permissions=await _permissions(database, account),
    )
    refresh = new_secret(system.secrets, REFRESH_PREFIX)
    grant = Grant(
        access_token=await system.ref(KEYS).ask(SignToken(claims, ttl_s)),
        access_expires_in_s=ttl_s,
        refresh_token=refresh,
        refresh_expires_at=expires_at,
    )
    row = (kept_as(account.merchant_id), fingerprint(refresh), session_id, now, expires_at)
    return Granted(grant, Write(INSERT_REFRESH, row))


async def _permissions(database: Database, account: Account) -> tuple[str, ...] | None:
    """None: all that the account's role may. A narrower role that is gone allows nothing."""
    if account.role_id is None:
        return None
    row = await database.fetch_row(SELECT_ROLE, kept_as(None), account.role_id)
    role: AccessRole | None = role_of(row) if row is not None else None
    return role.permissions if role is not None and role.base is account.role else ()
