"""What every spool must do: the contract of `runtime.spool.port`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio

from runtime.spool import (
    FileSpool,
    MemoryDisk,
    MemorySpool,
    Spool,
    SpoolFailed,
    SpoolFull,
    SpoolLimits,
    SpoolLocked,
)
from runtime.spool.framing import FRAME_BYTES

Open = Callable[[SpoolLimits], Awaitable[Spool]]
Opened = Callable[..., AbstractAsyncContextManager[Spool]]

LIMITS = SpoolLimits(segment_bytes=200)
"""Small segments, so that most tests go through several."""


@pytest.fixture(params=["file", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens the same spool again and again, each time for a block."""
    disk = MemoryDisk()

    @asynccontextmanager
    async def block(limits: SpoolLimits = LIMITS) -> AsyncIterator[Spool]:
        spool: Spool
        if request.param == "file":
            spool = await FileSpool.open(tmp_path / "spool", limits)
        else:
            spool = await MemorySpool.open(disk, limits)
        try:
            yield spool
        finally:
            await spool.close()

    return block


def payload(number: int) -> bytes:
    return f"record {number} ".encode() * 4 + bytes([number % 256])


async def fill(spool: Spool, first: int, last: int) -> None:
    for number in range(first, last + 1):
        assert await spool.append([payload(number)]) == range(number, number + 1)


async def contents(spool: Spool, after: int = 0, page: int = 7) -> list[int]:
    """The sequences behind `after`, read in pages; every payload is checked."""
    sequences = []
    while records := await spool.read(after, page):
        for record in records:
            assert record.payload == payload(record.sequence)
            sequences.append(record.sequence)
        after = records[-1].sequence
    return sequences


async def test_what_was_appended_is_read_in_order(opened: Opened) -> None:
    async with opened() as spool:
        await fill(spool, 1, 40)
        assert await contents(spool) == list(range(1, 41))
        assert await contents(spool, after=33) == list(range(34, 41))
        assert await contents(spool, page=1) == list(range(1, 41))


async def test_any_bytes_come_back_as_they_were(opened: Opened) -> None:
    payloads = [b"", b"\0" * 50, b"\xf5rc1" * 9, bytes(range(256))]
    async with opened() as spool:
        assert await spool.append(payloads) == range(1, 5)
    async with opened() as spool:
        assert [record.payload for record in await spool.read(0, 10)] == payloads


async def test_a_page_ends_where_it_would_have_too_many_bytes(opened: Opened) -> None:
    async with opened() as spool:
        await fill(spool, 1, 30)
        size = len(payload(30))
        pages, after = [], 0
        while records := await spool.read(after, 100, bytes_max=3 * size):
            pages.append([record.sequence for record in records])
            after = records[-1].sequence
        assert [sequence for page in pages for sequence in page] == list(range(1, 31))
        assert {len(page) for page in pages[4:]} == {3}
        assert [record.sequence for record in await spool.read(8, 100, bytes_max=1)] == [9]


async def test_the_next_who_opens_it_finds_what_is_not_acknowledged(opened: Opened) -> None:
    async with opened() as spool:
        await fill(spool, 1, 30)
        await spool.acknowledge(17)
        assert await contents(spool) == list(range(18, 31))
    async with opened() as spool:
        assert await contents(spool) == list(range(18, 31))
        await fill(spool, 31, 33)
        assert await contents(spool) == list(range(18, 34))
        statistics = spool.statistics()
        assert (statistics.records, statistics.acknowledged) == (16, 17)
        assert (statistics.lost, statistics.cut_bytes) == (0, 0)


async def test_sequences_go_on_after_everything_was_acknowledged(opened: Opened) -> None:
    async with opened() as spool:
        await fill(spool, 1, 5)
        await spool.acknowledge(5)
        assert await contents(spool) == []
        await fill(spool, 6, 6)
        await spool.acknowledge(6)
    async with opened() as spool:
        await fill(spool, 7, 8)
        assert await contents(spool) == [7, 8]


async def test_an_acknowledgement_never_goes_back_nor_ahead(opened: Opened) -> None:
    async with opened() as spool:
        await fill(spool, 1, 4)
        await spool.acknowledge(3)
        await spool.acknowledge(1)
        assert await contents(spool) == [4]
        await spool.acknowledge(1_000)
        await fill(spool, 5, 5)
        assert await contents(spool) == [5]


async def test_several_records_are_written_together_or_not_at_all(opened: Opened) -> None:
    async with opened(SpoolLimits(records_max=5)) as spool:
        assert await spool.append([payload(1), payload(2), payload(3)]) == range(1, 4)
        with pytest.raises(SpoolFull):
            await spool.append([payload(4), payload(5), payload(6)])
        assert await contents(spool) == [1, 2, 3]
        assert spool.statistics().refused_full == 3
        await fill(spool, 4, 5)


async def test_one_that_is_full_takes_records_again_when_some_are_acknowledged(
    opened: Opened,
) -> None:
    size = len(payload(1)) + FRAME_BYTES
    async with opened(SpoolLimits(bytes_max=4 * size, segment_bytes=size)) as spool:
        await fill(spool, 1, 4)
        with pytest.raises(SpoolFull):
            await spool.append([payload(5)])
        await spool.acknowledge(2)
        await fill(spool, 5, 6)
        with pytest.raises(SpoolFull):
            await spool.append([payload(7)])
        assert await contents(spool) == [3, 4, 5, 6]


async def test_a_record_that_is_too_large_is_refused(opened: Opened) -> None:
    async with opened(SpoolLimits(record_bytes_max=10)) as spool:
        await spool.append([b"x" * 10])
        with pytest.raises(SpoolFull):
            await spool.append([b"x" * 11])


async def test_appends_at_the_same_time_all_get_sequences_of_their_own(opened: Opened) -> None:
    taken: dict[int, bytes] = {}

    async def append(spool: Spool, number: int) -> None:
        payloads = [payload(number), payload(number + 100)]
        sequences = await spool.append(payloads)
        taken.update(zip(sequences, payloads, strict=True))

    async with opened() as spool:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(append, spool, number)
        records = await spool.read(0, 1_000)
        assert dict(records) == taken
        assert [record.sequence for record in records] == list(range(1, 101))


async def test_a_second_one_is_kept_away_until_the_first_is_closed(opened: Opened) -> None:
    async with opened():
        with pytest.raises(SpoolLocked):
            async with opened():
                pass
    async with opened() as spool:
        await fill(spool, 1, 1)


async def test_one_that_is_closed_refuses(opened: Opened) -> None:
    async with opened() as spool:
        await fill(spool, 1, 1)
    await spool.close()
    with pytest.raises(SpoolFailed):
        await spool.append([b"late"])
    with pytest.raises(SpoolFailed):
        await spool.read(0, 1)
    with pytest.raises(SpoolFailed):
        await spool.acknowledge(1)
    async with opened() as spool:
        assert await contents(spool) == [1]


async def test_every_method_is_a_checkpoint(opened: Opened) -> None:
    async with opened() as spool:
        await fill(spool, 1, 2)
        for call in (
            lambda: spool.append([b"x"]),
            lambda: spool.read(0, 1),
            lambda: spool.acknowledge(1),
        ):
            with trio.CancelScope() as scope:
                scope.cancel()
                await call()
            assert scope.cancelled_caught
        assert await contents(spool) == [1, 2]
