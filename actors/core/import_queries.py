"""The SQL of imports, and their rows as values."""

from random import Random

from actors.core.cipher import Sealed, Vault
from actors.core.messages import Import, ImportKind, ImportRows, ImportState, RowError
from runtime.jobs import Delays, NewJob, QueuePolicy
from runtime.storage import AcrossMerchants, Database, Row, Statement

RUN_IMPORT = "core.import"

PART = "import part"
"""Purpose that parts are sealed for."""

IMPORT_QUEUE = QueuePolicy(
    name="core.imports",
    concurrency=2,
    depth_max=10_000,
    attempt_timeout_s=120.0,
    delays=Delays(initial_s=2.0, max_s=60.0),
)

INSERT_IMPORT = Statement(
    "core.insert_import",
    "INSERT INTO imports (merchant_id, import_id, kind, state, dry_run, currency, created_by,"
    " created_at, parts, size_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    40,
)

GROW = Statement(
    "core.grow_import",
    "UPDATE imports SET parts = parts + 1, size_bytes = size_bytes + $5"
    " WHERE merchant_id = $1 AND import_id = $2 AND state = $3 AND parts = $4",
    40,
    exact=True,
)

INSERT_PART = Statement(
    "core.insert_import_part",
    "INSERT INTO import_parts (merchant_id, import_id, part, sealed, key_version, digest)"
    " VALUES ($1, $2, $3, $4, $5, $6)",
    41,
)

START = Statement(
    "core.start_import",
    "UPDATE imports SET state = $7, header = $5, line = 1, part = 0, offset_bytes = $6,"
    " done_bytes = $6 WHERE merchant_id = $1 AND import_id = $2 AND state = $3 AND parts = $4",
    40,
    exact=True,
)

IMPORT_COLUMNS = (
    "import_id, kind, state, dry_run, currency, created_by, created_at, parts, size_bytes,"
    " done_bytes, rows_read, rows_new, rows_changed, rows_unchanged, rows_refused, failure,"
    " finished_at"
)

SELECT_IMPORT = f"SELECT {IMPORT_COLUMNS} FROM imports WHERE merchant_id = $1 AND import_id = $2"

SELECT_PLACE = (
    f"SELECT {IMPORT_COLUMNS}, header, step, part, offset_bytes, line FROM imports"
    " WHERE merchant_id = $1 AND import_id = $2"
)

LIST_IMPORTS = (
    f"SELECT {IMPORT_COLUMNS} FROM imports"
    " WHERE merchant_id = $1 AND (created_at, import_id) < ($2, $3)"
    " ORDER BY created_at DESC, import_id DESC LIMIT $4"
)

COUNT_OPEN = (
    "SELECT count(*) FROM imports WHERE merchant_id = $1 AND state IN ('uploading', 'running')"
)

SELECT_PART = (
    "SELECT sealed, key_version FROM import_parts"
    " WHERE merchant_id = $1 AND import_id = $2 AND part = $3"
)

SELECT_DIGEST = (
    "SELECT digest FROM import_parts WHERE merchant_id = $1 AND import_id = $2 AND part = $3"
)

COUNT_ERRORS = "SELECT count(*) FROM import_errors WHERE merchant_id = $1 AND import_id = $2"

LIST_ERRORS = (
    "SELECT line, place, shown, reason FROM import_errors"
    " WHERE merchant_id = $1 AND import_id = $2 AND line > $3 ORDER BY line LIMIT $4"
)


SELECT_OLD_IMPORTS = AcrossMerchants(
    "SELECT merchant_id, import_id FROM imports WHERE created_at < $1 ORDER BY created_at LIMIT $2"
)

DELETE_IMPORT_ERRORS = Statement(
    "core.delete_import_errors",
    "DELETE FROM import_errors WHERE merchant_id = $1 AND import_id = $2",
    44,
)

DELETE_IMPORT = Statement(
    "core.delete_import", "DELETE FROM imports WHERE merchant_id = $1 AND import_id = $2", 45
)


def sealed_part(vault: Vault, merchant_id: str, content: bytes, random: Random) -> Sealed:
    """A part holds personal data, like what becomes of it."""
    return vault.seal(merchant_id, PART, content.decode("latin-1"), random)


async def open_part(
    database: Database, vault: Vault, merchant_id: str, import_id: str, part: int
) -> bytes | None:
    """The content of a part, None where it is gone. Raises `Unsealable`."""
    row = await database.fetch_row(SELECT_PART, merchant_id, import_id, part)
    if row is None:
        return None
    return vault.open(merchant_id, PART, Sealed(row[0], row[1])).encode("latin-1")


def import_job(merchant_id: str, import_id: str) -> NewJob:
    """Imports of a merchant run one after another."""
    return NewJob(
        queue=IMPORT_QUEUE.name,
        name=RUN_IMPORT,
        merchant_id=merchant_id,
        payload={"import_id": import_id},
        key=merchant_id,
    )


def import_of(row: Row) -> Import:
    return Import(
        import_id=row[0],
        kind=ImportKind(row[1]),
        state=ImportState(row[2]),
        dry_run=row[3],
        currency=row[4],
        created_by=row[5],
        created_at=row[6],
        parts=row[7],
        size_bytes=row[8],
        done_bytes=row[9],
        rows=ImportRows(row[10], row[11], row[12], row[13], row[14]),
        failure=row[15],
        finished_at=row[16],
    )


def error_of(row: Row) -> RowError:
    return RowError(row[0], row[1], row[2], row[3])
