"""Rows of imports made ready in a real process, and without one."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import attrs
import pytest
import trio
import trio.testing

from actors.core import preparers
from actors.core.cipher import DataKeys, Sealed, Vault, generated_keys, with_next_version
from actors.core.customer_queries import PUT_CONTACT
from actors.core.prepare_worker import request_of, steps_of
from actors.core.preparers import PREPARING, Preparers
from actors.core.preparing import Preparation, PreparedStep, PrepareRows
from runtime import ActorSystem, ChildSpec, Supervisor
from runtime.process_workers import worker_environment
from runtime.processes import WorkerProcess
from runtime.storage import unpacked
from tests.integration.gateway.helpers import eventually
from tests.integration.worker_processes import PATIENCE_S, ended, note_starts

pytestmark = pytest.mark.slow

MERCHANT = "shop"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = b"!,,,\n".join(b"c-%d,%s,c%d@example.com,yes\n" % (n, 99 * b"C", n) for n in range(40))
ROWS = PrepareRows(MERCHANT, "customer_id,name,email,email_consent", TEXT, 1, NOW, 1_000_000)
JUNK = (
    "import sys; w = sys.stdout.buffer; w.write(b'\\0\\0\\0\\5ready'); w.flush();"
    " sys.stdin.buffer.read(4); w.write(b'\\0\\0\\0\\4junk'); w.flush()"
)
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def preparing(vault: Vault) -> AsyncIterator[ActorSystem]:
    worker = ChildSpec("preparing", lambda: Preparers(vault), name=PREPARING)
    async with ActorSystem().run(ChildSpec("root", lambda: Supervisor((worker,)))) as system:
        yield system


async def prepared(system: ActorSystem) -> tuple[PreparedStep, ...]:
    return await system.ref(PREPARING).ask(ROWS, timeout_s=PATIENCE_S)


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were started."""
    monkeypatch.setattr(preparers, "LIMIT_S", PATIENCE_S)
    return note_starts(monkeypatch)


@pytest.fixture
def done_here(monkeypatch: pytest.MonkeyPatch) -> list[PrepareRows]:
    """What was made ready without a process."""
    found: list[PrepareRows] = []
    usual = preparers.prepared_here

    async def noted(
        system: ActorSystem, vault: Vault, message: PrepareRows
    ) -> tuple[PreparedStep, ...]:
        found.append(message)
        return await usual(system, vault, message)

    monkeypatch.setattr(preparers, "prepared_here", noted)
    return found


async def with_process(system: ActorSystem, pids: list[int]) -> None:
    """Wait for the next process."""
    count = len(pids)
    await prepared(system)

    async def there() -> bool:
        return len(pids) > count

    await eventually(there)
    await trio.testing.wait_all_tasks_blocked()


def unsealed(vault: Vault, steps: tuple[PreparedStep, ...]) -> list[object]:
    """All that is in the steps, with the addresses as the vault opens them, and the versions of
    the keys that sealed them."""
    shown: list[object] = []
    for step in steps:
        assert step.new is not None
        shown += [step.new.ids, step.new.claims, step.customers, step.lines, step.errors]
        for statement, row in unpacked(step.new.writes):
            values = list(row)
            if statement is PUT_CONTACT:
                sealed = Sealed(row[3], row[4])
                values[3] = vault.open(MERCHANT, row[2], sealed)
            shown.append(values)
    return [*shown, *((step.end, step.line) for step in steps)]


def counted(system: ActorSystem, where: str) -> float | None:
    """Rows that were made ready, by the metric."""
    name = "loyalnest_core_import_rows_prepared_total"
    return system.metrics.registry.get_sample_value(name, {"where": where})


def here(vault: Vault) -> tuple[PreparedStep, ...]:
    return tuple(Preparation(vault, Random(1), MERCHANT, NOW).steps(ROWS))


async def test_a_process_makes_rows_ready_as_this_one_does(
    pids: list[int], done_here: list[PrepareRows]
) -> None:
    vault = Vault(generated_keys())
    async with preparing(vault) as system:
        await with_process(system, pids)
        steps = await prepared(system)
        assert unsealed(vault, steps) == unsealed(vault, here(vault))
        again = await prepared(system)
        assert [step.new for step in again] != [step.new for step in steps], "a nonce came twice"
        rows = TEXT.count(b"\n")
        assert counted(system, "here") == rows
        assert counted(system, "beside") == 2 * rows
    assert len(pids) == 1
    assert done_here == [ROWS]


async def test_the_last_rows_are_made_ready_here(
    pids: list[int], done_here: list[PrepareRows]
) -> None:
    vault = Vault(generated_keys())
    few = attrs.evolve(ROWS, behind_bytes=10_000)
    async with preparing(vault) as system:
        for _ in range(3):
            await system.ref(PREPARING).ask(few, timeout_s=PATIENCE_S)
    assert done_here == [few, few, few]
    assert pids == []


async def test_another_key_seals_from_the_next_rows_on(
    pids: list[int], done_here: list[PrepareRows]
) -> None:
    first = generated_keys()
    vault = Vault(first)
    async with preparing(vault) as system:
        await with_process(system, pids)
        vault.replace(with_next_version(first))
        steps = await prepared(system)
    assert unsealed(vault, steps) == unsealed(vault, here(vault))
    written = [write for step in steps if step.new for write in unpacked(step.new.writes)]
    sealed = [row for statement, row in written if statement is PUT_CONTACT]
    assert {version for *_, version, _ in sealed} == {2}
    assert len(done_here) == 1


async def test_a_process_that_is_killed_is_replaced(
    pids: list[int], done_here: list[PrepareRows]
) -> None:
    vault = Vault(generated_keys())
    async with preparing(vault) as system:
        for started in (1, 2):
            await with_process(system, pids)
            steps = await prepared(system)
            assert unsealed(vault, steps) == unsealed(vault, here(vault))
            assert len(pids) == len(done_here) == started
            os.kill(pids[-1], 9)
            await eventually(lambda: ended(pids[-1]))


async def test_a_process_that_is_killed_while_it_works_is_done_without(
    pids: list[int], done_here: list[PrepareRows]
) -> None:
    vault = Vault(generated_keys())
    async with preparing(vault) as system:
        await with_process(system, pids)
        os.kill(pids[0], signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill_in_a_moment, pids[0])
            steps = await prepared(system)
        assert unsealed(vault, steps) == unsealed(vault, here(vault))
        assert len(done_here) == 2
        await prepared(system)
        assert len(done_here) == 3
    assert len(pids) == 1


async def kill_in_a_moment(pid: int) -> None:
    await trio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "command",
    [
        ["./nothing-there"],
        [sys.executable, "-c", "pass"],
        [
            sys.executable,
            "-c",
            JUNK,
        ],
    ],
    ids=["not there", "ends at once", "answers junk"],
)
async def test_without_a_process_that_answers_rows_are_made_ready_here(
    command: list[str], monkeypatch: pytest.MonkeyPatch, pids: list[int]
) -> None:
    monkeypatch.setattr(preparers, "worker_command", lambda: command)
    vault = Vault(generated_keys())
    async with preparing(vault) as system:
        if JUNK in command:
            await with_process(system, pids)
        for _ in range(3):
            assert unsealed(vault, await prepared(system)) == unsealed(vault, here(vault))
            await trio.testing.wait_all_tasks_blocked(0.1)
    assert len(pids) == (JUNK in command)


async def test_the_program_itself_is_a_worker() -> None:
    """As the one-file program starts itself."""
    vault = Vault(generated_keys())
    command = [sys.executable, str(ROOT / "main.py"), "prepare-worker"]
    process = await WorkerProcess.start(command, worker_environment(os.environ))
    try:
        answer = await process.ask(request_of(ROWS, vault.sealing_keys), PATIENCE_S)
        assert unsealed(vault, steps_of(answer)) == unsealed(vault, here(vault))
    finally:
        await process.close()


def test_a_process_gets_only_the_key_that_seals() -> None:
    keys = with_next_version(generated_keys())
    assert Vault(keys).sealing_keys == DataKeys(keys.index, {2: keys.versions[2]})


def test_neither_keys_nor_people_are_shown() -> None:
    vault = Vault(generated_keys())
    (step, *_) = here(vault)
    for shown in (repr(ROWS), repr(step), repr(vault.sealing_keys)):
        assert "example.com" not in shown
        assert "b'" not in shown
