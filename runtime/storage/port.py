"""The database port: what a store must offer, whichever product is behind it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any, NamedTuple, Protocol

import attrs
import msgspec
import trio

from runtime.storage.errors import ConstraintViolation

ANNOUNCED_S = 15.0
"""How long an announcement counts."""

APPLICATION_ROLE = "loyalnest_app"
"""The role the application works under, where there are roles. It owns nothing, so row-level
security holds for it."""


class Dialect(Enum):
    """The product behind the port, for the few statements that only one of them has."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class AcrossMerchants(str):
    """SQL that may see the rows of all merchants.

    Any other query sees those of one: the merchant that its first value names. PostgreSQL holds
    it to that by row-level security, as a second wall behind the query's own conditions.
    """

    __slots__ = ()


Query = tuple[str, Sequence[Any]]
"""SQL with parameters `$1` …, and their values."""


@attrs.frozen(eq=False)
class Statement:
    """A statement that journal entries write rows with.

    Within one transaction all rows of a statement are written together: statements in the order
    of `rank`, then `name`; the rows of one statement in the order of the entries. Ranks
    therefore put a table before those that refer to it. The first value of every row is the
    merchant it belongs to, except where the table is `shared` by all of them.

    An `exact` statement must change one row of the store for each of its own; where it does not,
    the transaction is undone with `Superseded`. It `concerns` the actor of that name, which the
    journal nudges when rows of it were committed.
    """

    name: str
    sql: str
    rank: int
    exact: bool = False
    shared: bool = False
    concerns: str | None = None


class Write(NamedTuple):
    """One row for a statement; the values of `$1` … in order."""

    statement: Statement
    row: tuple[Any, ...]


_decode_rows = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode
_encode_rows = msgspec.msgpack.Encoder().encode


class Packed(NamedTuple):
    """Rows for a statement in MessagePack, as they came from where they were made ready; nobody on
    the way need look at them. Their values are those of `Database`, times in UTC."""

    statement: Statement
    packed: bytes

    @staticmethod
    def of(statement: Statement, rows: Sequence[tuple[Any, ...]]) -> "Packed":
        return Packed(statement, _encode_rows(rows))

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Takes a quarter of a microsecond for each. Raises `ConstraintViolation` where nobody can
        read them."""
        try:
            return _decode_rows(self.packed)
        except msgspec.DecodeError as error:
            detail = f"{self.statement.name}: packed rows that nobody can read: {error}"
            raise ConstraintViolation(detail) from error


Entry = tuple[Write, ...]
"""What is written together or not at all."""

AnyEntry = tuple[Write | Packed, ...]
"""The same, where some of it may be packed."""


def unpacked(entry: AnyEntry) -> Entry:
    """The same rows, none of them packed."""
    writes: list[Write] = []
    for write in entry:
        if isinstance(write, Write):
            writes.append(write)
        else:
            writes += (Write(write.statement, row) for row in write.rows)
    return tuple(writes)


class Row(Protocol):
    """A row of a result, by position or by column name; iterates over its values."""

    def __getitem__(self, key: int | str, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Database(Protocol):
    """A store. Every method raises `StorageError` or one of its kinds.

    Values: `int`, `str`, `bytes`, `bool`, `None`, aware `datetime` (TIMESTAMPTZ), and `list` or
    `dict` (JSONB). A cancelled read ends early. A write that has begun is not cancelled: it
    returns or raises what became of it, and the caller's next checkpoint is cancelled. Whoever ends
    a write at a deadline relies on it: what was cut off has not begun.
    """

    @property
    def dialect(self) -> Dialect:
        """What SQL it speaks."""

    @property
    def concurrency(self) -> int:
        """How many queries can run at the same time, beside one `append`."""

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        """All rows of one query."""

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        """The first row, or None."""

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row, or None."""

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        """Several queries on one snapshot."""

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        """One statement in a transaction of its own; what it returns, if it has RETURNING."""

    async def transact(self, statements: Sequence[Query]) -> None:
        """Several statements in one transaction."""

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        """All entries in one transaction, durable on return.

        One that is not `synchronous` is committed on return, and durable with the next write that
        is, or a little later. Until then a store that loses its power, or a server of it that is
        killed, may lose the last of such transactions, and everything else is kept.

        Raises `ConstraintViolation` when a row of any entry breaks a constraint, or has a value
        that cannot be kept; then nothing of any entry was written. Raises `CommitUnknown` when
        the connection was lost while the commit was under way.
        """

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        """The notices of a channel while the context lasts.

        Notices are hints: some may be lost when the listener is slow or the connection breaks
        (then an empty one follows, which says "look yourself").
        """

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notice of up to 8,000 bytes to all who listen, in every process."""

    async def attend(self) -> None:
        """What has to go on in the background, such as receiving the notices of other processes.

        Runs until cancelled; somebody has to run it while the store is in use.
        """

    def as_owner(self) -> AbstractAsyncContextManager["Database"]:
        """The store with the rights to change its schema, for one at a time in all processes.

        Raises `MigrationError` when others have it for too long.
        """

    async def announce(self, address: str | None, owner: str) -> None:
        """Tell other processes that come for the same store where this one serves: at `address`,
        or no longer. Counts for `ANNOUNCED_S`, and only while `owner` has the journal."""

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        """Where another process serves from this store, if one has said so within that time."""

    async def close(self) -> None:
        """Wait for what is under way, and close."""
