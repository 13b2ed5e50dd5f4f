"""Flags in several processes, in virtual time: they agree soon, and outlive the stores."""

from pathlib import Path

import msgspec
import pytest
import trio

from actors.admin_features.book import STALE_S
from actors.admin_features.flag_file import FileInMemory, FileOnDisk
from actors.admin_features.keeper import LOOK_AGAIN_S, LOOK_EVERY_S, SHARED_KEY, SHARED_TTL_S
from actors.admin_features.messages import (
    FLAGS,
    KEEPER,
    EvaluateFlags,
    FlagHistory,
    KillFlag,
    OverrideFlag,
    Reason,
    Subject,
)
from actors.admin_features.queries import PLATFORM
from actors.vocabulary import Page, Refusal
from runtime import host
from runtime.outbox import OutboxEvent
from tests.integration.features.world import (
    Process,
    another_process,
    first_process,
    put,
    terms,
)
from tests.virtual import run_virtually

virtually = pytest.mark.trio(run=run_virtually)
SEEN_S = 2.0
CONVERGED_S = 5.0


def problems(process: Process, problem: str) -> float:
    registry = process.system.metrics.registry
    name = "loyalnest_flags_problems_total"
    return registry.get_sample_value(name, {"problem": problem}) or 0.0


async def seen_after_s(process: Process, value: int, limit_s: float) -> float:
    """How long until a process has the value."""
    started = trio.current_time()
    while process.value() != value:
        assert trio.current_time() - started <= limit_s, f"not within {limit_s} s"
        await trio.sleep(0.01)
    return trio.current_time() - started


@virtually
async def test_every_process_sees_each_of_a_hundred_changes_within_two_seconds() -> None:
    async with first_process() as first, another_process(first) as other:
        waits = []
        for version in range(100):
            await put(first, version, version)
            waits += [await seen_after_s(process, version, 4) for process in (first, other)]
            await trio.sleep(0.37)
        assert sorted(waits)[int(0.99 * len(waits))] <= SEEN_S


@virtually
async def test_lost_notices_are_made_up_for_soon_after_healing() -> None:
    """For 30 s the outbox tells somebody who does nothing, and the cache and the database are away
    for the other process."""
    async with (
        first_process(consumer="test.deaf") as first,
        another_process(first) as other,
    ):
        await put(first, 1, 0)
        await seen_after_s(other, 1, CONVERGED_S)
        cache, other.reader.away = first.cache._link.cache, True
        first.cache.detach()
        await put(first, 2, 1)
        await trio.sleep(30)
        assert (first.value(), other.value()) == (2, 1)
        assert cache is not None
        first.cache.attach(cache, first.system.metrics)
        other.reader.away = False
        await seen_after_s(other, 2, CONVERGED_S)


@virtually
async def test_changes_that_nobody_is_told_of_are_seen_within_five_seconds() -> None:
    """Whenever they looked last, also at a snapshot that was about to be outdated."""
    async with first_process() as one:
        await put(one, 0, 0)
        await trio.sleep(LOOK_EVERY_S / 2)
        async with another_process(one) as two:
            for version in range(2, 42):
                await change(one, version)
                changed_at = trio.current_time()
                for process in (one, two):
                    await seen_after_s(process, version, CONVERGED_S)
                assert trio.current_time() - changed_at <= CONVERGED_S
                await trio.sleep(0.37)


async def change(process: Process, version: int) -> None:
    """By somebody who tells nobody."""
    await process.reader._database.execute(
        "UPDATE admin_flags SET version = $3, definition = $4"
        " WHERE merchant_id = $1 AND flag_key = $2",
        PLATFORM,
        "some.flag",
        version,
        msgspec.to_builtins(terms(version)),
    )


@virtually
async def test_after_looks_in_vain_it_does_not_take_longer() -> None:
    async with first_process(consumer="test.deaf") as first, another_process(first) as other:
        for version in range(40):
            other.reader.away = True
            cache = first.cache._link.cache
            assert cache is not None
            first.cache.detach()
            await trio.sleep(LOOK_EVERY_S + 0.37)
            await put(first, version, version)
            first.cache.attach(cache, first.system.metrics)
            other.reader.away = False
            await seen_after_s(other, version, LOOK_AGAIN_S + SHARED_TTL_S + 0.1)


@virtually
async def test_a_process_that_is_told_of_changes_seldom_looks_for_them() -> None:
    async with first_process() as first:
        await trio.sleep(1)
        before = first.reader.reads
        await trio.sleep(60)
        assert first.reader.reads - before <= 15


@virtually
async def test_versions_never_go_back_whatever_the_cache_says() -> None:
    async with first_process() as first, another_process(first) as other:
        await put(first, 1, 0)
        await seen_after_s(other, 1, CONVERGED_S)
        old = await first.cache.get(SHARED_KEY)
        assert old is not None
        await put(first, 2, 1)
        await seen_after_s(other, 2, CONVERGED_S)
        for _ in range(20):
            await first.cache.set(SHARED_KEY, old, 60)
            await trio.sleep(LOOK_EVERY_S / 4)
            assert (first.value(), other.value()) == (2, 2)


@virtually
async def test_the_cache_may_be_away_and_the_database_is_asked_instead() -> None:
    async with first_process() as first, another_process(first) as other:
        first.cache.detach()
        await put(first, 1, 0)
        await seen_after_s(other, 1, LOOK_EVERY_S + SHARED_TTL_S)


@virtually
async def test_with_both_stores_dead_the_last_known_counts_and_then_the_default() -> None:
    async with first_process() as first:
        await put(first, 7, 0)
        await seen_after_s(first, 7, 4)
        first.reader.away = True
        first.cache.detach()
        await trio.sleep(STALE_S - 10)
        assert first.value() == 7
        await trio.sleep(20)
        assert first.value() == -1
        (found,) = await first.system.ref(KEEPER).ask(
            EvaluateFlags(("some.flag",), Subject(), only_exposed=False)
        )
        assert (found.value, found.reason) == (7, Reason.STALE)
        assert problems(first, "stores") > 100
        first.reader.away = False
        await seen_after_s(first, 7, CONVERGED_S)


@virtually
async def test_a_cold_start_without_stores_has_the_last_known_flags_of_the_disk() -> None:
    """As long as they are young enough; with nothing on the disk, or nonsense, the defaults."""
    async with first_process() as first:
        await put(first, 7, 0)
        await seen_after_s(first, 7, 4)
        await trio.sleep(1)
        kept = first.file
        assert isinstance(kept, FileInMemory)
        first.cache.detach()
        assert kept.data is not None
        torn, broken = FileInMemory(), FileInMemory()
        torn.data, broken.broken = kept.data[:-9], True
        for file, value, told in (
            (kept, 7, 0),
            (FileInMemory(), -1, 0),
            (torn, -1, 1),
            (broken, -1, 1),
        ):
            async with another_process(first, file=file, away=True) as cold:
                assert cold.value() == value
                assert problems(cold, "file") >= told
        await trio.sleep(STALE_S + 60)
        old = FileInMemory()
        old.data = torn.data + kept.data[-9:]
        async with another_process(first, file=old, away=True) as cold:
            assert cold.value() == -1


@virtually
async def test_a_flag_that_cannot_be_read_is_counted_and_the_others_go_on() -> None:
    async with first_process() as first:
        await put(first, 1, 0)
        await put(first, 5, 0, "other.flag")
        await first.reader._database.execute(
            "UPDATE admin_flags SET version = 2, definition = $3"
            " WHERE merchant_id = $1 AND flag_key = $2",
            PLATFORM,
            "some.flag",
            {"type": "integer", "default": "nonsense", "description": "x"},
        )
        await put(first, 6, 1, "other.flag")
        await trio.sleep(CONVERGED_S)
        assert (first.value(), first.value("other.flag")) == (1, 6)
        assert problems(first, "flag") > 0


@virtually
async def test_two_who_change_a_flag_at_once_do_not_undo_each_other() -> None:
    async with first_process() as first:
        await put(first, 1, 0)
        with pytest.raises(AssertionError, match="flag_conflict"):
            await put(first, 2, 0)
        event = OutboxEvent("-", "ev-x", "none", "none", {}, first.system.clock.now())
        killed = await first.system.ref(FLAGS).ask(KillFlag("some.flag", True, "ops", "x", event))
        assert not isinstance(killed, Refusal)
        assert (killed.version, killed.terms.killed) == (2, True)
        other = OutboxEvent("-", "ev-y", "none", "none", {}, first.system.clock.now())
        wrong = OverrideFlag("some.flag", "flora", "text", "ops", "x", other)
        refusal = await first.system.ref(FLAGS).ask(wrong)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "invalid_flag"
        history = await first.system.ref(FLAGS).ask(FlagHistory("some.flag"))
        assert isinstance(history, Page)
        told = [(each.version, each.terms.killed, each.changed_by) for each in history.items]
        assert told == [(2, True, "ops"), (1, False, "ops")]


@pytest.mark.trio(run=host.run)
async def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = FileOnDisk(tmp_path / "deep" / "flags.json")
    assert await file.read() is None
    await file.write(b"one")
    await file.write(b"two")
    assert await file.read() == b"two"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["flags.json"]
    assert terms(1).default == 1
