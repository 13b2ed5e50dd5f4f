"""What the relay reads and writes: fresh events, late deliveries, dead ones."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs
import trio

from runtime.errors import ActorError, Outcome
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import DeadEvent, Lane, OutboxEvent
from runtime.ownership import Ownership
from runtime.storage import TAKEN_OVER, Database, Row, Superseded, TakenOver, Write
from runtime.storage import late_deliveries as late
from runtime.storage.outbox import FETCH_EVENTS, SELECT_BACKLOG, event_write
from runtime.storage.partitions import SELECT_OWNER
from runtime.storage.port import Query
from runtime.system import ActorSystem

PAGE = 500
"""Events taken from a table at once."""

WRITE_TIMEOUT_S = 30.0


@attrs.frozen
class Page:
    """The oldest events of the outbox; `behind` are, by consumer, the lanes that have to wait
    because earlier events of theirs are late."""

    events: tuple[OutboxEvent, ...]
    behind: Mapping[str, frozenset[Lane]]


@attrs.frozen
class Backlog:
    """How many events are fresh, and how many deliveries are late; `oldest` is when the first event
    was published that is not delivered and not dead."""

    fresh: int
    late: int
    oldest: datetime | None


@attrs.frozen
class LateDelivery:
    """An event that a consumer is late with. `failures` are those of its lane."""

    event: OutboxEvent
    failures: int = 0
    attempts: int = 0
    history: late.History = attrs.field(factory=list)


class OutboxStore:
    """Reads from the database, writes through the journal. All raise `StorageError` or
    `ActorError`.

    After a write whose outcome is unknown, the next read waits until the journal has dealt with
    it, so that no decision rests on what is about to change. It is `sure` once all late deliveries
    are known, since another process may have written some until this one took over. With an
    `ownership`, nothing is read for delivery by a process that was replaced: it would not know
    which lanes its successor has found to be late, and its consumers may be in other processes,
    where nothing fences it.
    """

    def __init__(
        self, system: ActorSystem, database: Database, ownership: Ownership | None = None
    ) -> None:
        self._journal = system.ref(JOURNAL)
        self._database = database
        self._ownership = ownership
        self.sure = ownership is None
        self._doubts = 0
        self._resolved = 0

    async def write(self, entry: Iterable[Write]) -> None:
        """All of the entry or nothing. Raises `ConstraintViolation` when it was rejected."""
        try:
            answer = await self._journal.ask(Append(tuple(entry)), timeout_s=WRITE_TIMEOUT_S)
        except ActorError as error:
            if error.outcome is Outcome.UNKNOWN:
                self._doubts += 1
            raise
        except trio.Cancelled:
            self._doubts += 1
            raise
        if isinstance(answer, Rejected):
            raise answer.violation

    @property
    def owned(self) -> bool:
        """Whether nobody else can write any more, as far as this process knows."""
        return self._ownership is None or self._ownership.owner is not None

    async def page(self, late_consumers: Sequence[str]) -> Page:
        await self._settled()
        queries: list[Query] = [
            (late.SELECT_BEHIND, (PAGE, consumer)) for consumer in late_consumers
        ]
        claimed = self._ownership
        if claimed is not None and claimed.owner is None:
            claimed = None
        if claimed is not None:
            queries.append((SELECT_OWNER, (claimed.partition,)))
        rows, *behind = await self._database.fetch_many([(FETCH_EVENTS, (PAGE,)), *queries])
        # Read last, so it was ours before.
        if claimed is not None and not claimed.hear(behind.pop()[0][0]):
            raise TakenOver(TAKEN_OVER)
        lanes = [frozenset(Lane(*row) for row in found) for found in behind]
        return Page(
            tuple(OutboxEvent(*row) for row in rows),
            dict(zip(late_consumers, lanes, strict=True)),
        )

    async def due(
        self, consumer: str, now: datetime, limit: int, *, again: bool
    ) -> list[LateDelivery]:
        await self._settled()
        sql, values = late.due_query(consumer, now, limit, again=again)
        return [_late_of(row) for row in await self._database.fetch(sql, *values)]

    async def next_due(self, consumer: str) -> tuple[datetime | None, datetime | None]:
        """When the next lane without failures is due, and the next that failed before."""
        await self._settled()
        queries = [(sql, (consumer,)) for sql in (late.SELECT_NEXT, late.SELECT_NEXT_AGAIN)]
        fresh, again = await self._database.fetch_many(queries)
        return (fresh[0][0] if fresh else None), (again[0][0] if again else None)

    async def late_consumers(self, consumers: Sequence[str]) -> set[str]:
        """Those of them that have late deliveries."""
        await self._settled()
        if not consumers:
            return set()
        found = await self._database.fetch_row(late.any_late(len(consumers)), *consumers)
        return {name for name, there in zip(consumers, found or (), strict=True) if there}

    async def backlog(self) -> Backlog:
        row = await self._database.fetch_row(SELECT_BACKLOG)
        fresh, late_ones, *oldest = row if row is not None else (0, 0)
        return Backlog(fresh, late_ones, min(filter(None, oldest), default=None))

    async def dead(self, after: tuple[str, str], limit: int) -> tuple[DeadEvent, ...]:
        rows = await self._database.fetch(late.SELECT_DEAD, *after, limit)
        return tuple(map(_dead_of, rows))

    async def one_dead(self, merchant_id: str, consumer: str, event_id: str) -> DeadEvent | None:
        row = await self._database.fetch_row(late.SELECT_ONE_DEAD, merchant_id, consumer, event_id)
        return _dead_of(row) if row is not None else None

    async def revive(
        self,
        dead: DeadEvent,
        history: late.History,
        now: datetime,
        publishes: Iterable[OutboxEvent] = (),
    ) -> bool:
        """Put a dead event back into its lane; false when somebody did so meanwhile."""
        event = dead.event
        revived = late.revive_writes(event.lane, dead.consumer, event.event_id, history, now)
        try:
            await self.write((*revived, *map(event_write, publishes)))
        except Superseded:
            return False
        return True

    async def _settled(self) -> None:
        doubts = self._doubts
        if self._resolved != doubts:
            await self._journal.ask(Append(()), timeout_s=WRITE_TIMEOUT_S)
            self._resolved = doubts


def _event_of(row: Row) -> OutboxEvent:
    merchant_id, event_id, topic, key, payload, created_at, trace_id, *_ = row
    return OutboxEvent(merchant_id, event_id, topic, key, payload, created_at, trace_id)


def _late_of(row: Row) -> LateDelivery:
    return LateDelivery(_event_of(row), row["failures"], row["attempts"], row["history"])


def _dead_of(row: Row) -> DeadEvent:
    return DeadEvent(
        _event_of(row), row["consumer"], row["attempts"], tuple(row["history"]), row["dead_at"]
    )
