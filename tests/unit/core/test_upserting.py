"""Customers that come in the steps of an import: decided together, written one after another."""

from collections.abc import Iterable, Sequence
from random import Random

import attrs
import pytest
import trio

from actors.core import plans, quotas
from actors.core.cipher import Vault
from actors.core.customer_changes import Claim, Owners
from actors.core.customer_queries import INSERT_CUSTOMER, PUT_CONTACT
from actors.core.customer_store import CustomerStore
from actors.core.import_files import Slice
from actors.core.messages import (
    CUSTOMERS,
    IMPORTS,
    QUERIES,
    CreateImport,
    CustomerData,
    GetCustomer,
    GetImport,
    GetPlanUsage,
    Import,
    ImportKind,
    ImportStep,
    ListImportErrors,
    Plan,
    Upserted,
    UpsertStatus,
)
from actors.core.preparing import Preparation, PreparedStep, UpsertSteps
from actors.vocabulary import Page, Refusal
from runtime.cache import Cached
from runtime.journal import JOURNAL, Append
from runtime.storage import Statement, Superseded, Write
from tests.trees import MERCHANT, START, Tree, data_keys, running_tree
from tests.virtual import run_virtually

pytestmark = [pytest.mark.trio(run=run_virtually), pytest.mark.slow]

START_IMPORT = Statement(
    "test.start_import",
    "UPDATE imports SET state = 'running', size_bytes = 1000 WHERE merchant_id = $1",
    1,
)
LOOK_S = 0.001


async def begun(tree: Tree) -> str:
    """An import that runs, without a job."""
    await tree.create()
    wanted = CreateImport(
        merchant_id=MERCHANT, kind=ImportKind.CUSTOMERS, dry_run=False, created_by="test"
    )
    created = await tree.system.ref(IMPORTS).ask(wanted)
    assert isinstance(created, Import)
    await write(tree, Write(START_IMPORT, (MERCHANT,)))
    return created.import_id


async def write(tree: Tree, *writes: Write) -> None:
    assert await tree.system.ref(JOURNAL).ask(Append(writes)) is None


async def shown(tree: Tree, import_id: str) -> Import:
    found = await tree.system.ref(IMPORTS).ask(GetImport(MERCHANT, import_id))
    assert found is not None
    return found


async def first_step(tree: Tree, import_id: str) -> None:
    while not (await shown(tree, import_id)).rows.read:  # noqa: ASYNC110 - nobody tells of it
        await trio.sleep(LOOK_S)


def people(count: int) -> tuple[CustomerData, ...]:
    return tuple(
        CustomerData(customer_id=f"c-{n}", display_name=f"C {n}", email=f"c{n}@example.com")
        for n in range(count)
    )


def steps(import_id: str, count: int, *, of_rows: int, first: int = 0) -> tuple[ImportStep, ...]:
    return tuple(
        ImportStep(
            import_id=import_id,
            number=number,
            part=0,
            offset_bytes=10 * (number + 1),
            from_bytes=10 * number,
            done_bytes=10 * (number + 1),
            line=1 + of_rows * (number + 1),
            errors_max=3,
            lines=tuple(range(2 + of_rows * number, 2 + of_rows * (number + 1))),
        )
        for number in range(first, first + count)
    )


async def upsert(
    tree: Tree, data: Sequence[CustomerData], some: Sequence[ImportStep], *, trust: bool = True
) -> tuple[Upserted | Refusal, ...]:
    vault = Vault(await data_keys())
    preparation = Preparation(vault, Random(1), MERCHANT, tree.system.clock.now())
    prepared: list[tuple[ImportStep, PreparedStep]] = []
    for step in some:
        told, data = tuple(data[: len(step.lines)]), data[len(step.lines) :]
        read = Slice(told, step.lines, step.errors, step.offset_bytes, step.line)
        (ready,) = filter(None, preparation.parts_of(read))
        prepared.append((step, ready))
    command = UpsertSteps(MERCHANT, tuple(prepared), trust=trust)
    return await tree.system.ref(CUSTOMERS).ask(command, timeout_s=60.0)


async def test_a_step_that_somebody_else_got_in_between_of_is_decided_again() -> None:
    """The steps before it stay, those behind it follow, and each row is counted once."""
    async with running_tree() as tree:
        import_id = await begun(tree)
        results: list[Upserted | Refusal] = []

        async def work() -> None:
            results.extend(await upsert(tree, people(6), steps(import_id, 3, of_rows=2)))

        with tree.system.foreground:  # so that time passes between the steps
            async with trio.open_nursery() as nursery:
                nursery.start_soon(work)
                await first_step(tree, import_id)
                row = (MERCHANT, "c-2", "C 2", "c 2", START)
                await write(tree, Write(INSERT_CUSTOMER, row))
        statuses = [each.status for each in results if isinstance(each, Upserted)]
        created, changed = UpsertStatus.CREATED, UpsertStatus.CHANGED
        assert statuses == [created, created, changed, created, created, created]
        rows = (await shown(tree, import_id)).rows
        assert (rows.read, rows.new, rows.changed) == (6, 5, 1)


async def test_an_address_that_was_taken_meanwhile_is_an_error_of_its_row() -> None:
    index = Vault(await data_keys()).contact_index(MERCHANT, "email", "c3@example.com")
    async with running_tree() as tree:
        import_id = await begun(tree)
        results: list[Upserted | Refusal] = []

        async def work() -> None:
            results.extend(await upsert(tree, people(4), steps(import_id, 2, of_rows=2)))

        with tree.system.foreground:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(work)
                await first_step(tree, import_id)
                await write(
                    tree,
                    Write(INSERT_CUSTOMER, (MERCHANT, "x", None, None, START)),
                    Write(PUT_CONTACT, (MERCHANT, "x", "email", "sealed", 1, index)),
                )
        assert isinstance(results[3], Refusal)
        page = await tree.system.ref(IMPORTS).ask(ListImportErrors(MERCHANT, import_id))
        assert isinstance(page, Page)
        assert [error.line for error in page.items] == [5]


async def test_who_was_prepared_as_new_is_looked_up_only_where_the_tables_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []
    owners = CustomerStore.owners

    async def noted(store: CustomerStore, merchant_id: str, claims: Iterable[Claim]) -> Owners:
        asked = list(claims)
        looked.append(len(asked))
        return await owners(store, merchant_id, asked)

    monkeypatch.setattr(CustomerStore, "owners", noted)
    async with running_tree() as tree:
        import_id = await begun(tree)
        await upsert(tree, people(4), steps(import_id, 2, of_rows=2))
        assert looked == []
        await upsert(tree, people(8)[6:], steps(import_id, 1, of_rows=2, first=2), trust=False)
        assert len(looked) == 1
        looked.clear()
        results = await upsert(tree, people(6)[2:], steps(import_id, 2, of_rows=2, first=3))
        assert looked
        statuses = [each.status for each in results if isinstance(each, Upserted)]
        created, unchanged = UpsertStatus.CREATED, UpsertStatus.UNCHANGED
        assert statuses == [unchanged, unchanged, created, created]
        assert (await shown(tree, import_id)).rows.read == 10


async def test_a_step_that_was_done_is_told_and_those_behind_it_are_done_once() -> None:
    async with running_tree() as tree:
        import_id = await begun(tree)
        await upsert(tree, people(2), steps(import_id, 1, of_rows=2))
        for _ in range(2):
            with pytest.raises(Superseded):
                await upsert(tree, people(6), steps(import_id, 3, of_rows=2))
            rows = (await shown(tree, import_id)).rows
            assert (rows.read, rows.new) == (6, 6)


async def test_no_step_follows_one_of_others_that_ends_elsewhere() -> None:
    """Rows between the two would be forgotten, or done twice."""
    async with running_tree() as tree:
        import_id = await begun(tree)
        (longer,) = steps(import_id, 1, of_rows=2)
        await upsert(tree, people(2), [attrs.evolve(longer, done_bytes=11, offset_bytes=11)])
        with pytest.raises(Superseded):
            await upsert(tree, people(4), steps(import_id, 2, of_rows=2))
        assert (await shown(tree, import_id)).rows.read == 2


async def test_new_customers_are_taken_as_far_as_the_plan_has_room() -> None:
    limits = {**plans.LIMITS, Plan.UNLIMITED: plans.PlanLimits(5, None)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotas, "LIMITS", limits)
        async with running_tree() as tree:
            import_id = await begun(tree)
            before = (await tree.system.ref(QUERIES).ask(GetPlanUsage(MERCHANT))).quotas[0].used
            results = await upsert(tree, people(6), steps(import_id, 3, of_rows=2))
            room = 5 - before
            assert [isinstance(each, Upserted) for each in results] == [n < room for n in range(6)]
            rows = (await shown(tree, import_id)).rows
            assert (rows.new, rows.refused) == (room, 6 - room)


async def test_no_more_errors_are_kept_than_may_be_over_all_steps() -> None:
    async with running_tree() as tree:
        import_id = await begun(tree)
        wrong = tuple(CustomerData(customer_id="!", display_name=str(n)) for n in range(8))
        await upsert(tree, wrong, steps(import_id, 4, of_rows=2))
        page = await tree.system.ref(IMPORTS).ask(ListImportErrors(MERCHANT, import_id))
        assert isinstance(page, Page)
        assert [error.line for error in page.items] == [2, 3, 4]
        assert (await shown(tree, import_id)).rows.refused == 8


@pytest.fixture
def outdated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that caches were told to forget."""
    keys: list[str] = []
    outdate = Cached.outdate

    async def noted(self: Cached[object], *some: str) -> None:
        keys.extend(some)
        await outdate(self, *some)

    monkeypatch.setattr(Cached, "outdate", noted)
    return keys


async def test_caches_forget_whom_an_import_changes_and_never_knew_whom_it_creates(
    outdated: list[str],
) -> None:
    async with running_tree() as tree:
        import_id = await begun(tree)
        outdated.clear()
        await upsert(tree, people(2), steps(import_id, 1, of_rows=2))
        assert outdated == []
        assert (await named(tree, "c-1")) == "C 1"
        again = CustomerData(customer_id="c-1", display_name="Changed")
        await upsert(tree, (again, *people(4)[2:]), steps(import_id, 1, of_rows=3, first=1))
        assert outdated == [f"{MERCHANT}:c-1"]
        assert (await named(tree, "c-1")) == "Changed"


async def test_caches_forget_whom_an_import_creates_and_then_changes(outdated: list[str]) -> None:
    """Between the two somebody may have read it."""
    async with running_tree() as tree:
        import_id = await begun(tree)
        outdated.clear()
        again = CustomerData(customer_id="c-1", display_name="Changed")
        await upsert(tree, (*people(2), again, *people(1)), steps(import_id, 2, of_rows=2))
        assert outdated == [f"{MERCHANT}:c-1"]


async def named(tree: Tree, customer_id: str) -> str | None:
    found = await tree.system.ref(QUERIES).ask(GetCustomer(MERCHANT, customer_id))
    assert found is not None
    return found.display_name
