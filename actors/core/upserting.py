"""How the writer of customers takes in many at once: in one piece, or in the steps of an import."""

from collections.abc import Sequence

import attrs

from actors.core.customer_store import CustomerStore
from actors.core.import_steps import ADVANCE, step_entry
from actors.core.messages import MAX_UPSERTS, CustomerData, ImportStep, UpsertCustomers
from actors.core.model import invalid
from actors.core.quotas import Quotas
from actors.core.upserts import Deciding, Result, all_checked, claims, found_ids
from actors.vocabulary import Refusal, RefusalKind
from runtime.foreground import Turns
from runtime.journal import Rejected
from runtime.storage import Entry, Superseded
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
    """What is to be written for each piece, and the results of its customers."""

    deciding: Deciding
    results: Sequence[list[Result]]
    entries: Sequence[Entry]


@attrs.frozen
class Upserting:
    """Works on one message. Raises what the database and the journal do."""

    system: ActorSystem
    store: CustomerStore
    quotas: Quotas
    message: UpsertCustomers

    async def upsert(self) -> tuple[Result, ...]:
        customers = self.message.customers
        if len(customers) > MAX_UPSERTS:
            refusal = invalid("too_many_customers", f"at most {MAX_UPSERTS} customers at once")
            return (refusal,) * len(customers)
        results: list[Result] = []
        pieces, errors = _pieces(self.message), 0
        for _ in range(TRIES):
            decided = await self._decide(pieces, errors)
            answers = await self._write(decided)
            done = next((n for n, each in enumerate(answers) if each is not None), len(answers))
            for piece, some in zip(pieces[:done], decided.results, strict=False):
                results += some
                errors += _errors(piece.step, some)
            if done == len(pieces):
                self._keep(decided.deciding)
                return tuple(results)
            self.quotas.forget(self.message.merchant_id)
            violation = _violation(answers[done])
            pieces = pieces[done:]
        if self.message.steps:
            raise violation
        return (BUSY,) * len(customers)

    def _keep(self, deciding: Deciding) -> None:
        if not self.message.dry_run:
            self.quotas.keep(self.message.merchant_id, deciding.room)

    async def _decide(self, pieces: Sequence[Piece], errors: int) -> Decided:
        """`errors` are those of the pieces before."""
        merchant_id, message = self.message.merchant_id, self.message
        customers = [data for piece in pieces for data in piece.customers]
        turns = Turns(self.system.foreground if message.steps else None)
        by_external = [data.external_ids[0] for data in customers if data.external_ids]
        owners = await self.store.owners_of(merchant_id, by_external)
        asked = await all_checked(self.store.vault, merchant_id, customers, owners, turns)
        owners.update(await self.store.owners(merchant_id, claims(asked)))
        deciding = Deciding(
            merchant_id,
            self.store.changer(self.system, owners, message.origin),
            self.system.ids,
            await self.quotas.room(merchant_id, self.system.clock.now()),
            await self.store.load(merchant_id, found_ids(asked, owners)),
            turns,
        )
        results: list[list[Result]] = []
        entries: list[Entry] = []
        at = 0
        for piece in pieces:
            end = at + len(piece.customers)
            found = await deciding.decide(piece.customers, asked[at:end])
            entries.append(self._entry(piece.step, deciding.taken(), found, errors))
            results.append(found)
            errors += _errors(piece.step, found)
            at = end
        return Decided(deciding, results, entries)

    def _entry(
        self, step: ImportStep | None, writes: Entry, results: Sequence[Result], errors: int
    ) -> Entry:
        """`errors` are those of the steps before this one."""
        written = () if self.message.dry_run else writes
        if step is None:
            return written
        step = attrs.evolve(step, errors_max=max(0, step.errors_max - errors))
        return (*written, *step_entry(self.message.merchant_id, step, results))

    async def _write(self, decided: Decided) -> Sequence[Rejected | Exception | None]:
        merchant_id = self.message.merchant_id
        ids = () if self.message.dry_run else decided.deciding.written
        if self.message.steps:
            return await self.store.append_all(self.system, decided.entries, merchant_id, ids)
        (entry,) = decided.entries
        if not entry:
            return (None,)
        return (await self.store.append(self.system, entry, merchant_id, ids),)


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


def _errors(step: ImportStep | None, results: Sequence[Result]) -> int:
    unreadable = len(step.errors) if step is not None else 0
    return unreadable + sum(isinstance(result, Refusal) for result in results)


def _violation(answer: Rejected | Exception | None) -> Exception:
    """Why a piece was turned down, by which those behind it were as well. Raises all that says
    more than that somebody else wrote: a step that was done, a store that is away."""
    if not isinstance(answer, Rejected):
        raise answer if answer is not None else AssertionError("it was written")
    violation = answer.violation
    if isinstance(violation, Superseded) and violation.statement == ADVANCE.name:
        raise violation
    return violation
