"""How the writer of customers takes in many at once: in one piece, or in the steps of an import."""

from collections.abc import Sequence

import attrs
import trio

from actors.core.customer_store import CustomerStore
from actors.core.import_steps import ADVANCE, step_entry
from actors.core.messages import MAX_UPSERTS, CustomerData, ImportStep, UpsertCustomers
from actors.core.model import invalid
from actors.core.quotas import Quotas
from actors.core.upserts import Asked, Deciding, Result, all_checked, claims, found_ids
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError
from runtime.foreground import Turns
from runtime.journal import Rejected
from runtime.storage import Entry, StorageError, Superseded
from runtime.system import ActorSystem

TRIES = 2
"""A write is rejected when another process wrote between our look and our write. Then we look
again, once."""

BUSY = Refusal(
    RefusalKind.CONFLICT, "customer_conflict", "it was changed at the same time; try again"
)


@attrs.frozen
class Piece:
    """Customers that are written in one transaction: those of a step, or all there are."""

    customers: tuple[CustomerData, ...]
    step: ImportStep | None


@attrs.frozen
class Decided:
    """What is to be written for a piece, with the results of its customers."""

    piece: Piece
    results: list[Result]
    entry: Entry
    ids: Sequence[str]


@attrs.define
class Upserting:
    """Works on one message. Raises what the database and the journal do."""

    system: ActorSystem
    store: CustomerStore
    quotas: Quotas
    message: UpsertCustomers
    _turns: Turns = attrs.field(init=False)
    _results: list[Result] = attrs.field(init=False, factory=list)
    _errors: int = attrs.field(init=False, default=0)
    _failure: Rejected | Exception | None = attrs.field(init=False, default=None)

    async def upsert(self) -> tuple[Result, ...]:
        customers = self.message.customers
        if len(customers) > MAX_UPSERTS:
            refusal = invalid("too_many_customers", f"at most {MAX_UPSERTS} customers at once")
            return (refusal,) * len(customers)
        self._turns = Turns(self.system.foreground if self.message.steps else None)
        pieces = _pieces(self.message)
        for _ in range(TRIES):
            written = await self._write_all(pieces)
            if self._failure is None:
                return tuple(self._results)
            self.quotas.forget(self.message.merchant_id)
            violation = _violation(self._failure)
            pieces = pieces[written:]
        if self.message.steps:
            raise violation
        return (BUSY,) * len(customers)

    async def _write_all(self, pieces: Sequence[Piece]) -> int:
        """Decide one piece after another, while those before it are written; how many were."""
        self._failure, written = None, 0
        merchant_id = self.message.merchant_id
        deciding, asked = await self._look(pieces)
        send, receive = trio.open_memory_channel[Decided](len(pieces))

        async def write() -> None:
            nonlocal written
            async for decided in receive:
                self._failure = await self._append(decided)
                if self._failure is not None:
                    nursery.cancel_scope.cancel()
                    return
                self._results += decided.results
                self._errors += _errors(decided.piece, decided.results)
                written += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            async with send:
                await self._decide(pieces, deciding, asked, send)
        if written == len(pieces) and not self.message.dry_run:
            self.quotas.keep(merchant_id, deciding.room)
        return written

    async def _look(self, pieces: Sequence[Piece]) -> tuple[Deciding, list[Asked | Refusal]]:
        """All that is known about the customers of these pieces, and what they are to be like."""
        merchant_id = self.message.merchant_id
        customers = [data for piece in pieces for data in piece.customers]
        by_external = [data.external_ids[0] for data in customers if data.external_ids]
        owners = await self.store.owners_of(merchant_id, by_external)
        asked = await all_checked(self.store.vault, merchant_id, customers, owners, self._turns)
        owners.update(await self.store.owners(merchant_id, claims(asked)))
        deciding = Deciding(
            merchant_id,
            self.store.changer(self.system, owners, self.message.origin),
            self.system.ids,
            await self.quotas.room(merchant_id, self.system.clock.now()),
            await self.store.load(merchant_id, found_ids(asked, owners)),
            self._turns,
        )
        return deciding, asked

    async def _decide(
        self,
        pieces: Sequence[Piece],
        deciding: Deciding,
        asked: Sequence[Asked | Refusal],
        decided: trio.MemorySendChannel[Decided],
    ) -> None:
        at, errors = 0, self._errors
        for piece in pieces:
            end = at + len(piece.customers)
            results = await deciding.decide(piece.customers, asked[at:end])
            writes, ids = deciding.taken()
            entry = self._entry(piece.step, writes, results, errors)
            await decided.send(Decided(piece, results, entry, ids))
            errors += _errors(piece, results)
            at = end

    def _entry(
        self, step: ImportStep | None, writes: Entry, results: Sequence[Result], errors: int
    ) -> Entry:
        """`errors` are those of the steps before this one."""
        written = () if self.message.dry_run else writes
        if step is None:
            return written
        step = attrs.evolve(step, errors_max=max(0, step.errors_max - errors))
        return (*written, *step_entry(self.message.merchant_id, step, results))

    async def _append(self, decided: Decided) -> Rejected | Exception | None:
        """None when it was written, or else why not."""
        if not decided.entry:
            return None
        ids = () if self.message.dry_run else decided.ids
        try:
            return await self.store.append(
                self.system,
                decided.entry,
                self.message.merchant_id,
                ids,
                in_background=decided.piece.step is not None,
            )
        except (StorageError, ActorError) as error:
            return error


def _pieces(message: UpsertCustomers) -> list[Piece]:
    if not message.steps:
        return [Piece(message.customers, None)]
    pieces: list[Piece] = []
    at = 0
    for step in message.steps:
        end = at + len(step.lines)
        pieces.append(Piece(message.customers[at:end], step))
        at = end
    return pieces


def _errors(piece: Piece, results: Sequence[Result]) -> int:
    unreadable = len(piece.step.errors) if piece.step is not None else 0
    return unreadable + sum(isinstance(result, Refusal) for result in results)


def _violation(failure: Rejected | Exception) -> Exception:
    """Somebody else wrote. Raises what says more than that: a step that was done before, a store
    that is away."""
    if not isinstance(failure, Rejected):
        raise failure
    violation = failure.violation
    if isinstance(violation, Superseded) and violation.statement == ADVANCE.name:
        raise violation
    return violation
