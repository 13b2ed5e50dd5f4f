"""The core domain's jobs: imports, webhooks, reconciliation, re-sealing, forgetting."""

from collections.abc import Sequence
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import attrs

from actors.core.cipher import Sealed, Vault
from actors.core.customer_queries import RESEAL_CONTACT, SELECT_OLD_CONTACTS
from actors.core.import_jobs import RunImport
from actors.core.import_queries import (
    DELETE_IMPORT,
    DELETE_IMPORT_ERRORS,
    IMPORT_QUEUE,
    RUN_IMPORT,
    SELECT_OLD_IMPORTS,
)
from actors.core.import_steps import DELETE_PARTS
from actors.core.integration_queries import (
    DELETE_RECEIPT,
    PROCESS_WEBHOOK,
    RESEAL_INTEGRATION,
    SECRET,
    SELECT_OLD_RECEIPTS,
    SELECT_OLD_SECRETS,
    WEBHOOK_QUEUE,
)
from actors.core.reconciling import (
    DAILY,
    RECONCILE,
    RECONCILE_ALL,
    SCHEDULED,
    Reconcile,
    ReconcileAll,
)
from actors.core.webhook_jobs import ProcessWebhook
from runtime.jobs import Daily, Job, JobsSpec, Schedule
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, Row, Write
from runtime.system import ActorSystem

RESEAL, FORGET = "core.reseal", "core.forget"

AT_ONCE = 200
STEPS_MAX = 500

IMPORTS_KEPT = timedelta(days=30)
RECEIPTS_KEPT = timedelta(days=60)
"""A webhook of the same id is recognised for so long."""


@attrs.frozen
class Reseal:
    """Seals again, with the newest key, what older ones sealed: after a few nights those are not
    needed any more."""

    database: Database
    vault: Vault

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        for _ in range(STEPS_MAX):
            version = self.vault.current
            contacts = await self.database.fetch(SELECT_OLD_CONTACTS, version, AT_ONCE)
            secrets = await self.database.fetch(SELECT_OLD_SECRETS, version, AT_ONCE)
            if not contacts and not secrets:
                break
            writes = [self._contact(system, row) for row in contacts]
            writes += [self._secret(system, row) for row in secrets]
            await append(system, writes)
        return ()

    def _contact(self, system: ActorSystem, row: Row) -> Write:
        merchant_id, customer_id, kind = row["merchant_id"], row["customer_id"], row["kind"]
        sealed = self._again(system, row, kind)
        key = (merchant_id, customer_id, kind)
        return Write(RESEAL_CONTACT, (*key, sealed.text, sealed.version, row["blind_index"]))

    def _secret(self, system: ActorSystem, row: Row) -> Write:
        sealed = self._again(system, row, SECRET)
        key = (row["merchant_id"], row["provider"], row["sealed"])
        return Write(RESEAL_INTEGRATION, (*key, sealed.text, sealed.version))

    def _again(self, system: ActorSystem, row: Row, purpose: str) -> Sealed:
        old = Sealed(row["sealed"], row["key_version"])
        text = self.vault.open(row["merchant_id"], purpose, old)
        return self.vault.seal(row["merchant_id"], purpose, text, system.random)


@attrs.frozen
class Forget:
    """Deletes imports and webhooks that are old enough."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        now = system.clock.now()
        for _ in range(STEPS_MAX):
            imports = await self.database.fetch(SELECT_OLD_IMPORTS, now - IMPORTS_KEPT, AT_ONCE)
            receipts = await self.database.fetch(SELECT_OLD_RECEIPTS, now - RECEIPTS_KEPT, AT_ONCE)
            if not imports and not receipts:
                break
            writes = [
                Write(statement, (row[0], row[1]))
                for row in imports
                for statement in (DELETE_PARTS, DELETE_IMPORT_ERRORS, DELETE_IMPORT)
            ]
            writes += [Write(DELETE_RECEIPT, (row[0], row[1], row[2])) for row in receipts]
            await append(system, writes)
        return ()


async def append(system: ActorSystem, writes: Sequence[Write]) -> None:
    """Write in the middle of a job. Raises what the journal does."""
    answer = await system.ref(JOURNAL).ask(Append(tuple(writes)))
    if isinstance(answer, Rejected):
        raise answer.violation


def _daily(name: str, job: str, at: time) -> Schedule:
    return Schedule(name=name, job=job, timing=Daily(at, ZoneInfo("UTC")), queue=SCHEDULED.name)


def core_jobs(database: Database, vault: Vault) -> JobsSpec:
    """Queues, handlers and schedules. `vault` is the one of the domain's children."""
    return JobsSpec(
        queues=(IMPORT_QUEUE, WEBHOOK_QUEUE, SCHEDULED),
        handlers={
            RUN_IMPORT: RunImport(database, vault),
            PROCESS_WEBHOOK: ProcessWebhook(database, vault),
            RECONCILE_ALL: ReconcileAll(database),
            RECONCILE: Reconcile(database),
            RESEAL: Reseal(database, vault),
            FORGET: Forget(database),
        },
        schedules=(
            DAILY,
            _daily("core.reseal", RESEAL, time(2, 20)),
            _daily("core.forget", FORGET, time(2, 40)),
        ),
    )
