"""The database port: what a store must offer, whichever product is behind it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import attrs

Query = tuple[str, Sequence[Any]]
"""SQL with parameters `$1` …, and their values."""


@attrs.frozen(eq=False)
class Statement:
    """A statement that journal entries write rows with.

    Within one transaction all rows of a statement are written together: statements in the order
    of `rank`, then `name`; the rows of one statement in the order of the entries. Ranks
    therefore put a table before those that refer to it.
    """

    name: str
    sql: str
    rank: int


class Write(NamedTuple):
    """One row for a statement; the values of `$1` … in order."""

    statement: Statement
    row: tuple[Any, ...]


Entry = tuple[Write, ...]
"""What is written together or not at all."""


class Row(Protocol):
    """A row of a result, by position or by column name; iterates over its values."""

    def __getitem__(self, key: int | str, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Database(Protocol):
    """A store. Every method raises `StorageError` or one of its kinds.

    Values: `int`, `str`, `bytes`, `bool`, `None`, aware `datetime` (TIMESTAMPTZ), and `list` or
    `dict` (JSONB). A cancelled read ends early. A write that has begun is not cancelled: the
    cancellation is raised when it has ended.
    """

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        """All rows of one query."""

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        """The first row, or None."""

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row, or None."""

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        """Several queries on one snapshot."""

    async def execute(self, sql: str, *values: Any) -> None:
        """One statement in a transaction of its own."""

    async def transact(self, statements: Sequence[Query]) -> None:
        """Several statements in one transaction."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """All entries in one transaction, durable on return.

        Raises `ConstraintViolation` when a row of any entry breaks a constraint, or has a value
        that cannot be kept; then nothing of any entry was written.
        """

    async def announce(self, address: str) -> None:
        """Tell other processes that come for the same store where this one serves."""

    async def close(self) -> None:
        """Wait for what is under way, and close."""
