"""The admin_core domain's children and migrations."""

from actors.admin_core.log import AuditLog
from actors.admin_core.messages import AUDIT, QUERIES
from actors.admin_core.readers import AuditReaders
from runtime import REFUSING, ChildSpec
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("admin_core", "actors.admin_core.migrations")


def admin_core_children(database: Database) -> tuple[ChildSpec, ...]:
    """The domain's children."""
    return (
        ChildSpec("audit", lambda: AuditLog(database), name=AUDIT, mailbox=REFUSING),
        ChildSpec("queries", lambda: AuditReaders(database), name=QUERIES, mailbox=REFUSING),
    )
