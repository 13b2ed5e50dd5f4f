"""The journal: group commit for everybody who writes.

While one transaction commits, the entries that arrive queue up in the mailbox; the next
transaction takes them all. One entry that breaks a constraint does not fail its neighbours: the
batch is split until the culprit stands alone.
"""

from collections.abc import Sequence
from typing import ClassVar

import attrs

from runtime.actor import Actor
from runtime.envelope import Envelope
from runtime.message import Call
from runtime.outbox import RELAY, Nudge
from runtime.storage import ConstraintViolation, Database, Entry, StorageFull

JOURNAL = "platform.journal"
"""Name under which the journal is registered."""

MAX_BATCH = 512
"""Entries in one transaction."""


@attrs.frozen
class Rejected:
    """The entry broke a constraint; nothing of it was written."""

    violation: ConstraintViolation


@attrs.frozen
class Append(Call[Rejected | None]):
    """Write `entry`, all of it or nothing; answered with None once it is durable.

    `publishes` says that it holds outbox rows, so that the relay looks at once. When the ask
    ends with the outcome unknown, the entry may be durable: look before writing again.
    """

    entry: Entry
    publishes: bool = False


class Journal(Actor):
    """Commits entries in the order of arrival. A broken store crashes it: outcome unknown.

    A full one is another matter: nothing was written, askers get `StorageFull`.
    """

    batch_max: ClassVar[int] = MAX_BATCH
    child_tasks: ClassVar[bool] = False
    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageFull,)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        await self._commit(batch)
        if any(envelope.message.publishes for envelope in batch):  # type: ignore[attr-defined]
            self.system.ref(RELAY).tell(Nudge())

    async def _commit(self, batch: Sequence[Envelope]) -> None:
        entries = [envelope.message.entry for envelope in batch]  # type: ignore[attr-defined]
        try:
            await self._database.append(entries)
        except ConstraintViolation as violation:
            await self._isolate(batch, violation)
            return
        metrics = self.system.metrics
        metrics.journal_commits.inc()
        metrics.journal_entries.labels("committed").inc(len(batch))
        for envelope in batch:
            envelope.reply(None)

    async def _isolate(self, batch: Sequence[Envelope], violation: ConstraintViolation) -> None:
        if len(batch) == 1:
            self.system.metrics.journal_entries.labels("rejected").inc()
            batch[0].reply(Rejected(violation))
            return
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])
