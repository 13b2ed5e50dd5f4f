"""Rows of an import of customers, made ready without knowing who is there already.

Reading, checking and sealing a row takes several times as long as everything that has to be known
of the database for it. So rows are made ready as if each told of somebody new, which can be done
anywhere; where all of them are new, what was made ready is written as it is.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final

import attrs
import msgspec

from actors.core.cipher import Sealed, Vault
from actors.core.customer_changes import Changer, Claim
from actors.core.customer_queries import (
    INSERT_CONSENT,
    INSERT_CUSTOMER,
    INSERT_EXTERNAL_ID,
    PUT_CONTACT,
)
from actors.core.import_files import Slice, read_slice, rows_of
from actors.core.messages import CustomerData, ImportKind, ImportStep, RowError, Upserted
from actors.core.upserts import checked, named_after
from actors.vocabulary import Refusal
from runtime import Call
from runtime.storage import AnyEntry, Packed, Statement, Write

ROWS_A_STEP: Final = 32
"""A transaction of so many rows takes two to three milliseconds, which others may wait for."""

STEPS_AT_ONCE: Final = 3
"""What is looked up and decided together costs half as much. Meanwhile nobody else writes
customers."""

STATEMENTS: Final = (INSERT_CUSTOMER, PUT_CONTACT, INSERT_EXTERNAL_ID, INSERT_CONSENT)
"""What a new customer is written with."""

ORIGIN: Final = "import"

_decode_customers = msgspec.msgpack.Decoder(tuple[CustomerData, ...]).decode
_decode_claims = msgspec.msgpack.Decoder(tuple[Claim, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


@attrs.frozen
class AsNew:
    """Customers, each as it is written where neither its id nor any of its `claims` is anybody's.
    Both claims and rows stay packed until somebody needs them: mostly only the store does. `rows`
    are those of each statement, with its place in `STATEMENTS`."""

    ids: tuple[str, ...]
    told_claims: msgspec.Raw = attrs.field(repr=False)
    rows: tuple[tuple[int, bytes], ...] = attrs.field(repr=False)

    @staticmethod
    def of(ids: Sequence[str], claims: Sequence[Claim], writes: Iterable[Write]) -> "AsNew":
        rows_of: dict[Statement, list[tuple[Any, ...]]] = {each: [] for each in STATEMENTS}
        for write in writes:
            rows_of[write.statement].append(write.row)
        packed = [Packed.of(statement, rows) for statement, rows in rows_of.items() if rows]
        rows = tuple((STATEMENTS.index(each.statement), each.packed) for each in packed)
        return AsNew(tuple(ids), msgspec.Raw(_encode(claims)), rows)

    @property
    def claims(self) -> tuple[Claim, ...]:
        return _decode_claims(self.told_claims)

    @property
    def writes(self) -> AnyEntry:
        return tuple(Packed(STATEMENTS[place], rows) for place, rows in self.rows)


@attrs.frozen
class PreparedStep:
    """The rows of one step, with their lines, and those that could not be read. `end` is where the
    next ones begin in the text, `line` the last line that was read. `new` is None where somebody
    among them cannot be new, or not beside the others. `told` is what the rows say."""

    told: msgspec.Raw = attrs.field(repr=False)
    new: AsNew | None
    lines: tuple[int, ...]
    errors: tuple[RowError, ...]
    end: int
    line: int

    @property
    def customers(self) -> tuple[CustomerData, ...]:
        return _decode_customers(self.told)


@attrs.frozen
class PrepareRows(Call[tuple[PreparedStep, ...]]):
    """To `PREPARING`: make up to `STEPS_AT_ONCE` steps ready, of the rows that `text` begins with,
    whole ones below the line `line`, in a file with this header, which is one of customers.

    `behind_bytes` of rows follow. Without `as_new` they are only read. Raises what goes wrong.
    """

    merchant_id: str
    header: str
    text: bytes = attrs.field(repr=False)
    line: int
    now: datetime
    behind_bytes: int = 0
    as_new: bool = True


@attrs.frozen
class UpsertSteps(Call[tuple[Upserted | Refusal, ...]]):
    """To `CUSTOMERS`: create or change the customers of an import, each on its own.

    With `trust` those that were prepared as new are written without being looked up first, which
    costs more than it spares where some are not.

    The progress of each step is written in one transaction with its customers, in the background;
    where it was done already, nothing of it is written and `Superseded` is raised. A `dry_run`
    writes nothing but the steps. What else it raises may have happened up to some step.
    """

    merchant_id: str
    steps: tuple[tuple[ImportStep, PreparedStep], ...]
    dry_run: bool = False
    trust: bool = False


@attrs.frozen
class Preparation:
    """How the rows of a merchant are made ready at one moment, with keys that the vault knows."""

    vault: Vault
    random: Random
    merchant_id: str
    now: datetime

    def steps(self, asked: PrepareRows) -> Iterator[PreparedStep]:
        """All that is asked for, one by one."""
        return filter(None, self.parts(asked))

    def parts(self, asked: PrepareRows) -> Iterator[PreparedStep | None]:
        """As `steps`, with None in between: after each row others may have their turn."""
        rows = rows_of(ImportKind.CUSTOMERS, asked.header, "", self.now)
        at, line = 0, asked.line
        for _ in range(STEPS_AT_ONCE):
            if at >= len(asked.text):
                return
            read = read_slice(rows, asked.text, at, line, ROWS_A_STEP)
            yield from self.parts_of(read, as_new=asked.as_new)
            at, line = read.end, read.line

    def parts_of(self, read: Slice, *, as_new: bool = True) -> Iterator[PreparedStep | None]:
        """One step, behind a None for each row."""
        yield None
        new = (yield from self._as_new(read.values)) if as_new else None
        told = msgspec.Raw(_encode(read.values))
        yield PreparedStep(told, new, read.lines, read.errors, read.end, read.line)

    def _as_new(self, customers: Sequence[CustomerData]) -> Generator[None, None, AsNew | None]:
        changer = Changer(self._seal, {}, self.now, ORIGIN)
        ids: list[str] = []
        claims: list[Claim] = []
        writes: list[Write] = []
        for data in customers:
            asked = checked(self.vault, self.merchant_id, data, {})
            customer_id = data.customer_id or named_after(data)
            if isinstance(asked, Refusal) or customer_id is None:
                return None
            change = changer.create(self.merchant_id, customer_id, asked.wish)
            if isinstance(change, Refusal):
                return None
            ids.append(customer_id)
            claims += asked.wish.claims
            writes += change.writes
            yield
        return AsNew.of(ids, claims, writes)

    def _seal(self, merchant_id: str, purpose: str, text: str) -> Sealed:
        return self.vault.seal(merchant_id, purpose, text, self.random)
