"""How the writer of customers takes in many at once: in one piece, or in the steps of an import."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import attrs
import trio

from actors.core.around import existing
from actors.core.customer_store import CustomerStore
from actors.core.import_steps import ADVANCE, step_entry
from actors.core.messages import CustomerData, ImportStep, Upserted, UpsertStatus
from actors.core.preparing import AsNew, PreparedStep
from actors.core.quotas import Quotas, Room
from actors.core.upserts import Asked, Deciding, Result, all_checked, claims, found_ids
from actors.vocabulary import Refusal, RefusalKind
from runtime.foreground import Turns
from runtime.journal import Append, Rejected
from runtime.storage import AnyEntry, Superseded
from runtime.system import ActorSystem

TRIES = 2
"""A write is rejected when another process wrote between our look and our write. Then we look
again, once."""

Way = Callable[[Sequence["Piece"]], Awaitable["AllNew | OneByOne"]]
"""How it is found out what becomes of pieces."""

BUSY = Refusal(
    RefusalKind.CONFLICT, "customer_conflict", "it was changed at the same time; try again"
)


@attrs.frozen
class Piece:
    """Customers that are written in one transaction: those of a step, or all there are."""

    told: tuple[CustomerData, ...] | PreparedStep
    step: ImportStep | None = None

    @property
    def customers(self) -> tuple[CustomerData, ...]:
        return self.told.customers if isinstance(self.told, PreparedStep) else self.told

    @property
    def new(self) -> AsNew | None:
        """What is written for them where they are all new, if that was prepared."""
        return self.told.new if isinstance(self.told, PreparedStep) else None


class Outcome(NamedTuple):
    """What becomes of a piece: its results, what is to be written, and whom it changes."""

    results: list[Result]
    writes: AnyEntry
    changed: Sequence[str]


@attrs.frozen
class Decided:
    """What is to be written for a piece, with the results of its customers."""

    piece: Piece
    results: list[Result]
    entry: AnyEntry
    changed: Sequence[str]


@attrs.define
class Upserting:
    """Works on one message. Raises what the database and the journal do.

    With `trust`, who was prepared as new is written without a look.
    """

    system: ActorSystem
    store: CustomerStore
    quotas: Quotas
    merchant_id: str
    origin: str
    dry_run: bool = False
    trust: bool = False
    _turns: Turns = attrs.field(factory=lambda: Turns(None))
    _results: list[Result] = attrs.field(init=False, factory=list)
    _errors: int = attrs.field(init=False, default=0)
    _failure: Rejected | Exception | None = attrs.field(init=False, default=None)

    async def upsert(self, pieces: Sequence[Piece]) -> tuple[Result, ...]:
        """The results of all pieces. Where those of a step cannot be written, raises why."""
        for way in self._ways(pieces):
            try:
                written = await self._write_all(pieces, way)
            except BaseException:
                self.quotas.forget(self.merchant_id)  # what is on its way may be written
                raise
            if self._failure is None:
                return tuple(self._results)
            if written or not isinstance(self._failure, Rejected):
                self.quotas.forget(self.merchant_id)
            violation = _violation(self._failure)
            pieces = pieces[written:]
        if pieces[0].step is not None:
            raise violation
        return (BUSY,) * sum(len(piece.customers) for piece in pieces)

    def _ways(self, pieces: Sequence[Piece]) -> Sequence[Way]:
        """To be tried one after another. Whether all are new is what the keys of the tables say in
        the end, and they say it without a look as well."""
        looks: list[Way] = [self._look] * TRIES
        trusted = self.trust and all(piece.new is not None for piece in pieces)
        return [self._as_told, *looks] if trusted and not self.dry_run else looks

    async def _write_all(self, pieces: Sequence[Piece], way: Way) -> int:
        """Decide all pieces, and write one after another until one fails; how many were."""
        deciding = await way(pieces)
        decided = await self._decide(pieces, deciding)
        answers = await self._append(decided)
        self._failure = next((each for each in answers if each is not None), None)
        written = answers.index(self._failure) if self._failure is not None else len(answers)
        for one in decided[:written]:
            self._results += one.results
            self._errors += _errors(one.piece, one.results)
        if self._failure is None and not self.dry_run:
            self.quotas.keep(self.merchant_id, deciding.room)
        return written

    async def _as_told(self, pieces: Sequence[Piece]) -> "AllNew | OneByOne":
        room = await self._room()
        news = [piece.new for piece in pieces if piece.new is not None]
        if room.take_customers(sum(len(new.ids) for new in news)):
            return AllNew(room)
        return await self._one_by_one(pieces, room)

    async def _look(self, pieces: Sequence[Piece]) -> "AllNew | OneByOne":
        news = [piece.new for piece in pieces if piece.new is not None]
        if len(news) == len(pieces) and await self._are_new(news):
            return await self._as_told(pieces)
        return await self._one_by_one(pieces, await self._room())

    async def _room(self) -> Room:
        return await self.quotas.room(self.merchant_id, self.system.clock.now())

    async def _are_new(self, news: Sequence[AsNew]) -> bool:
        """Whether nobody among them is there already, or twice."""
        ids = [customer_id for new in news for customer_id in new.ids]
        claims = [claim for new in news for claim in new.claims]
        if len(ids) > len(set(ids)) or len(claims) > len(set(claims)):
            return False
        if await existing(self.store.database, self.merchant_id, ids):
            return False
        return not await self.store.owners(self.merchant_id, claims)

    async def _one_by_one(self, pieces: Sequence[Piece], room: Room) -> "OneByOne":
        """With all that is known about the customers, and what they are to be like."""
        customers = [data for piece in pieces for data in piece.customers]
        by_external = [data.external_ids[0] for data in customers if data.external_ids]
        owners = await self.store.owners_of(self.merchant_id, by_external)
        vault = self.store.vault
        asked = await all_checked(vault, self.merchant_id, customers, owners, self._turns)
        owners.update(await self.store.owners(self.merchant_id, claims(asked)))
        deciding = Deciding(
            self.merchant_id,
            self.store.changer(self.system, owners, self.origin),
            self.system.ids,
            room,
            await self.store.load(self.merchant_id, found_ids(asked, owners)),
            self._turns,
        )
        return OneByOne(deciding, iter(asked))

    async def _decide(
        self, pieces: Sequence[Piece], deciding: "AllNew | OneByOne"
    ) -> list[Decided]:
        decided: list[Decided] = []
        errors = self._errors
        for piece in pieces:
            results, writes, changed = await deciding.decide(piece)
            entry = self._entry(piece.step, writes, results, errors)
            decided.append(Decided(piece, results, entry, changed))
            errors += _errors(piece, results)
        return decided

    def _entry(
        self, step: ImportStep | None, writes: AnyEntry, results: Sequence[Result], errors: int
    ) -> AnyEntry:
        """`errors` are those of the steps before this one."""
        written = () if self.dry_run else writes
        if step is None:
            return written
        step = attrs.evolve(step, errors_max=max(0, step.errors_max - errors))
        return (*written, *step_entry(self.merchant_id, step, results))

    async def _append(self, decided: Sequence[Decided]) -> list[Rejected | Exception | None]:
        """Of each None where it was written, or else why not. Where a step is not, none behind it
        is: the place that it would begin at was not reached."""
        background = decided[0].piece.step is not None
        appends = [
            Append(one.entry, in_background=background, synchronous=not background)
            for one in decided
            if one.entry
        ]
        if not appends:
            return [None for _ in decided]
        changed = [] if self.dry_run else [each for one in decided for each in one.changed]
        return await self.store.append_all(self.system, appends, self.merchant_id, changed)


@attrs.frozen
class AllNew:
    """Pieces whose customers are all new are written as they were prepared. That takes so little
    that nobody need wait for a quiet moment."""

    room: Room

    async def decide(self, piece: Piece) -> Outcome:
        await trio.lowlevel.checkpoint()
        assert piece.new is not None  # noqa: S101 - who says that all are new has looked
        results: list[Result] = [Upserted(each, UpsertStatus.CREATED) for each in piece.new.ids]
        return Outcome(results, piece.new.writes, ())


@attrs.frozen
class OneByOne:
    """Pieces whose customers are decided one after another. `asked` has what each is to be."""

    deciding: Deciding
    asked: Iterator[Asked | Refusal]

    @property
    def room(self) -> Room:
        return self.deciding.room

    async def decide(self, piece: Piece) -> Outcome:
        customers = piece.customers
        asked = list(islice(self.asked, len(customers)))
        results = await self.deciding.decide(customers, asked)
        return Outcome(results, *self.deciding.taken())


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
