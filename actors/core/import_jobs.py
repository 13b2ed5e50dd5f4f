"""The job that works off an import, in small steps, between which everybody else has their turn."""

from collections.abc import Sequence
from typing import Any

import attrs
import structlog
import trio

from actors.core.around import existing
from actors.core.cipher import Vault
from actors.core.import_files import FileTrouble, Rows, Slice, header_of, read_slice, rows_of
from actors.core.import_queries import (
    COUNT_ERRORS,
    IMPORT_QUEUE,
    SELECT_PLACE,
    import_job,
    import_of,
    open_part,
)
from actors.core.import_steps import ADVANCE, RUNNING, Result, finish_entry, step_entry
from actors.core.importing.balances import OpeningBalance
from actors.core.importing.orders import OrderRows
from actors.core.messages import (
    CUSTOMERS,
    MAX_IMPORT_ERRORS,
    ORDERS,
    Import,
    ImportKind,
    ImportState,
    ImportStep,
    RecordOrders,
    Upserted,
    UpsertStatus,
)
from actors.core.preparers import PREPARING
from actors.core.preparing import ROWS_A_STEP, STEPS_AT_ONCE, PreparedStep, PrepareRows, UpsertSteps
from actors.points.messages import INTAKE, ApplyBatch, BatchItem, Earn
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime import ActorError, Call
from runtime.foreground import Turns
from runtime.jobs import Job, RetryAfter, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.parking import monotonic
from runtime.ref import Asked, ask_all
from runtime.storage import Database, Entry, Row, StorageError, Superseded
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.core")

TEXT_MAX_BYTES = 32 * 1024
"""Of rows of customers that are made ready at once, unless one alone has more."""

ROWS_READ_AT_ONCE = 8
"""Rows before others may have their turn; a fraction of a millisecond."""

READS_A_STEP = 2
"""Of orders or balances, which others write."""

REST_SHARE = 0.8
"""Of the time that a step of orders or balances took; then the job rests."""

RUN_S = 30.0
"""Then the job ends, and another one goes on: a queue is shared by all merchants."""

COME_BACK_S = 5.0

OPENING_BALANCE = "opening balance"
STEP_TIMEOUT_S = 20.0


@attrs.define
class Place:
    """An import, and where it is."""

    import_: Import
    header: str
    step: int
    part: int
    offset_bytes: int
    line: int

    @classmethod
    def of(cls, row: Row) -> "Place":
        return cls(import_of(row), *(row[name] for name in PLACE_COLUMNS))

    def step_of(self, read: Slice | PreparedStep, end: int, errors: int) -> ImportStep:
        """The step that has done `read`, up to `end` in the part, after so many errors."""
        return ImportStep(
            import_id=self.import_.import_id,
            number=self.step,
            part=self.part,
            offset_bytes=end,
            from_bytes=self.import_.done_bytes,
            done_bytes=self.import_.done_bytes + end - self.offset_bytes,
            line=read.line,
            lines=read.lines,
            errors=read.errors,
            errors_max=max(0, MAX_IMPORT_ERRORS - errors),
        )

    def move(self, step: ImportStep) -> None:
        """Behind a step of this import."""
        self.import_ = attrs.evolve(self.import_, done_bytes=step.done_bytes)
        self.step, self.offset_bytes, self.line = step.number + 1, step.offset_bytes, step.line


PLACE_COLUMNS = ("header", "step", "part", "offset_bytes", "line")


@attrs.frozen
class RunImport:
    """Goes on where the import is. Whatever is repeated after a crash was durable, and is
    recognised: rows of customers by the step they were written with, orders by their ids, balances
    by their keys."""

    database: Database
    vault: Vault

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        import_id = str(job.payload["import_id"])
        running = _Running(system, self.database, self.vault, job.merchant_id, import_id)
        try:
            done = await running.go_on()
        except Superseded:
            log.info("import_not_where_it_was", import_id=import_id)
            raise RetryAfter(COME_BACK_S, "the import is not where it was") from None
        except (ActorError, StorageError) as error:
            raise RetryAfter(COME_BACK_S, str(error)) from error
        except FileTrouble as trouble:
            return running.ended(ImportState.FAILED, str(trouble))
        except Exception as error:
            if job.attempt < IMPORT_QUEUE.attempts_max:
                raise
            log.error("import_failed", import_id=import_id, exc_info=error)
            return running.ended(ImportState.FAILED, "something went wrong on our side")
        if done is None:
            return ()
        if done:
            return running.ended(ImportState.DONE, None)
        job_id, now = system.ids.new("job"), system.clock.now()
        following = import_job(job.merchant_id, import_id)
        return (job_write(following, job_id=job_id, now=now, trace_id=job.trace_id),)


@attrs.define
class _Running:
    """One attempt of the job. `_all_new` is whether none of the last customers was there already,
    `_smooth` whether all of them were created."""

    system: ActorSystem
    database: Database
    vault: Vault
    merchant_id: str
    import_id: str
    _all_new: bool = attrs.field(init=False, default=True)
    _smooth: bool = attrs.field(init=False, default=True)

    async def go_on(self) -> bool | None:
        """Whether all is done; None when the import is not running any more.

        Raises `Superseded` where it is not where it was: another worker has it, or a store that was
        killed has lost the last steps.
        """
        try:
            return await self._go_on()
        except Superseded:
            row = await self._durable_place()
            if row is None or row["state"] != RUNNING:
                return None
            raise

    async def _go_on(self) -> bool | None:
        row = await self._durable_place()
        if row is None or row["state"] != RUNNING:
            return None
        place = Place.of(row)
        now, until = self.system.clock.now(), monotonic() + RUN_S
        rows = rows_of(place.import_.kind, place.header, place.import_.currency, now)
        turns = Turns(self.system.foreground)
        errors = await self.database.fetch_value(COUNT_ERRORS, self.merchant_id, self.import_id)
        if isinstance(rows, OrderRows) and rows.makes_ids:
            await self._read_again(place, rows, turns)
        while place.part < place.import_.parts:
            content = await self._content(place.part)
            if content is None or not await self._part(place, rows, content, errors, until):
                return False if content is not None else None
            place.part, place.offset_bytes = place.part + 1, 0
        row = await self._durable_place()
        if row is not None and row["step"] != place.step:
            raise Superseded(ADVANCE.name)
        return True

    async def _durable_place(self) -> Row | None:
        """Where the import is, behind everything that was left in the background; a store that was
        killed may have lost steps of it."""
        await self.system.ref(JOURNAL).ask(Append((), in_background=True))
        return await self.database.fetch_row(SELECT_PLACE, self.merchant_id, self.import_id)

    async def _content(self, part: int) -> bytes | None:
        return await open_part(self.database, self.vault, self.merchant_id, self.import_id, part)

    async def _read_again(self, place: Place, rows: OrderRows, turns: Turns) -> None:
        """Ids that are made from lines depend on the lines before."""
        for part in range(place.part + 1):
            content = await self._content(part) or b""
            end = place.offset_bytes if part == place.part else len(content)
            at = header_of(content)[1] if part == 0 else 0
            while at < end:
                await turns.take()
                at = read_slice(rows, content[:end], at, 0, ROWS_READ_AT_ONCE).end

    async def _part(
        self, place: Place, rows: Rows, content: bytes, errors: int, until: float
    ) -> bool:
        """Whether the part is done; false when the time is up."""
        ahead: tuple[PreparedStep, ...] = ()
        while place.offset_bytes < len(content):
            if monotonic() >= until:
                return False
            if place.import_.kind is ImportKind.CUSTOMERS:
                done, ahead = await self._customers(place, content, errors, ahead)
                errors += done
            else:
                errors += await self._others(place, rows, content, errors)
        return True

    async def _customers(
        self, place: Place, content: bytes, errors: int, prepared: Sequence[PreparedStep]
    ) -> tuple[int, tuple[PreparedStep, ...]]:
        """Do the next steps of customers, while those behind them are made ready; how many errors
        they had, and what was made ready."""
        if not prepared:
            (prepared,) = await self._answers(self._preparing(place, content))
        begin = place.offset_bytes
        steps: list[tuple[ImportStep, PreparedStep]] = []
        for read in prepared:
            step = place.step_of(read, begin + read.end, errors)
            place.move(step)
            steps.append((step, read))
        dry_run = place.import_.dry_run
        command = UpsertSteps(self.merchant_id, tuple(steps), dry_run, trust=self._smooth)
        asks: list[tuple[Asked, Call[Any]]] = [(self.system.ref(CUSTOMERS), command)]
        if place.offset_bytes < len(content):
            asks.append(self._preparing(place, content))
        results, *ahead = await self._answers(*asks)
        self._all_new = not any(_was_there(result) for result in results)
        self._smooth = self._all_new and not _refusals(results)
        done = sum(len(read.errors) for read in prepared) + _refusals(results)
        return done, ahead[0] if ahead else ()

    def _preparing(self, place: Place, content: bytes) -> tuple[Asked, Call[Any]]:
        """The ask for the steps that begin at a place."""
        begin = place.offset_bytes
        end = _end_of_rows(content, begin)
        rows = PrepareRows(
            self.merchant_id,
            place.header,
            content[begin:end],
            place.line,
            self.system.clock.now(),
            len(content) - end,
            self._all_new,
        )
        return self.system.ref(PREPARING), rows

    async def _answers(self, *asks: tuple[Asked, Call[Any]]) -> list[Any]:
        """Of all of them. Raises the first error among them."""
        answers = await ask_all(asks, timeout_s=STEP_TIMEOUT_S)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _others(self, place: Place, rows: Rows, content: bytes, errors: int) -> int:
        """Do the next step of orders or balances, and rest; how many errors it had."""
        began = monotonic()
        read = await _read_step(rows, content, place, Turns(self.system.foreground))
        step = place.step_of(read, read.end, errors)
        place.move(step)
        results = await self._apply(place.import_, read.values)
        entry = step_entry(self.merchant_id, step, results)
        answer = await self.system.ref(JOURNAL).ask(
            Append(entry, in_background=True, synchronous=False)
        )
        if isinstance(answer, Rejected):
            raise answer.violation
        await trio.sleep((monotonic() - began) * REST_SHARE)
        return len(read.errors) + _refusals(results)

    async def _apply(self, import_: Import, values: tuple[Any, ...]) -> Sequence[Result]:
        if import_.kind is ImportKind.ORDERS:
            return await self._orders(values, dry_run=import_.dry_run)
        return await self._balances(values, dry_run=import_.dry_run)

    async def _orders(self, orders: tuple[Any, ...], *, dry_run: bool) -> Sequence[Result]:
        command = RecordOrders(self.merchant_id, orders, dry_run=dry_run)
        return await self.system.ref(ORDERS).ask(command, timeout_s=STEP_TIMEOUT_S)

    async def _balances(
        self, balances: tuple[OpeningBalance, ...], *, dry_run: bool
    ) -> Sequence[Result]:
        if dry_run:
            named = [balance.customer_id for balance in balances]
            known = await existing(self.database, self.merchant_id, named)
            return [_tried(balance, known) for balance in balances]
        items = tuple(BatchItem(_earn(balance), balance.customer_id) for balance in balances)
        command = ApplyBatch(self.merchant_id, items)
        receipts = await self.system.ref(INTAKE).ask(command, timeout_s=STEP_TIMEOUT_S)
        return [_credited(receipt) for receipt in receipts]

    def ended(self, state: ImportState, failure: str | None) -> Entry:
        now = self.system.clock.now()
        return finish_entry(self.merchant_id, self.import_id, RUNNING, state.value, now, failure)


def _end_of_rows(content: bytes, begin: int) -> int:
    """Where those rows end that are made ready at once: one at least."""
    end = content.find(b"\n", begin) + 1 or len(content)
    for _ in range(ROWS_A_STEP * STEPS_AT_ONCE - 1):
        following = content.find(b"\n", end) + 1 or len(content)
        if following - begin > TEXT_MAX_BYTES:
            break
        end = following
    return end


def _was_there(result: Result) -> bool:
    return isinstance(result, Upserted) and result.status is not UpsertStatus.CREATED


def _refusals(results: Sequence[Result]) -> int:
    return sum(isinstance(one, Refusal) for one in results)


async def _read_step(rows: Rows, content: bytes, place: Place, turns: Turns) -> Slice:
    read = Slice((), (), (), place.offset_bytes, place.line)
    for _ in range(READS_A_STEP):
        await turns.take()
        more = read_slice(rows, content, read.end, read.line, ROWS_READ_AT_ONCE)
        read = Slice(
            (*read.values, *more.values),
            (*read.lines, *more.lines),
            (*read.errors, *more.errors),
            more.end,
            more.line,
        )
    return read


def _earn(balance: OpeningBalance) -> Earn:
    return Earn(
        idempotency=Idempotency(balance.key, balance.fingerprint),
        amount=balance.points,
        reason=OPENING_BALANCE,
        expires_at=balance.expires_at,
    )


def _tried(balance: OpeningBalance, known: set[str]) -> Result:
    if balance.customer_id in known:
        return UpsertStatus.CREATED
    detail = f"there is no customer {balance.customer_id}"
    return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)


def _credited(receipt: Any) -> Result:
    """Raises `StorageError` where the account did not answer: then the step is done again."""
    if not isinstance(receipt, Refusal):
        return UpsertStatus.UNCHANGED if receipt.replayed else UpsertStatus.CREATED
    if receipt.kind is RefusalKind.UNAVAILABLE:
        raise StorageError(receipt.detail)
    if receipt.code == "idempotency_key_reused":
        detail = "this customer got an opening balance before, of another amount"
        return Refusal(RefusalKind.CONFLICT, "opening_balance_conflict", detail)
    return receipt
