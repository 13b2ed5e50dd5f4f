"""The journal: group commit for everybody who writes.

While one transaction commits, the entries that arrive queue up in the mailbox; the next
transaction takes them all. One entry that breaks a constraint does not fail its neighbours: the
batch is split until the culprit stands alone.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from typing import Any, ClassVar

import attrs
import structlog
import trio

from runtime.actor import Actor
from runtime.envelope import Envelope
from runtime.errors import ActorDown, Outcome
from runtime.exits import ExitReason
from runtime.message import Call, Cast
from runtime.outbox import Nudge
from runtime.ownership import Ownership, Tenure
from runtime.parking import monotonic
from runtime.storage import (
    TAKEN_OVER,
    AnyEntry,
    CommitUnknown,
    ConstraintViolation,
    Database,
    StorageError,
    StorageFull,
    StorageUnavailable,
    Superseded,
    TakenOver,
)
from runtime.storage.partitions import COUNT_COMMIT, commit_write
from runtime.system_messages import SystemMessage
from runtime.unsynced import Unsynced

JOURNAL = "platform.journal"
"""Name under which the journal is registered."""

MAX_BATCH = 128
"""Entries in one transaction."""

LOOK_EVERY_S = 0.5
"""How often a journal with a commit in doubt tries to find out by itself."""

BACKGROUND_SHARE = 0.5
"""Of the time that entries in the background may take up while more of them wait, where it is never
quiet."""

BACKGROUND_TURN_S = 0.005
"""So long after the beginning of a turn another entry in the background is begun, where nobody has
come meanwhile. Beside many requests there are as many turns as there are requests."""

BACKGROUND_MAX = 64
"""More of them do not wait, but are written with those that came before."""

PATIENCE_S = 1.0
"""How long askers wait to hear what became of a commit in doubt."""

CHECK_EVERY_S = 2.0
"""How often it looks whether the partition is still its own."""

log = structlog.get_logger("loyalnest.journal")


@attrs.frozen
class Rejected:
    """The entry broke a constraint; nothing of it was written."""

    violation: ConstraintViolation


@attrs.frozen
class Append(Call[Rejected | None]):
    """Write `entry`, all of it or nothing; answered with None once it is durable.

    `publishes` says that it holds outbox rows, which are delivered at once. When the ask ends with
    the outcome unknown, the entry may be durable: look before writing again. Raises
    `StorageUnavailable` or `StorageFull` when nothing was written.

    An empty entry is answered when everything before it is known to be durable or not, and
    nobody else is known to have the partition. What waits in the background is before it only
    where it is `in_background` itself.

    What is written `in_background` gives way to everything else: it waits for a moment when no
    request is in progress, though not for long, and is written alone. Among themselves such
    entries keep their order. While others commit, its commit leaves the sync to the next of
    theirs.

    In the background, an entry that is not `synchronous` is answered when it is committed, which
    it stays when this process is killed. It is durable with whatever is answered as durable after
    it, and within a quarter of a second; until then a store that loses its power may lose the
    last of such entries. So nothing outside of the database may happen on the strength of one,
    and its writer has to go on from what the database says. What `publishes` is synchronous.
    """

    entry: AnyEntry
    publishes: bool = False
    in_background: bool = False
    synchronous: bool = True


@attrs.frozen
class Sure:
    """The journal's notice: at this time, on Trio's clock, it committed under its own epoch."""

    at: float


@attrs.frozen
class WriteInBackground(SystemMessage):
    """To itself: the next entry in the background has its turn."""


@attrs.frozen
class LookAgain(Cast):
    """To itself: find out what became of the commit in doubt."""


@attrs.frozen
class Sync(Cast):
    """To itself: what was committed without a sync has waited long enough for one."""


@attrs.define
class Doubt:
    """A commit that the connection was lost in. `number` is its place in the partition. Those of
    its `batch` who have waited long enough wait no more."""

    batch: Sequence[Envelope]
    entries: Sequence[AnyEntry]
    number: int
    since: float


class Journal(Actor):
    """Commits entries in the order of arrival, under the epoch of its partition.

    A store that is away, or full, wrote nothing: askers are told so. After a connection was lost
    during a commit, the journal first finds out what became of it; until then it writes nothing,
    and those who wait for that commit wait on. Any other failure of the store crashes it.
    """

    batch_max: ClassVar[int] = MAX_BATCH
    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageFull,)

    def __init__(self, database: Database, ownership: Ownership | None = None) -> None:
        self._database = database
        self._ownership = ownership if ownership is not None else Ownership()
        self._tenure: Tenure | None = None
        self._doubt: Doubt | None = None
        self._background: deque[Envelope] = deque()
        self._background_waits = False
        self._unsynced = Unsynced()
        self._sync_at = inf

    async def started(self) -> None:
        self.start_task(self._keep_checking)

    async def stopped(self, reason: ExitReason) -> None:
        if self._unsynced and reason.expected:
            with suppress(StorageError):
                await self._commit(())

    async def receive(self, message: Any) -> object:
        match message:
            case LookAgain():
                await self._look()
            case WriteInBackground():
                await self._write_in_background()
            case Sync():
                await self._sync()
            case _:
                return await super().receive(message)
        return None

    async def _keep_checking(self) -> None:
        """Look for as long as nobody else does; a commit that went through says the same."""
        looked_at = monotonic()
        while True:
            known_at = max(looked_at, self._ownership.seen_at)
            await trio.sleep(max(0.0, known_at + CHECK_EVERY_S - monotonic()))
            if self._ownership.seen_at <= known_at:
                await self._ownership.still_mine(self._database)
                looked_at = monotonic()

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        if any(envelope.message.in_background for envelope in batch):  # type: ignore[attr-defined]
            batch = self._put_off(batch)
        if batch:
            if any(envelope.message.entry for envelope in batch):  # type: ignore[attr-defined]
                self.system.foreground.commit_awaited()
            await self._commit(batch)

    def _put_off(self, batch: Sequence[Envelope]) -> Sequence[Envelope]:
        """What is left of a batch without that in the background."""
        rest: list[Envelope] = []
        for envelope in batch:
            later = envelope.message.in_background  # type: ignore[attr-defined]
            (self._background if later else rest).append(envelope)
        while len(self._background) > BACKGROUND_MAX:
            rest.append(self._background.popleft())
        self._await_turn(0.0)
        return rest

    def _await_turn(self, pause_s: float) -> None:
        if self._background and not self._background_waits:
            self._background_waits = True
            self.start_task(self._turn, pause_s)

    async def _turn(self, pause_s: float) -> None:
        """Wait for a quiet moment, and where there is none, for `pause_s` at least."""
        may_begin_at = monotonic() + pause_s
        if not await self.system.foreground.quiet() and monotonic() < may_begin_at:
            await trio.sleep_until(may_begin_at)
        self.ref.signal(WriteInBackground())

    async def _write_in_background(self) -> None:
        self._background_waits = False
        began = monotonic()
        while self._background:
            await self._write_one(self._background.popleft())
            over = monotonic() - began >= BACKGROUND_TURN_S
            if over or self.has_mail or self.system.foreground.in_progress:
                break
        self._await_turn((monotonic() - began) * (1 / BACKGROUND_SHARE - 1))

    async def _write_one(self, envelope: Envelope) -> None:
        message: Append = envelope.message  # type: ignore[assignment]
        alone = message.synchronous and not self.system.foreground.busy
        try:
            await self._commit((envelope,), synchronous=message.publishes or alone)
        except StorageFull as error:
            envelope.fail(error)

    async def _sync(self) -> None:
        """Commit nothing but the count, where no other commit came in time."""
        self._sync_at = inf
        if self._unsynced:
            with suppress(StorageFull):
                await self._commit(())
            if self._unsynced:
                self._sync_within(LOOK_EVERY_S)

    def _sync_within(self, seconds: float) -> None:
        if monotonic() + seconds < self._sync_at:
            self._sync_at = monotonic() + seconds
            self.timers.start("sync", seconds, Sync())

    async def _commit(self, batch: Sequence[Envelope], *, synchronous: bool = True) -> None:
        """Without a sync only a batch of one."""
        entries = [envelope.message.entry for envelope in batch]  # type: ignore[attr-defined]
        writes = any(entries) or bool(self._unsynced)
        try:
            tenure = await self._held_tenure()
            if writes:
                await self._append(tenure, entries or [()], synchronous)
        except ConstraintViolation as violation:
            await self._turned_down(batch, violation)
        except CommitUnknown as error:
            self._begin_doubt(batch, error)
        except StorageUnavailable as error:
            self._refuse(batch, error)
        else:
            if not writes:
                self.start_task(self._answer_if_mine, batch)
            elif synchronous:
                self._synced()
                self._done(batch)
            else:
                self._leave_unsynced(batch[0], tenure.commits)

    def _leave_unsynced(self, envelope: Envelope, commit: int) -> None:
        waits = envelope.message.synchronous  # type: ignore[attr-defined]
        self._sync_within(self._unsynced.add(commit, envelope if waits else None))
        if not waits:
            self._done((envelope,))

    def _synced(self, through: float = inf) -> None:
        """All commits up to this number are durable now."""
        if self._unsynced:
            self._sync_at = inf
            self.timers.cancel("sync")
            self._done([waits for waits in self._unsynced.take(through) if waits is not None])

    def _nudge_concerned(self, entries: Iterable[AnyEntry]) -> None:
        """Whom rows that are committed now concern."""
        concerned = {write.statement.concerns for entry in entries for write in entry}
        for name in sorted(filter(None, concerned)):
            actor = self.system.ref(name)
            if actor.alive:
                actor.tell(Nudge())

    async def _answer_if_mine(self, batch: Sequence[Envelope]) -> None:
        """Beside the commits, which do not wait for the readers that this may have to wait for."""
        if await self._ownership.still_mine(self._database):
            self._done(batch)
        else:
            self._refuse(batch, TakenOver(TAKEN_OVER))

    async def _append(self, tenure: Tenure, entries: Sequence[AnyEntry], synchronous: bool) -> None:
        count = commit_write(tenure.partition, tenure.epoch, tenure.commits + 1)
        counted = [(count, *entries[0]), *entries[1:]]
        await self._database.append(counted, synchronous=synchronous)
        tenure.commits += 1
        self._ownership.confirm()
        self.post(Sure(monotonic()))
        self._nudge_concerned(entries)
        self.system.metrics.journal_commits.inc()

    def _done(self, batch: Sequence[Envelope]) -> None:
        self._count("committed", len(batch))
        for envelope in batch:
            envelope.reply(None)

    def _refuse(self, batch: Sequence[Envelope], error: StorageUnavailable) -> None:
        self._count("refused", len(batch))
        for envelope in batch:
            envelope.fail(error)

    async def _turned_down(self, batch: Sequence[Envelope], violation: ConstraintViolation) -> None:
        if isinstance(violation, Superseded) and violation.statement == COUNT_COMMIT.name:
            self._tenure = None
            await self._commit(batch)
        elif len(batch) <= 1:
            self._count("rejected", len(batch))
            for envelope in batch:
                envelope.reply(Rejected(violation))
        else:
            middle = len(batch) // 2
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])

    async def _held_tenure(self) -> Tenure:
        """Own the partition, and know what became of every commit.

        Raises `StorageUnavailable` when neither can be had now.
        """
        if self._tenure is None or self._ownership.lost:
            tenure = await self._ownership.claim(self._database, self.system.ids)
            self._end_doubt(tenure.commits)
            self._end_waiting(tenure.commits)
            self._tenure = tenure
        return self._tenure

    def _begin_doubt(self, batch: Sequence[Envelope], error: CommitUnknown) -> None:
        log.warning("commit_in_doubt", error=str(error), entries=len(batch))
        if self._tenure is not None:
            entries = [envelope.message.entry for envelope in batch]  # type: ignore[attr-defined]
            self._doubt = Doubt(batch, entries, self._tenure.commits + 1, monotonic())
        self._tenure = None
        self.timers.start("look", LOOK_EVERY_S, LookAgain())

    async def _look(self) -> None:
        try:
            await self._held_tenure()
        except StorageUnavailable:
            self._lose_patience()
            self.timers.start("look", LOOK_EVERY_S, LookAgain())

    def _lose_patience(self) -> None:
        """Tell those who have waited long enough that nobody knows; their keys will."""
        if self._doubt is None or monotonic() - self._doubt.since < PATIENCE_S:
            return
        for envelope in self._doubt.batch:
            detail = "the connection was lost during the commit"
            envelope.fail(ActorDown(JOURNAL, envelope.message, detail, outcome=Outcome.UNKNOWN))
        self._doubt.batch = ()

    def _end_doubt(self, commits: int) -> None:
        """Nobody can commit under the old epoch any more, so the count is final."""
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return
        committed = commits >= doubt.number
        log.info("commit_found", committed=committed, entries=len(doubt.batch))
        if committed:
            self._nudge_concerned(doubt.entries)
            self._done(doubt.batch)
        else:
            lost = StorageUnavailable("the connection was lost before the commit")
            self._refuse(doubt.batch, lost)

    def _end_waiting(self, commits: int) -> None:
        """A claim is synced. What it does not count, the store lost when it was killed."""
        self._synced(commits)
        lost = self._unsynced.take()
        if lost:
            log.error("commits_lost", commits=len(lost))
            self._count("lost", lost.count(None))
            error = StorageUnavailable("the store was killed before this was durable")
            self._refuse([waits for waits in lost if waits is not None], error)

    def _count(self, outcome: str, entries: int) -> None:
        self.system.metrics.journal_entry(outcome, entries)
