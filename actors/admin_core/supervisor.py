"""The admin_core domain's children, jobs and migrations."""

from actors.admin_core.log import AuditLog
from actors.admin_core.messages import AUDIT, PRIVACY, QUERIES
from actors.admin_core.privacy import ERASE, PRIVACY_QUEUE, EraseForGood, PrivacyDesk
from actors.admin_core.readers import AuditReaders
from runtime import REFUSING, ChildSpec
from runtime.jobs import JobsSpec
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("admin_core", "actors.admin_core.migrations")


def admin_core_children(database: Database) -> tuple[ChildSpec, ...]:
    """The domain's children."""
    return (
        ChildSpec("audit", lambda: AuditLog(database), name=AUDIT, mailbox=REFUSING),
        ChildSpec("privacy", lambda: PrivacyDesk(database), name=PRIVACY, mailbox=REFUSING),
        ChildSpec("queries", lambda: AuditReaders(database), name=QUERIES, mailbox=REFUSING),
    )


def admin_core_jobs() -> JobsSpec:
    """The queue of erasures."""
    return JobsSpec(queues=(PRIVACY_QUEUE,), handlers={ERASE: EraseForGood()})
