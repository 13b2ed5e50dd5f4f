"""The platform: what every domain stands on. Database, journal, outbox relay, job queue."""

from collections.abc import Mapping, Sequence

import structlog

from runtime import Actor, Backoff, ChildSpec, ExitReason, MailboxSpec, Strategy, Supervisor
from runtime.jobs import JobsSpec, jobs_children
from runtime.journal import JOURNAL, Journal
from runtime.outbox import RELAY
from runtime.outbox_relay import OutboxRelay
from runtime.storage import Database, DatabaseHandle, Migrations, migrate, open_database

log = structlog.get_logger("loyalnest.platform")

DATABASE = "platform.database"
JOURNAL_CAPACITY = 8_192

PLATFORM_INTENSITY = 5
PLATFORM_PERIOD_S = 30.0


class DatabaseKeeper(Actor):
    """Opens the database, brings its schema up to date, and closes it at the end."""

    def __init__(self, url: str, handle: DatabaseHandle, migrations: Sequence[Migrations]) -> None:
        self._url = url
        self._handle = handle
        self._migrations = migrations
        self._database: Database | None = None

    async def started(self) -> None:
        database = await open_database(self._url)
        try:
            applied = await migrate(database, self._migrations, self.system.clock.now())
        except BaseException:
            await database.close()
            raise
        self._database = database
        self._handle.attach(database)
        if applied:
            log.info("schema_migrated", applied=applied)

    async def stopped(self, reason: ExitReason) -> None:
        self._handle.detach()
        if self._database is not None:
            await self._database.close()


def platform(
    url: str,
    handle: DatabaseHandle,
    migrations: Sequence[Migrations],
    subscriptions: Mapping[str, Sequence[str]],
    jobs: JobsSpec | None = None,
) -> Supervisor:
    """rest_for_one: what stands on a failed part restarts with it."""
    return Supervisor(
        (
            ChildSpec(
                "database",
                lambda: DatabaseKeeper(url, handle, migrations),
                name=DATABASE,
                shutdown_s=10.0,
            ),
            ChildSpec(
                "journal",
                lambda: Journal(handle),
                name=JOURNAL,
                mailbox=MailboxSpec(capacity=JOURNAL_CAPACITY),
                shutdown_s=10.0,
            ),
            ChildSpec(
                "relay",
                lambda: OutboxRelay(handle, subscriptions),
                name=RELAY,
            ),
            *jobs_children(handle, jobs if jobs is not None else JobsSpec()),
        ),
        strategy=Strategy.REST_FOR_ONE,
        intensity=PLATFORM_INTENSITY,
        period_s=PLATFORM_PERIOD_S,
        backoff=Backoff(),
    )
