"""The platform: what every domain stands on. Database, journal, relay, cache, job queue."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import structlog
import trio

from runtime import (
    INFINITE,
    Actor,
    Backoff,
    Call,
    ChildSpec,
    ExitReason,
    MailboxSpec,
    Strategy,
    Supervisor,
)
from runtime.jobs import JobsSpec, jobs_children
from runtime.journal import JOURNAL, Journal
from runtime.outbox import RELAY
from runtime.outbox_relay import OutboxRelay
from runtime.ownership import Ownership
from runtime.registries import in_registry
from runtime.rotation import RotatingSecret
from runtime.storage import (
    CommitUnknown,
    Database,
    DatabaseHandle,
    Migrations,
    StorageError,
    StorageLocked,
    StorageUnavailable,
    migrate,
    open_database,
)
from runtime.storage.deadlines import within
from runtime.storage.measured import MeasuredDatabase
from runtime.storage.metrics import DatabaseMetrics
from runtime.storage.opening import CONNECTIONS
from supervisors.secrets import WatchedSecret, secrets_child

log = structlog.get_logger("loyalnest.platform")

DATABASE = "platform.database"
JOURNAL_CAPACITY = 8_192

SILENCE_S = 7.0
LONG_AGO_S = 10 * 365 * 86_400.0
"""A server that has not said that it stopped gets time to say that it lives: it may have been
without the database itself."""

CHECK_LIMIT_S = 5.0
"""For what is looked up before the database has its pipeline."""

TRIES = 20
TRY_AGAIN_S = 0.5
"""For a database server that is away when the program starts."""

PLATFORM_INTENSITY = 5
PLATFORM_PERIOD_S = 30.0


@attrs.frozen
class DatabaseSpec:
    """Where the data is. `connections` is the most that PostgreSQL is asked for.

    Without `takes_over` it is refused to open a store that another process serves from.
    `opener` is another way to the store, as simulations have it.
    """

    url: str | RotatingSecret = attrs.field(repr=False)
    connections: int = CONNECTIONS
    takes_over: bool = True
    opener: Callable[..., Awaitable[Database]] = open_database


@attrs.frozen
class Announce(Call[None]):
    """To `DATABASE`: tell other processes where this one serves, or (None) that it does not."""

    address: str | None


class DatabaseKeeper(Actor):
    """Opens the database, brings its schema up to date, and closes it at the end.

    A server that is away at first is waited for. Later it may come and go.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError,)

    def __init__(
        self,
        spec: DatabaseSpec,
        handle: DatabaseHandle,
        migrations: Sequence[Migrations],
        ownership: Ownership,
    ) -> None:
        self._spec = spec
        self._ownership = ownership
        self._handle = handle
        self._migrations = migrations
        self._database: Database | None = None

    async def started(self) -> None:
        database = await self._spec.opener(self._spec.url, connections=self._spec.connections)
        try:
            applied = await self._migrate(database)
            await self._check_free(database)
            with within(CHECK_LIMIT_S):
                await _check_role(database)
        except BaseException:
            await database.close()
            raise
        self._database = database
        metrics = in_registry(self.system.metrics.registry, DatabaseMetrics)
        self._handle.attach(MeasuredDatabase(database, metrics, self.system.tracing))
        self.start_task(database.attend)
        if applied:
            log.info("schema_migrated", applied=applied)

    async def _migrate(self, database: Database) -> list[str]:
        """Raises `StorageUnavailable` when the server has not come after `TRIES`.

        What was cut off is looked at again: it is there or not, and not applied twice.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                return await migrate(database, self._migrations, self.system.clock.now())
            except (StorageUnavailable, CommitUnknown) as error:
                if not tries_left:
                    raise
                if tries_left == TRIES - 1:
                    log.warning("waiting_for_database", error=str(error))
            await trio.sleep(TRY_AGAIN_S)
        raise AssertionError("unreachable")

    async def _check_free(self, database: Database) -> None:
        if self._spec.takes_over:
            return
        with within(CHECK_LIMIT_S):
            address = await database.announced()
            silent = address is None and await database.announced(LONG_AGO_S) is not None
        if silent:
            log.info("waiting_for_the_server_to_say_that_it_lives")
            await trio.sleep(SILENCE_S)
            with within(CHECK_LIMIT_S):
                address = await database.announced()
        if address is not None:
            raise StorageLocked("the database", None, address)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Announce):
            return await super().receive(message)
        owner = self._ownership.owner
        if self._database is not None and owner is not None:
            await self._handle.announce(message.address, owner)
        return None

    async def stopped(self, reason: ExitReason) -> None:
        self._handle.detach()
        if self._database is not None:
            await self._database.close()


async def _check_role(database: Database) -> None:
    """A login that may not work as the application is no outage. Raises `StorageError`."""
    try:
        await database.fetch_value("SELECT 1")
    except StorageUnavailable as error:
        if type(error.__cause__) is StorageError:
            raise error.__cause__ from error
        raise


def platform(
    spec: DatabaseSpec,
    handle: DatabaseHandle,
    migrations: Sequence[Migrations],
    subscriptions: Mapping[str, Sequence[str]] | None,
    ownership: Ownership,
    cache: ChildSpec,
    jobs: JobsSpec | None = None,
    secrets: Sequence[WatchedSecret] = (),
) -> Supervisor:
    """rest_for_one: what stands on a failed part restarts with it.

    `ownership` belongs to the process, and outlives the journals that write under it. Without
    `subscriptions` the relay is in another process.
    """
    return Supervisor(
        (
            ChildSpec(
                "database",
                lambda: DatabaseKeeper(spec, handle, migrations, ownership),
                name=DATABASE,
                shutdown_s=10.0,
                start_timeout_s=INFINITE,
            ),
            ChildSpec(
                "journal",
                lambda: Journal(handle, ownership),
                name=JOURNAL,
                mailbox=MailboxSpec(capacity=JOURNAL_CAPACITY),
                shutdown_s=10.0,
            ),
            *(() if subscriptions is None else (_relay(handle, subscriptions, ownership),)),
            cache,
            *jobs_children(handle.share("jobs"), jobs or JobsSpec(), ownership),
            *((secrets_child(secrets),) if secrets else ()),
        ),
        strategy=Strategy.REST_FOR_ONE,
        intensity=PLATFORM_INTENSITY,
        period_s=PLATFORM_PERIOD_S,
        backoff=Backoff(),
    )


def _relay(
    handle: DatabaseHandle, subscriptions: Mapping[str, Sequence[str]], ownership: Ownership
) -> ChildSpec:
    return ChildSpec("relay", lambda: OutboxRelay(handle, subscriptions, ownership), name=RELAY)
