"""How the tree is doing, as `/health` tells it."""

from enum import Enum

import attrs
import trio

from runtime import ActorError, ActorSystem, ChildState, ChildStatus, WhichChildren
from runtime.cache import CacheHandle
from runtime.journal import JOURNAL, Append
from runtime.parking import monotonic
from runtime.storage import DatabaseHandle, StorageError
from supervisors.application import DOMAINS

CHECK_TIMEOUT_S = 1.0
CHECK_EVERY_S = 1.0
"""A database check serves all probes of this time."""


class Condition(Enum):
    """Of a domain: serving, coming back, or given up."""

    UP = "up"
    RESTARTING = "restarting"
    DOWN = "down"


@attrs.define
class TreeHealth:
    """Asks the supervisors, the database and the cache; cheap enough for any rate of probes."""

    _system: ActorSystem
    _database: DatabaseHandle
    _cache: CacheHandle
    _database_up: bool = False
    _checked_at: float | None = None
    _checking: trio.Lock = attrs.field(factory=trio.Lock)

    async def domains(self) -> dict[str, str]:
        """The condition of every domain by name; empty while the domains restart."""
        try:
            children = await self._children(DOMAINS)
        except ActorError:
            return {}
        return {child.id: (await self._condition(child)).value for child in children}

    async def _condition(self, domain: ChildStatus) -> Condition:
        if domain.state is ChildState.DOWN:
            return Condition.DOWN
        if domain.state is ChildState.RESTARTING:
            return Condition.RESTARTING
        try:
            members = await self._children(f"domain.{domain.id}")
        except ActorError:
            return Condition.RESTARTING
        running = all(member.state is ChildState.RUNNING for member in members)
        return Condition.UP if running else Condition.RESTARTING

    async def _children(self, name: str) -> tuple[ChildStatus, ...]:
        return await self._system.ref(name).ask(WhichChildren(), timeout_s=CHECK_TIMEOUT_S)

    async def database(self) -> bool:
        """Whether the database answers and takes writes; asked at most once in `CHECK_EVERY_S`."""
        async with self._checking:
            now = monotonic()
            if self._checked_at is None or now - self._checked_at >= CHECK_EVERY_S:
                self._database_up = await self._ping()
                self._checked_at = monotonic()
        return self._database_up

    def describe(self, database_up: bool) -> str:
        """The database in a word or two."""
        if self._database.retired:
            return "taken over"
        return "up" if database_up else "down"

    def cache(self) -> str:
        """How the cache is. It is never required: nothing fails without it."""
        return self._cache.presence.value

    async def _ping(self) -> bool:
        """It answers, and the journal may write to it."""
        with trio.move_on_after(CHECK_TIMEOUT_S):
            try:
                await self._database.fetch_value("SELECT 1")
                await self._system.ref(JOURNAL).ask(Append(()))
            except (StorageError, ActorError):
                return False
            return True
        return False
