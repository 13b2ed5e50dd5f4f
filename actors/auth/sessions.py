"""The actor that keeps sessions: the next tokens, and the end."""

from datetime import UTC, datetime
from typing import Any, ClassVar

import attrs
import structlog

from actors.auth.granting import make_grant
from actors.auth.messages import Denial, Grant, LogOut, Principal, Refresh
from actors.auth.metrics import AuthMetrics
from actors.auth.model import REFRESH_INVALID, REFRESH_REUSED, SUSPENDED, kept_as
from actors.auth.opaque import fingerprint
from actors.auth.queries import IS_SUSPENDED, SELECT_ACCOUNT, SELECT_REFRESH, USE_REFRESH
from actors.auth.rows import account_of, revocation_write
from actors.auth.writing import OUTLIVES, append, session_end, spread
from runtime import ActorError, Workers
from runtime.registries import in_registry
from runtime.storage import Database, Row, StorageError, Write

log = structlog.get_logger("loyalnest.auth")

REUSED, LOGGED_OUT = "reused", "logged_out"


@attrs.frozen
class Found:
    """A refresh token that is known, and its session."""

    merchant: str
    session_id: str
    account_id: str
    session_expires_at: datetime
    in_force: bool
    used: bool

    @classmethod
    def of(cls, row: Row, now: datetime) -> "Found":
        merchant, session_id, expires_at, used_at, session_expires_at, ended_at, account_id = row
        in_force = ended_at is None and min(expires_at, session_expires_at) > now
        used = used_at is not None
        return cls(merchant, session_id, account_id, session_expires_at, in_force, used)


class Sessions(Workers):
    """A refresh token counts once. One that comes again was stolen, from the owner or by him, and
    nobody can tell which: its session ends, with all tokens that came of it."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)
    concurrency: ClassVar[int] = 32

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._metrics: AuthMetrics

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, AuthMetrics)

    async def receive(self, message: Any) -> object:
        match message:
            case Refresh():
                return await self._refresh(message.refresh_token)
            case LogOut():
                await self._log_out(message.principal)
                return None
        return await super().receive(message)

    async def _refresh(self, token: str) -> Grant | Denial:
        hash_, now = fingerprint(token), self.system.clock.now()
        row = await self._database.fetch_row(SELECT_REFRESH, hash_)
        if row is None:
            return REFRESH_INVALID
        found = Found.of(row, now)
        if found.used:
            return await self._reused(found)
        if not found.in_force:
            return REFRESH_INVALID
        holder = await self._database.fetch_row(SELECT_ACCOUNT, found.account_id)
        if holder is None or holder["disabled"]:
            return REFRESH_INVALID
        if await self._database.fetch_value(IS_SUSPENDED, found.merchant):
            return SUSPENDED
        granted = await make_grant(
            self.system,
            self._database,
            account_of(holder),
            found.session_id,
            found.session_expires_at,
        )
        using = Write(USE_REFRESH, (found.merchant, hash_, now))
        if await append(self.system, (using, granted.write)) is not None:
            return await self._reused(found)
        return granted.grant

    async def _reused(self, found: Found) -> Denial:
        log.warning("refresh_token_reused", session=found.session_id, account=found.account_id)
        self._metrics.reuses.inc()
        await self._end(found.merchant, found.session_id, REUSED)
        return REFRESH_REUSED

    async def _end(self, merchant: str, session_id: str, reason: str) -> None:
        now = self.system.clock.now()
        await append(self.system, session_end(merchant, session_id, reason, now))
        await spread(self.system, (session_id,), now + OUTLIVES)

    async def _log_out(self, caller: Principal) -> None:
        merchant = kept_as(caller.merchant_id)
        if caller.session_id is not None:
            await self._end(merchant, caller.session_id, LOGGED_OUT)
            return
        now, until = self.system.clock.now(), datetime.fromtimestamp(caller.expires_at, UTC)
        await append(self.system, (revocation_write(merchant, caller.token_id, now, until),))
        await spread(self.system, (caller.token_id,), until)
