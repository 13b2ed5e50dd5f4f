"""Handing entries to the journal, and telling what they revoke."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from actors.auth.inside import Spread
from actors.auth.messages import ACCESS_TTL_S, REVOCATIONS, Revoked
from actors.auth.queries import END_SESSION
from actors.auth.rows import revocation_write
from runtime import ActorError, ActorSystem
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.storage import Entry, Write
from runtime.storage.outbox import event_write

log = structlog.get_logger("loyalnest.auth")

OUTLIVES: Final = timedelta(seconds=ACCESS_TTL_S + 60)
"""So long a session's revocation is kept: its last access token has expired by then."""

SPREAD_TIMEOUT_S: Final = 0.5


async def append(
    system: ActorSystem, entry: Entry, publishes: Sequence[OutboxEvent] = ()
) -> Rejected | None:
    """None once the entry and its events are durable. Raises `StorageError` or `ActorError`."""
    events = tuple(map(event_write, publishes))
    return await system.ref(JOURNAL).ask(Append((*entry, *events), publishes=bool(events)))


def session_end(merchant: str, session_id: str, reason: str, now: datetime) -> tuple[Write, Write]:
    """A session that ends, and the revocation of its tokens. `merchant` is as it is kept."""
    ending = Write(END_SESSION, (merchant, session_id, now, reason))
    revoking = revocation_write(merchant, session_id, now, now + OUTLIVES)
    return ending, revoking


async def spread(system: ActorSystem, revoked_ids: Sequence[str], until: datetime) -> None:
    """Tell every process what is revoked already, durably: should this fail, they read it within
    seconds."""
    if not revoked_ids:
        return
    revoked = tuple(Revoked(each, until.timestamp()) for each in revoked_ids)
    try:
        await system.ref(REVOCATIONS).ask(Spread(revoked), timeout_s=SPREAD_TIMEOUT_S)
    except ActorError as error:
        log.warning("revocation_not_told", error=str(error)[:200], revoked=len(revoked))
