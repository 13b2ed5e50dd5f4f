"""The actor that platform staff are checked at: what all processes know, or nobody gets in."""

from typing import Any, ClassVar, Final

import structlog

from actors.auth.messages import MAX_TTL_S, CheckStanding, Standing
from actors.auth.queries import STANDING
from runtime import Workers
from runtime.cache import CLOSED, OPEN, CacheError, CacheHandle
from runtime.storage import Database, StorageError

log = structlog.get_logger("loyalnest.auth")

KEPT_S: Final = 5.0
"""How long a good standing counts, should the word that it is over be lost."""

GOOD, BAD = b"good", b"revoked"


def _key(subject: str) -> str:
    return f"auth.standing:{subject}"


async def mark_revoked(cache: CacheHandle, revoked_id: str, for_s: float) -> None:
    """Let nobody take an earlier good standing of a session or token from the cache, for as long
    as a token of it may count."""
    handle = cache.under(OPEN)
    handle.outdate(_key(revoked_id))
    await handle.set(_key(revoked_id), BAD, max(KEPT_S, min(for_s, MAX_TTL_S)))


class Guard(Workers):
    """Asks the shared cache each time, and the database where that does not know.

    A cache that is away, hangs, or refuses means that nobody can be known to be in good standing.
    A database that is away does not: nothing can be revoked while it is, and what was revoked
    before is marked in the cache, and known to whoever let the token come here.
    """

    concurrency: ClassVar[int] = 64

    def __init__(self, database: Database, cache: CacheHandle) -> None:
        super().__init__()
        self._database = database
        self._cache = cache.under(CLOSED)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, CheckStanding):
            return await super().receive(message)

        async def load() -> bytes:
            ids = (message.token_id, message.session_id or message.token_id)
            return BAD if await self._database.fetch_value(STANDING, *ids) else GOOD

        subject = message.session_id or message.token_id
        try:
            found = await self._cache.load(_key(subject), KEPT_S, load)
        except CacheError as error:
            log.debug("standing_unknown", error=str(error)[:200])
            return Standing.UNKNOWN
        except StorageError as error:
            log.debug("standing_not_looked_up", error=str(error)[:200])
            return Standing.GOOD
        return Standing.GOOD if found == GOOD else Standing.REVOKED
