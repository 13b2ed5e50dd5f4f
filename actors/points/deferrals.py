"""The actor that takes earnings while the database is away, and keeps them on the local disk."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import attrs
import msgspec
import structlog
import trio

from actors.points.context import Context
from actors.points.decide import decide
from actors.points.deferral_backlog import Backlog
from actors.points.deferral_messages import (
    Defer,
    Deferral,
    DeferredEarn,
    FindDeferrals,
    FoundDeferrals,
    GetDeferral,
    NothingDeferred,
)
from actors.points.deferral_metrics import deferral_metrics
from actors.points.deferral_receipts import KEPT
from actors.points.deferral_records import DeferredRecord, decode_record, encode_record
from actors.points.deferral_replay import Replayer
from actors.points.messages import Receipt
from actors.points.posting import Moment
from actors.points.queries import DELETE_OLD_DEFERRALS
from actors.points.state import empty
from actors.vocabulary import KEY_REUSED, Idempotency, Refusal, RefusalKind
from runtime import DEFERRED, Actor, Cast, Envelope
from runtime.spool import Spool, SpoolError, SpoolFull
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.points")

OpenSpool = Callable[[], Awaitable[Spool]]

OPEN_AGAIN_S = 10.0
"""How long a spool that could not be opened is left alone."""

READ_PAGE = 1_000
WRITES_MAX = 256
"""Requests being written to the disk at the same time."""

RETENTION = timedelta(days=30)
"""How long the outcome of a deferral can be asked for."""

PRUNE_EVERY_S = 3_600.0
PRUNE_BATCH = 1_000
PRUNE_BATCHES = 100
"""At most, of `PRUNE_BATCH` rows, each time."""

Answered = Deferral | Receipt | Refusal

FULL = Refusal(
    RefusalKind.UNAVAILABLE,
    "deferrals_full",
    "the database is away, and no more can be put off; ask again with the same key",
)
FAILED = Refusal(
    RefusalKind.UNAVAILABLE,
    "deferrals_unavailable",
    "the database is away, and so is the disk; ask again with the same key",
)


@attrs.frozen
class Prune(Cast):
    """To itself: delete outcomes that are older than `RETENTION`."""


@attrs.define(eq=False)
class Open:
    """The spool while it is open, and what is made of its contents."""

    spool: Spool
    backlog: Backlog
    replayer: Replayer


class Deferrals(Actor):
    """Answers an earning that is put off after it is durable on the disk, and not before.

    The disk is the truth, memory an index of it that every start builds anew. While there is
    no spool, because the disk fails or another process has it, everything is refused.
    """

    def __init__(self, database: Database, open_spool: OpenSpool) -> None:
        self._database = database
        self._open_spool = open_spool
        self._open: Open | None = None
        self._closed = Trouble(log, "deferrals_not_open", "deferrals_open")
        self._writing: dict[tuple[str, str], trio.Event] = {}
        self._writes = 0

    async def started(self) -> None:
        self._metrics = deferral_metrics(self.system.metrics.registry)
        self._metrics.watch(self._backlog_size, self._oldest_age_s)
        self._open = await self._try_to_open()
        self.start_task(self._live)
        self.timers.start("prune", PRUNE_EVERY_S, Prune(), periodic=True)

    async def receive(self, message: Any) -> object:
        match message:
            case FindDeferrals():
                return self._find(message)
            case GetDeferral(merchant_id, deferral_id):
                backlog = self._open.backlog if self._open is not None else None
                return backlog.get(merchant_id, deferral_id) if backlog is not None else None
            case Defer():
                return self._defer(message)
            case Prune():
                self.start_task(self._prune)
                return None
        return await super().receive(message)

    # The spool

    async def _try_to_open(self) -> Open | None:
        """The spool with all that it holds in memory, or None."""
        try:
            spool = await self._open_spool()
        except SpoolError as error:
            self._closed.failed(error)
            return None
        try:
            backlog = await self._recovered(spool)
        except SpoolError as error:
            await spool.close()
            self._closed.failed(error)
            return None
        except BaseException:
            await spool.close()
            raise
        self._closed.ended()
        return Open(spool, backlog, self._replayer(spool, backlog))

    def _replayer(self, spool: Spool, backlog: Backlog) -> Replayer:
        return Replayer(
            self.system, self._database, spool, backlog, self._metrics, self._post_whether_empty
        )

    def _post_whether_empty(self) -> None:
        empty = self._open is not None and not self._open.backlog and not self._writing
        self.post(NothingDeferred() if empty else None)

    async def _live(self) -> None:
        """Replay what is in the spool until the actor ends; without one, look for it."""
        while True:
            if self._open is not None:
                try:
                    await self._open.replayer.run()
                finally:
                    spool, self._open = self._open.spool, None
                    self._post_whether_empty()
                    await spool.close()
            await trio.sleep(OPEN_AGAIN_S)
            self._open = await self._try_to_open()

    async def _recovered(self, spool: Spool) -> Backlog:
        found = spool.statistics()
        if found.cut_bytes:
            log.warning("deferrals_cut", bytes=found.cut_bytes)
        if found.lost:
            log.error("deferrals_lost", number=found.lost)
            self._metrics.count("unreadable", found.lost)
        backlog = Backlog(found.acknowledged)
        sequence = found.acknowledged
        while records := await spool.read(sequence, READ_PAGE):
            for record in records:
                self._recover_record(backlog, record.sequence, record.payload)
            sequence = records[-1].sequence
        backlog.recovered(found.acknowledged + found.records)
        if backlog:
            log.info("deferrals_found", backlog=len(backlog))
        return backlog

    def _recover_record(self, backlog: Backlog, sequence: int, payload: bytes) -> None:
        try:
            backlog.add(sequence, decode_record(payload))
        except msgspec.MsgspecError as error:
            self._metrics.count("unreadable")
            log.error(
                "deferral_unreadable",
                sequence=sequence,
                error=str(error)[:500],
                record=payload.decode(errors="backslashreplace"),
            )

    # Putting off

    def _find(self, message: FindDeferrals) -> FoundDeferrals:
        if self._open is None:
            return FoundDeferrals((None,) * len(message.keys), away=False)
        backlog = self._open.backlog
        found = tuple(self._known(backlog, message.merchant_id, key) for key in message.keys)
        return FoundDeferrals(found, self._open.replayer.away)

    def _known(self, backlog: Backlog, merchant_id: str, key: Idempotency) -> Answered | None:
        """What waits under a key, or was applied under it."""
        found = backlog.find(merchant_id, key)
        if found is not None:
            return found
        applied = backlog.receipts.find(merchant_id, key)
        if isinstance(applied, Receipt):
            self._metrics.count("repeated")
        return applied

    def _defer(self, message: Defer) -> object:
        if self._writes >= WRITES_MAX:
            return self._rejected(FULL, message.earnings)
        self._writes += 1
        self.start_task(self._defer_all, message, self.envelope)
        return DEFERRED

    async def _defer_all(self, message: Defer, envelope: Envelope) -> None:
        try:
            envelope.reply(await self._put_off(message.merchant_id, message.earnings))
        finally:
            self._writes -= 1

    async def _put_off(
        self, merchant_id: str, earnings: Sequence[DeferredEarn]
    ) -> tuple[Answered, ...]:
        """One answer for each: what waits already, was applied, is on the disk now, or refused."""
        await self._others_written(merchant_id, earnings)
        here = self._open
        if here is None:
            return self._rejected(FAILED, earnings)
        answers: list[Answered | DeferredRecord] = []
        fresh: dict[str, DeferredRecord] = {}
        for earning in earnings:
            answer = self._answer(here.backlog, merchant_id, earning, fresh)
            if isinstance(answer, DeferredRecord):
                fresh[earning.earn.idempotency.key] = answer
            answers.append(answer)
        refusal = await self._write(here, list(fresh.values())) if fresh else None
        return tuple(
            _told(here.backlog, answer, refusal) if isinstance(answer, DeferredRecord) else answer
            for answer in answers
        )

    async def _others_written(self, merchant_id: str, earnings: Sequence[DeferredEarn]) -> None:
        """Wait until nobody else writes under these keys."""
        keys = [(merchant_id, earning.earn.idempotency.key) for earning in earnings]
        while busy := [self._writing[key] for key in keys if key in self._writing]:
            await busy[0].wait()

    def _answer(
        self,
        backlog: Backlog,
        merchant_id: str,
        earning: DeferredEarn,
        fresh: dict[str, DeferredRecord],
    ) -> Answered | DeferredRecord:
        """What can be said at once, or the record to be written."""
        idempotency = earning.earn.idempotency
        known = self._known(backlog, merchant_id, idempotency)
        if known is not None:
            return known
        same = fresh.get(idempotency.key)
        if same is not None:
            same_request = same.earn.idempotency.fingerprint == idempotency.fingerprint
            return same if same_request else KEY_REUSED
        record = DeferredRecord(
            deferral_id=self.system.ids.new("def"),
            merchant_id=merchant_id,
            customer_id=earning.customer_id,
            deferred_at=self.system.clock.now(),
            earn=earning.earn,
        )
        return self._never_possible(record) or record

    def _never_possible(self, record: DeferredRecord) -> Refusal | None:
        """What no account would accept is not put off."""
        moment = Moment(self.system.clock.now(), self.system.ids.new)
        reply = decide(empty(record.account), record.earn, Context(moment)).reply
        return reply if isinstance(reply, Refusal) else None

    async def _write(self, here: Open, records: Sequence[DeferredRecord]) -> Refusal | None:
        """Put records on the disk, and into the backlog. A refusal: none of them is kept."""
        written = trio.Event()
        keys = [(record.merchant_id, record.earn.idempotency.key) for record in records]
        self._writing |= dict.fromkeys(keys, written)
        self._post_whether_empty()
        try:
            sequences = await here.spool.append([encode_record(record) for record in records])
        except SpoolError as error:
            log.warning("deferral_rejected", error=str(error)[:500], earnings=len(records))
            self._metrics.count("rejected", len(records))
            return FULL if isinstance(error, SpoolFull) else FAILED
        finally:
            for key in keys:
                del self._writing[key]
            written.set()
            self._post_whether_empty()
        for sequence, record in zip(sequences, records, strict=True):
            here.backlog.add(sequence, record)
        self._post_whether_empty()
        self._metrics.count("queued", len(records))
        here.replayer.added()
        return None

    def _rejected(self, refusal: Refusal, earnings: Sequence[DeferredEarn]) -> tuple[Answered, ...]:
        self._metrics.count("rejected", len(earnings))
        return (refusal,) * len(earnings)

    # Retention and metrics

    async def _prune(self) -> None:
        if self._open is not None:
            self._open.backlog.receipts.forget(self.system.clock.now() - KEPT)
        before = self.system.clock.now() - RETENTION
        try:
            for _ in range(PRUNE_BATCHES):
                gone = await self._database.execute(DELETE_OLD_DEFERRALS, before, PRUNE_BATCH)
                if len(gone) < PRUNE_BATCH:
                    return
        except StorageError as error:
            log.warning("deferrals_not_pruned", error=str(error)[:500])

    def _backlog_size(self) -> float:
        return len(self._open.backlog) if self._open is not None else 0

    def _oldest_age_s(self) -> float:
        oldest = self._open.backlog.oldest if self._open is not None else None
        if oldest is None:
            return 0.0
        return max(0.0, (self.system.clock.now() - oldest).total_seconds())


def _told(backlog: Backlog, record: DeferredRecord, refusal: Refusal | None) -> Answered:
    if refusal is not None:
        return refusal
    found = backlog.get(record.merchant_id, record.deferral_id)
    if found is None:
        raise LookupError(f"{record.deferral_id} was written, and is not there")
    return found
