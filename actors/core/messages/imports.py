"""Imports: CSV files that come in parts, and are worked off by a job."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call

IMPORTS = "core.imports"
"""Name of the actor that keeps imports."""

MAX_PART_BYTES = 1024 * 1024
MAX_PARTS = 1_000
MAX_IMPORT_ERRORS = 10_000
"""Errors that are kept of one import. All are counted."""

MAX_OPEN_IMPORTS = 20
"""Imports of a merchant that are not finished."""


class ImportKind(Enum):
    CUSTOMERS = "customers"
    ORDERS = "orders"
    BALANCES = "balances"


class ImportState(Enum):
    """`UPLOADING` until it is started; the last three are final."""

    UPLOADING = "uploading"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@attrs.frozen
class ImportRows:
    """`read` is the sum of the others. Of orders and balances that were imported before, none is
    changed: they are `unchanged`, or refused."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0


@attrs.frozen(kw_only=True)
class Import:
    """An import and how far it got: `done_bytes` of `size_bytes`. `currency` is that of rows which
    do not name theirs."""

    import_id: str
    kind: ImportKind
    state: ImportState
    dry_run: bool
    currency: str
    created_by: str
    created_at: datetime
    parts: int
    size_bytes: int
    done_bytes: int
    rows: ImportRows
    failure: str | None = None
    finished_at: datetime | None = None


@attrs.frozen(kw_only=True)
class CreateImport(Call[Import | Refusal]):
    """Without a `currency`, that of the merchant."""

    merchant_id: str
    kind: ImportKind
    dry_run: bool
    created_by: str
    currency: str | None = None


@attrs.frozen
class AddPart(Call[Import | Refusal]):
    """Parts are numbered from 0 and come in order; the first one begins with the header line. A
    part ends where a line ends. The same part again changes nothing; with another content it is a
    conflict."""

    merchant_id: str
    import_id: str
    part: int
    content: bytes = attrs.field(repr=False)


@attrs.frozen
class StartImport(Call[Import | Refusal]):
    """All parts are there. Starting what was started changes nothing."""

    merchant_id: str
    import_id: str


@attrs.frozen
class CancelImport(Call[Import | Refusal]):
    """What was imported stays; the rest is forgotten."""

    merchant_id: str
    import_id: str


@attrs.frozen
class GetImport(Call[Import | None]):
    merchant_id: str
    import_id: str


@attrs.frozen
class ListImports(Call[Page[Import] | Refusal]):
    """The newest first."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class RowError:
    """A row that was not imported. `line` counts from 1, the header; `column` is empty where it is
    the whole row. `value` is left out where it could tell who somebody is."""

    line: int
    column: str
    value: str
    reason: str


@attrs.frozen
class ListImportErrors(Call[Page[RowError] | Refusal]):
    """In the order of the lines."""

    merchant_id: str
    import_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class ImportStep:
    """One step of an import that is under way. Its `number` fences it, and `from_bytes`, which is
    how much was done before it: steps of others need not end where its own do. The position is
    where the next one begins. `errors` are rows that could not be read, `lines` the line of each
    row that could. At most `errors_max` errors are kept, all are counted."""

    import_id: str
    number: int
    part: int
    offset_bytes: int
    from_bytes: int
    done_bytes: int
    line: int
    errors_max: int
    lines: tuple[int, ...] = ()
    errors: tuple[RowError, ...] = ()
