"""The actor that keeps the flags of this process fresh: cache, database, and the local disk."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import attrs
import structlog
import trio
from msgspec import convert

from actors.admin_features.book import STALE_S, FlagBook
from actors.admin_features.flag_file import FlagFile
from actors.admin_features.messages import (
    EVALUATED_MAX,
    EvaluateFlags,
    Evaluation,
    FlagChanged,
    GetFlagsStatus,
)
from actors.admin_features.metrics import FlagMetrics
from actors.admin_features.queries import LIST_FLAGS, PLATFORM
from actors.admin_features.records import Snapshot, decoded, encoded, snapshot_of
from runtime import ActorError, Cast, Workers
from runtime.cache import CacheError, CacheHandle, Missed, Notice
from runtime.coalescing import until_next
from runtime.outbox import Deliver, OutboxEvent
from runtime.parking import monotonic
from runtime.registries import in_registry
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.flags")

LOOK_EVERY_S = 4.0
"""How often a process looks for changes that it was not told of."""

LOOK_AGAIN_S = 2.0
"""The same after a look in vain, which may have taken a while."""

SHARED_TTL_S = 0.9
"""How long a snapshot in the cache counts: the database is asked that often at most, by whatever
process. After `LOOK_EVERY_S` and this, which are less than 5 s, everybody knows of a change."""

SAVE_EVERY_S = 60.0
"""How often the file is written although nothing changed, so that its age tells something."""

FLAGS_MAX = 10_000
SHARED_KEY = "admin_features.flags"
CHANNEL = "admin_features.flags"


@attrs.frozen
class Refresh(Cast):
    """Look at the database, whatever the cache says."""


class FlagKeeper(Workers):
    """Evaluates from memory, and looks for changes beside that.

    Told of a change by the outbox, it answers only when it has it, so that the event is delivered
    again otherwise; then it puts it into the cache and tells the other processes.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError, CacheError)

    def __init__(
        self, database: Database, cache: CacheHandle, book: FlagBook, file: FlagFile
    ) -> None:
        super().__init__()
        self._database = database
        self._cache = cache
        self._book = book
        self._file = file
        self._saved_at = -SAVE_EVERY_S
        self._look_now = trio.Event()
        self._past_the_cache = True

    async def started(self) -> None:
        registry = self.system.metrics.registry
        self._metrics = in_registry(registry, FlagMetrics)
        self._book.attach(self.system.clock, registry)
        await self._read_file()
        self.start_task(self._keep_looking)
        self.start_task(self._cache.follow, CHANNEL, self._noticed)

    async def receive(self, message: Any) -> object:
        match message:
            case EvaluateFlags():
                return self._evaluate(message)
            case GetFlagsStatus():
                return self._book.status
            case Refresh():
                self._look(past_the_cache=True)
            case Deliver():
                await self._deliver(message.events)
            case _:
                return await super().receive(message)
        return None

    def _evaluate(self, message: EvaluateFlags) -> tuple[Evaluation, ...]:
        subject, exposed = message.subject, message.only_exposed
        if message.keys:
            keys = message.keys[:EVALUATED_MAX]
            return tuple(self._book.evaluate(key, None, subject, exposed=exposed) for key in keys)
        every = (
            self._book.evaluate(key, None, subject, exposed=exposed)
            for key in sorted(self._book.keys)
        )
        return tuple(found for found in every if found.value is not None)[:EVALUATED_MAX]

    def _noticed(self, notice: Notice | Missed) -> None:
        self._look(past_the_cache=False)

    def _look(self, *, past_the_cache: bool) -> None:
        self._past_the_cache = self._past_the_cache or past_the_cache
        self._look_now.set()

    async def _deliver(self, events: Sequence[OutboxEvent]) -> None:
        changes = [convert(event.payload, FlagChanged) for event in events]
        if not all(self._book.knows(change.key, change.version) for change in changes):
            self._take(await self._from_database())
        await self._share()
        await self._cache.publish(CHANNEL, b"")
        await self._save(self.system.clock.now())

    async def _keep_looking(self) -> None:
        trouble = Trouble(log, "flags_not_refreshed", "flags_refreshed_again")
        while True:
            self._look_now = trio.Event()
            past_the_cache, self._past_the_cache = self._past_the_cache, False
            pause_s = LOOK_EVERY_S
            try:
                changed = await self._refresh(past_the_cache)
                trouble.ended()
                await self._save_now_and_then(changed)
            except (StorageError, ActorError, CacheError) as error:
                self._past_the_cache = self._past_the_cache or past_the_cache
                self._metrics.problems.labels("stores").inc()
                trouble.failed(error)
                pause_s = LOOK_AGAIN_S
            self._metrics.revision.set(self._book.status.revision)
            with trio.move_on_after(until_next(pause_s)):
                await self._look_now.wait()

    async def _refresh(self, past_the_cache: bool) -> bool:
        """Cache, then database. Raises when neither answers."""
        if not past_the_cache:
            shared = await self._from_cache()
            if shared is not None and shared.revision >= self._book.status.revision:
                return self._take(shared)
        changed = self._take(await self._from_database())
        await self._share()
        return changed

    def _take(self, snapshot: Snapshot) -> bool:
        if snapshot.unreadable:
            self._metrics.problems.labels("flag").inc(snapshot.unreadable)
        return self._book.take(snapshot)

    async def _from_cache(self) -> Snapshot | None:
        try:
            data = await self._cache.get(SHARED_KEY)
            return decoded(data) if data is not None else None
        except (CacheError, ValueError):
            return None

    async def _from_database(self) -> Snapshot:
        now = self.system.clock.now()
        rows = await self._database.fetch(LIST_FLAGS, PLATFORM, "", FLAGS_MAX)
        return snapshot_of(rows, now)

    async def _share(self) -> None:
        """For the other processes. What is too large for the cache each reads from the database."""
        data = encoded(self._book.snapshot(self.system.clock.now()))
        try:
            await self._cache.set(SHARED_KEY, data, SHARED_TTL_S)
        except (CacheError, ValueError) as error:
            log.debug("flags_not_shared", error=str(error)[:200])

    async def _read_file(self) -> None:
        """The last known flags, as old as they are; from a clock set back, as good as none."""
        try:
            data = await self._file.read()
            snapshot = decoded(data) if data is not None else None
        except (OSError, ValueError) as error:
            self._metrics.problems.labels("file").inc()
            log.warning("flags_file_unreadable", error=str(error)[:200])
            return
        if snapshot is None:
            return
        age_s = (self.system.clock.now() - snapshot.read_at).total_seconds()
        self._book.take(snapshot, age_s if age_s >= 0 else STALE_S + 1)

    async def _save_now_and_then(self, changed: bool) -> None:
        if changed or monotonic() - self._saved_at >= SAVE_EVERY_S:
            await self._save(self.system.clock.now())

    async def _save(self, now: datetime) -> None:
        self._saved_at = monotonic()
        try:
            await self._file.write(encoded(self._book.snapshot(now)))
        except OSError as error:
            self._metrics.problems.labels("file").inc()
            log.warning("flags_file_not_written", error=str(error)[:200])
