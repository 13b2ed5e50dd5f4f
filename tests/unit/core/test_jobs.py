"""The domain's jobs in virtual time: interrupted imports, reconciliation, new keys, old files."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.core.cipher import Vault, with_next_version
from actors.core.import_jobs import RunImport
from actors.core.import_queries import IMPORT_QUEUE
from actors.core.importing.customers import CustomerRows
from actors.core.jobs import Forget, Reseal
from actors.core.messages import (
    CUSTOMERS,
    IMPORTS,
    QUERIES,
    AddPart,
    CancelImport,
    CreateCustomer,
    CreateImport,
    CustomerData,
    GetCustomer,
    GetImport,
    Import,
    ImportKind,
    ImportRows,
    ImportState,
    ListReconciliations,
    StartImport,
)
from actors.core.preparing import ROWS_A_STEP, STEPS_AT_ONCE, UpsertSteps
from actors.core.reconciling import SETTLED, Reconcile
from actors.core.records import order_entry
from runtime.foreground import PATIENCE_S
from runtime.jobs import Job, JobState, RetryAfter
from runtime.journal import JOURNAL, Append
from runtime.storage import AcrossMerchants, AnyEntry, Database, DatabaseHandle, Entry
from tests.stores import patient, patient_pipeline
from tests.trees import MERCHANT, START, Tree, data_keys, order, running_tree
from tests.virtual import run_virtually

pytestmark = [pytest.mark.trio(run=run_virtually), pytest.mark.slow]

ROWS = 1_000
LIMIT_S = 3_600.0
POLLS_MAX = 2_000


def job(name: str, **payload: Any) -> Job:
    return Job(
        merchant_id=MERCHANT,
        job_id="job_1",
        queue="q",
        name=name,
        key=None,
        unique_key=None,
        priority=0,
        payload=payload,
        trace_id=None,
        state=JobState.RUNNING,
        attempt=1,
        due_at=START,
        run_at=START,
        created_at=START,
        lease=1,
        worker="w",
        leased_until=None,
        finished_at=None,
        errors=(),
        history=(),
    )


async def vault() -> Vault:
    return Vault(await data_keys())


async def begun(
    tree: Tree,
    content: bytes,
    *,
    kind: ImportKind = ImportKind.CUSTOMERS,
    dry_run: bool = False,
) -> str:
    """An import, started."""
    await tree.create()
    imports = tree.system.ref(IMPORTS)
    wanted = CreateImport(merchant_id=MERCHANT, kind=kind, dry_run=dry_run, created_by="test")
    created = await imports.ask(wanted)
    assert isinstance(created, Import)
    assert isinstance(await imports.ask(AddPart(MERCHANT, created.import_id, 0, content)), Import)
    assert isinstance(await imports.ask(StartImport(MERCHANT, created.import_id)), Import)
    return created.import_id


async def shown(tree: Tree, import_id: str) -> Import:
    found = await tree.system.ref(IMPORTS).ask(GetImport(MERCHANT, import_id))
    assert found is not None
    return found


async def write(tree: Tree, entry: Entry) -> None:
    assert await tree.system.ref(JOURNAL).ask(Append(entry, publishes=True)) is None


CSV = b"customer_id,email\n" + b"".join(b"c-%d,c%d@example.com\n" % (n, n) for n in range(ROWS))


BALANCES = b"customer_id,points\n" + b"".join(b"c-%d,7\n" % n for n in range(ROWS))

ORDERS = b"order_id,customer_id,ordered_at,total\n" + b"".join(
    b"o-%d,c-%d,2026-02-01,10.00\n" % (n, n) for n in range(ROWS)
)

DRY = b"customer_id,email\nann,ann@example.com\nb,x\n"


async def run_to_the_end(tree: Tree, import_id: str) -> Import:
    """The import after a run of its job that nobody interrupts."""
    handler = RunImport(patient(tree.database), await vault())
    with trio.fail_after(LIMIT_S):
        entry = await handler(job("core.import", import_id=import_id), tree.system)
    await write(tree, entry)
    return await shown(tree, import_id)


async def interrupted(tree: Tree, import_id: str, times: int) -> None:
    """Runs that are broken off after some steps each."""
    handler = RunImport(patient(tree.database), await vault())
    ended = trio.Event()

    async def run() -> None:
        await handler(job("core.import", import_id=import_id), tree.system)
        ended.set()

    for _ in range(times):
        before = (await shown(tree, import_id)).rows.read
        with tree.system.foreground:  # so that time passes between the steps
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                for _ in range(POLLS_MAX):
                    if (await shown(tree, import_id)).rows.read >= before + 200:
                        break
                    await trio.sleep(PATIENCE_S)
                nursery.cancel_scope.cancel()
        assert not ended.is_set()


async def test_an_interrupted_import_counts_every_row_once() -> None:
    async with running_tree() as tree:
        import_id = await begun(tree, CSV)
        await interrupted(tree, import_id, times=3)
        done = await run_to_the_end(tree, import_id)
        assert (done.state, done.rows) == (ImportState.DONE, ImportRows(read=ROWS, new=ROWS))
        assert done.done_bytes == done.size_bytes == len(CSV)


def check(rows: ImportRows, new: int) -> None:
    """Each row was read once. A step that was broken off behind what it recorded finds that there,
    and calls it unchanged."""
    assert (rows.read, rows.new + rows.unchanged) == (ROWS, ROWS)
    assert new - ROWS_A_STEP <= rows.new <= new


async def test_interrupted_imports_of_balances_and_orders_take_effect_once() -> None:
    """The balances twice, as a second file of the same ones does nothing."""
    async with running_tree() as tree:
        await run_to_the_end(tree, await begun(tree, CSV))
        for new in (ROWS, 0):
            import_id = await begun(tree, BALANCES, kind=ImportKind.BALANCES)
            await interrupted(tree, import_id, times=1 if new else 0)
            check((await run_to_the_end(tree, import_id)).rows, new)
        import_id = await begun(tree, ORDERS, kind=ImportKind.ORDERS)
        await interrupted(tree, import_id, times=1)
        check((await run_to_the_end(tree, import_id)).rows, ROWS)
        orders = "SELECT COUNT(*), SUM(total_minor) FROM orders WHERE merchant_id = $1"
        assert tuple(*await tree.database.fetch(orders, MERCHANT)) == (ROWS, 1_000 * ROWS)
        assert (await tree.verify()).clean
        await tree.delivered()
        for number in (0, ROWS - 1):
            # The opening balance, and what an order of 10.00 earns by the rule of the house.
            assert (await tree.balance(f"c-{number}")).posted == 7 + 10


class Unpowered:
    """A store in memory that loses its power when it is to sync, `cuts` times, and with it all
    that was not synced."""

    def __init__(self, database: Any, cuts: int) -> None:
        self._database = database
        self._writer = database._database._writer
        self._unsynced = 0
        self.cuts = cuts

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        if not synchronous:
            self._writer.execute("SAVEPOINT unsynced")
            self._unsynced += 1
        elif self._unsynced and self.cuts:
            self.cuts -= 1
            self._end("ROLLBACK TO unsynced", "RELEASE unsynced")
        await self._database.append(entries)
        if synchronous:
            self._end("RELEASE unsynced")

    async def execute(self, sql: str, *values: Any) -> Any:
        rows = await self._database.execute(sql, *values)
        self._end("RELEASE unsynced")
        return rows

    def _end(self, *commands: str) -> None:
        for _ in range(self._unsynced):
            for command in commands:
                self._writer.execute(command)
        self._unsynced = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class UnpoweredHandle(DatabaseHandle):
    def __init__(self, cuts: int) -> None:
        super().__init__(patient_pipeline())
        self.cuts = cuts

    def attach(self, database: Database) -> None:
        self.store: Any = Unpowered(database, 0)
        super().attach(self.store)


@pytest.mark.parametrize("cuts", [1, 3])
async def test_steps_that_a_store_lost_with_its_power_are_done_again(cuts: int) -> None:
    """Clause J13: also the last ones, behind which the import would have ended."""
    handle = UnpoweredHandle(cuts)
    async with running_tree(handle=handle) as tree:
        import_id = await begun(tree, CSV)
        handler = RunImport(handle, await vault())
        handle.store.cuts = cuts
        runs = 0
        with trio.fail_after(LIMIT_S):
            while runs < 10:
                runs += 1
                try:
                    entry = await handler(job("core.import", import_id=import_id), tree.system)
                except RetryAfter:
                    continue
                break
        assert handle.store.cuts == 0
        assert runs > 1
        await write(tree, entry)
        done = await shown(tree, import_id)
        assert (done.state, done.rows) == (ImportState.DONE, ImportRows(read=ROWS, new=ROWS))
        count = await handle.fetch_value(
            AcrossMerchants("SELECT count(*) FROM customers WHERE customer_id LIKE 'c-%'")
        )
        assert count == ROWS


async def test_two_workers_of_one_import_do_not_count_twice() -> None:
    async with running_tree() as tree:
        import_id = await begun(tree, CSV)
        handler = RunImport(patient(tree.database), await vault())
        ended: list[Entry] = []

        async def work() -> None:
            try:
                ended.append(await handler(job("core.import", import_id=import_id), tree.system))
            except RetryAfter:
                ended.append(())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            nursery.start_soon(work)
        assert min(map(len, ended)) == 0
        assert (await shown(tree, import_id)).rows == ImportRows(read=ROWS, new=ROWS)


async def test_a_cancelled_import_stops_and_keeps_what_it_did() -> None:
    async with running_tree() as tree:
        import_id = await begun(tree, CSV)
        handler = RunImport(patient(tree.database), await vault())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(handler, job("core.import", import_id=import_id), tree.system)
            while not (await shown(tree, import_id)).rows.read:
                await wait_all_tasks_blocked()
            cancel = CancelImport(MERCHANT, import_id)
            assert isinstance(await tree.system.ref(IMPORTS).ask(cancel), Import)
        stopped = await shown(tree, import_id)
        assert stopped.state is ImportState.CANCELLED
        assert 0 < stopped.rows.read < ROWS


async def test_a_dry_run_creates_nobody() -> None:
    async with running_tree() as tree:
        import_id = await begun(
            tree, b"customer_id,email\nann,ann@example.com\nb,x\n", dry_run=True
        )
        handler = RunImport(patient(tree.database), await vault())
        await write(tree, await handler(job("core.import", import_id=import_id), tree.system))
        assert (await shown(tree, import_id)).rows == ImportRows(read=2, new=1, refused=1)
        assert await tree.system.ref(QUERIES).ask(GetCustomer(MERCHANT, "ann")) is None


async def test_an_order_that_lost_its_points_gets_them_by_the_next_day() -> None:
    async with running_tree() as tree:
        await tree.create()
        await tree.record([order("o-1", 500), order("o-2", 99)])
        await tree.delivered()
        written = order_entry(MERCHANT, order("o-3", 900), "ann", "ev_x", START)
        await write(tree, written[:2])
        earlier = "UPDATE orders SET recorded_at = $2 WHERE merchant_id = $1"
        await tree.database.execute(earlier, MERCHANT, START - 2 * SETTLED)
        handler = Reconcile(patient(tree.database))
        for looked_at, missing in ((3, 1), (0, 0)):
            await write(tree, await handler(job("core.reconcile"), tree.system))
            await tree.delivered()
            assert await reconciled(tree) == (looked_at, missing)
            assert (await tree.balance()).posted == 5 + 9
            await trio.sleep(1)


async def reconciled(tree: Tree) -> tuple[int, int]:
    """Orders looked at and missing, in the last run."""
    page = await tree.system.ref(QUERIES).ask(ListReconciliations(MERCHANT))
    assert not isinstance(page, str)
    latest: Any = page
    return latest.items[0].orders, latest.items[0].missing


async def test_old_seals_are_renewed_and_still_open() -> None:
    async with running_tree() as tree:
        await tree.create()
        create = CreateCustomer(MERCHANT, "ann", "Ann", email="ann@example.com")
        await tree.system.ref(CUSTOMERS).ask(create)
        keys = with_next_version(await data_keys())
        renewing = Vault(keys)
        await Reseal(patient(tree.database), renewing)(job("core.reseal"), tree.system)
        select = AcrossMerchants("SELECT sealed, key_version FROM customer_contacts")
        (row,) = await tree.database.fetch(select)
        assert row[1] == 2


async def test_finished_imports_are_forgotten_in_time() -> None:
    async with running_tree() as tree:
        await begun(tree, CSV)
        old = "UPDATE imports SET created_at = $2 WHERE merchant_id = $1"
        await tree.database.execute(old, MERCHANT, START - timedelta(days=31))
        await Forget(patient(tree.database))(job("core.forget"), tree.system)
        count = AcrossMerchants("SELECT count(*) FROM imports")
        assert await tree.database.fetch_value(count) == 0


@pytest.mark.parametrize("width", [40, 180])
async def test_a_dry_run_finds_two_rows_that_clash_within_a_batch(width: int) -> None:
    """However long the rows are."""
    rows = [b"c-%d,%s,c%d@example.com\n" % (n, b"C" * width, n) for n in range(96)]
    rows[95] = b"c-95,D,c0@example.com\n"
    async with running_tree() as tree:
        import_id = await begun(tree, b"customer_id,name,email\n" + b"".join(rows), dry_run=True)
        done = await run_to_the_end(tree, import_id)
        assert (done.rows.new, done.rows.refused) == (95, 1)


async def test_a_file_is_imported_again_and_changes_what_it_says_otherwise() -> None:
    changed = CSV.replace(b"c7@", b"seven@").replace(b"c777@", b"c7@")
    async with running_tree() as tree:
        await run_to_the_end(tree, await begun(tree, CSV))
        again = await run_to_the_end(tree, await begun(tree, CSV))
        assert again.rows == ImportRows(read=ROWS, unchanged=ROWS)
        done = await run_to_the_end(tree, await begun(tree, changed))
        assert done.rows == ImportRows(read=ROWS, changed=2, unchanged=ROWS - 2)


async def test_who_follows_a_refused_or_known_customer_is_looked_up_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise rows that were prepared as new are written as they are."""
    trusted: list[bool] = []

    def asked(*values: Any, **options: Any) -> UpsertSteps:
        trusted.append(options["trust"])
        return UpsertSteps(*values, **options)

    monkeypatch.setattr("actors.core.import_jobs.UpsertSteps", asked)
    at_once = ROWS_A_STEP * STEPS_AT_ONCE
    rows = [b"c-%d,c%d@example.com\n" % (n, n) for n in range(6 * at_once)]
    rows[at_once] = b"taken,c0@example.com\n"
    rows[3 * at_once] = rows[0]
    async with running_tree() as tree:
        done = await run_to_the_end(
            tree, await begun(tree, b"customer_id,email\n" + b"".join(rows))
        )
    assert (done.rows.new, done.rows.refused, done.rows.unchanged) == (6 * at_once - 2, 1, 1)
    assert trusted == [True, True, False, True, False, True]


async def test_rows_that_nobody_can_read_end_the_import_and_not_the_domain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = CustomerRows.parse

    def parse(self: CustomerRows, line: str) -> CustomerData:
        if line.startswith("c-500,"):
            raise RuntimeError("a bug")
        return usual(self, line)

    monkeypatch.setattr(CustomerRows, "parse", parse)
    async with running_tree() as tree:
        import_id = await begun(tree, CSV)
        handler = RunImport(patient(tree.database), await vault())
        attempt = job("core.import", import_id=import_id)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="a bug"):
                await handler(attempt, tree.system)
        last = attrs.evolve(attempt, attempt=IMPORT_QUEUE.attempts_max)
        await write(tree, await handler(last, tree.system))
        done = await shown(tree, import_id)
        failure = "something went wrong on our side"
        assert (done.state, done.failure) == (ImportState.FAILED, failure)
        assert 400 <= done.rows.new <= 500
