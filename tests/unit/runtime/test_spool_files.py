"""What a file spool makes of torn ends, flipped bits, broken disks, and cancellation."""

import errno
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import attrs
import pytest
import trio
import trio.testing

from runtime.spool import FileSpool, SpoolFailed, SpoolLimits, SpoolStatistics
from runtime.spool.disk import Disk
from runtime.spool.framing import FRAME_BYTES, frame, records_in
from runtime.spool.marker import SLOT_BYTES, SLOT_OFFSETS

PAYLOADS = [b"first", b"second", b"third", b"the last one"]
FRAMES = [frame(number, text) for number, text in enumerate(PAYLOADS, 1)]
ONE_FILE = SpoolLimits()
A_FILE_EACH = SpoolLimits(segment_bytes=1)


@asynccontextmanager
async def opened(
    folder: Path, limits: SpoolLimits = ONE_FILE, disk: Disk | None = None
) -> AsyncIterator[FileSpool]:
    spool = await FileSpool.open(folder / "spool", limits, disk)
    try:
        yield spool
    finally:
        await spool.close()


async def found(folder: Path) -> tuple[list[bytes], SpoolStatistics]:
    """What one who opens it finds, and says of it. A record can be added afterwards."""
    async with opened(folder) as spool:
        payloads = [record.payload for record in await spool.read(0, 100)]
        statistics = spool.statistics()
        await spool.append([b"more"])
        assert [record.payload for record in await spool.read(0, 100)] == [*payloads, b"more"]
    return payloads, statistics


def plant(folder: Path, data: bytes, first: int = 1) -> Path:
    """A segment as a crash may have left it."""
    spool = folder / "spool"
    spool.mkdir(exist_ok=True)
    path = spool / f"{first:020}.spool"
    path.write_bytes(data)
    return path


def test_frames_are_found_in_any_rubble() -> None:
    data = b"rubble" + FRAMES[0] + FRAMES[1][:-1] + FRAMES[2] + b"\xf5rc1"
    assert [(each.sequence, each.payload) for each in records_in(data)] == [
        (1, b"first"),
        (3, b"third"),
    ]


@pytest.mark.parametrize("kept", range(len(FRAMES[3])))
async def test_an_end_that_is_torn_at_any_byte_is_cut(tmp_path: Path, kept: int) -> None:
    whole = b"".join(FRAMES[:3])
    path = plant(tmp_path, whole + FRAMES[3][:kept])
    async with opened(tmp_path) as spool:
        assert spool.statistics().cut_bytes == kept
        assert path.read_bytes() == whole
    payloads, statistics = await found(tmp_path)
    assert payloads == PAYLOADS[:3]
    assert (statistics.cut_bytes, statistics.lost) == (0, 0)


async def test_an_end_of_zeros_is_cut(tmp_path: Path) -> None:
    plant(tmp_path, FRAMES[0] + bytes(4096))
    payloads, statistics = await found(tmp_path)
    assert (payloads, statistics.cut_bytes) == (PAYLOADS[:1], 4096)


@pytest.mark.slow
@pytest.mark.parametrize("bit", [0, 7])
async def test_a_flipped_bit_costs_its_own_record_only(tmp_path: Path, bit: int) -> None:
    data = b"".join(FRAMES)
    ends = [sum(map(len, FRAMES[: at + 1])) for at in range(len(FRAMES))]
    for position in range(len(data)):
        folder = tmp_path / str(position)
        folder.mkdir()
        spoilt = bytearray(data)
        spoilt[position] ^= 1 << bit
        plant(folder, bytes(spoilt))
        hit = next(at for at, end in enumerate(ends) if position < end)
        payloads, statistics = await found(folder)
        assert payloads == [text for at, text in enumerate(PAYLOADS) if at != hit]
        at_the_end = hit == len(FRAMES) - 1
        assert statistics.lost == (0 if at_the_end else 1)
        assert statistics.cut_bytes == (len(FRAMES[hit]) if at_the_end else 0)


async def test_a_damaged_file_is_set_aside_and_not_removed(tmp_path: Path) -> None:
    path = plant(tmp_path, FRAMES[0] + b"?" * len(FRAMES[1]) + FRAMES[2])
    async with opened(tmp_path) as spool:
        size = spool.statistics().bytes
        await spool.acknowledge(3)
        assert spool.statistics().records == 0
        assert spool.statistics().bytes == size, "it still uses the disk"
    assert path.with_suffix(".damaged").exists()
    assert not path.exists()
    async with opened(tmp_path) as spool:
        assert (spool.statistics().bytes, spool.statistics().lost) == (size, 0)


async def test_a_file_that_is_missing_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, A_FILE_EACH) as spool:
        for text in PAYLOADS:
            await spool.append([text])
    files = sorted((tmp_path / "spool").glob("*.spool"))
    assert len(files) == 4
    files[0].unlink()
    files[2].unlink()
    payloads, statistics = await found(tmp_path)
    assert (payloads, statistics.lost) == ([b"second", b"the last one"], 2)


async def test_what_is_acknowledged_already_cannot_be_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.append(PAYLOADS)
        await spool.acknowledge(2)
    (path,) = (tmp_path / "spool").glob("*.spool")
    data = bytearray(path.read_bytes())
    data[len(FRAMES[0]) + 3] ^= 1
    path.write_bytes(data)
    payloads, statistics = await found(tmp_path)
    assert (payloads, statistics.lost) == (PAYLOADS[2:], 0)


@pytest.mark.parametrize("slot", [0, 1])
@pytest.mark.parametrize("byte", range(SLOT_BYTES))
async def test_a_torn_mark_leaves_the_one_before(tmp_path: Path, slot: int, byte: int) -> None:
    async with opened(tmp_path) as spool:
        await spool.append(PAYLOADS)
        await spool.acknowledge(1)
        await spool.acknowledge(2)
    path = tmp_path / "spool" / "acknowledged"
    data = bytearray(path.read_bytes())
    data[SLOT_OFFSETS[slot] + byte] ^= 1
    path.write_bytes(data)
    payloads, _ = await found(tmp_path)
    assert payloads in (PAYLOADS[1:], PAYLOADS[2:])


async def test_a_lost_mark_makes_everything_that_is_there_be_read_again(tmp_path: Path) -> None:
    async with opened(tmp_path, A_FILE_EACH) as spool:
        for text in PAYLOADS:
            await spool.append([text])
        await spool.acknowledge(2)
    (tmp_path / "spool" / "acknowledged").unlink()
    payloads, statistics = await found(tmp_path)
    assert (payloads, statistics.lost) == (PAYLOADS[2:], 0)


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.append(PAYLOADS)
        await spool.acknowledge(1)
        folder = tmp_path / "spool"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert modes.keys() == {"acknowledged", "spool.lock", f"{1:020}.spool"}


@attrs.define(eq=False)
class FailingDisk(Disk):
    """Fails the named calls with `code`; a write fails after `written` bytes."""

    failing: set[str] = attrs.field(factory=set)
    code: int = errno.EIO
    written: int = 0
    syncs: int = 0

    def _check(self, call: str) -> None:
        if call in self.failing:
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        self._check("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        if "write" in self.failing:
            super().write(descriptor, data[: self.written], offset)
        self._check("write")
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self._check("sync")
        self.syncs += 1
        super().sync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        self._check("truncate")
        super().truncate(descriptor, size)

    def read(self, path: Path, start: int = 0) -> bytes:
        self._check("read")
        return super().read(path, start)

    def remove(self, path: Path) -> None:
        self._check("remove")
        super().remove(path)


BROKEN = [
    {"create"},
    {"write"},
    {"sync"},
    {"sync", "truncate"},
    {"write", "truncate"},
    {"write", "sync", "truncate", "create"},
]


@pytest.mark.parametrize("failing", BROKEN, ids=lambda calls: "+".join(sorted(calls)))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("written", [0, 10, len(FRAMES[1])])
async def test_a_disk_that_fails_is_a_refusal_and_no_refused_record_is_found_later(
    tmp_path: Path, failing: set[str], code: int, written: int
) -> None:
    disk = FailingDisk(code=code, written=written)
    async with opened(tmp_path, A_FILE_EACH, disk) as spool:
        await spool.append([b"before"])
        for _ in range(3):
            disk.failing = failing
            with pytest.raises(SpoolFailed) as failure:
                await spool.append([b"refused"])
            assert os.strerror(code) in str(failure.value)
            disk.failing = set()
            await spool.append([b"after"])
        kept = [b"before", *[b"after"] * 3]
        assert [record.payload for record in await spool.read(0, 10)] == kept
        assert spool.statistics().refused_failed == 3
    payloads, statistics = await found(tmp_path)
    assert (payloads, statistics.lost) == (kept, 0)


@pytest.mark.parametrize("call", ["write", "sync"])
async def test_an_acknowledgement_that_fails_can_be_repeated(tmp_path: Path, call: str) -> None:
    disk = FailingDisk(written=5)
    async with opened(tmp_path, disk=disk) as spool:
        await spool.append(PAYLOADS)
        await spool.acknowledge(1)
        disk.failing = {call}
        with pytest.raises(SpoolFailed):
            await spool.acknowledge(3)
        assert spool.statistics().acknowledged == 1
        disk.failing = set()
        await spool.acknowledge(3)
    payloads, _ = await found(tmp_path)
    assert payloads == PAYLOADS[3:]


async def test_a_file_that_cannot_be_removed_goes_with_the_next_acknowledgement(
    tmp_path: Path,
) -> None:
    disk = FailingDisk()
    async with opened(tmp_path, A_FILE_EACH, disk) as spool:
        await spool.append([b"a"])
        await spool.append([b"b"])
        await spool.append([b"c"])
        disk.failing = {"remove"}
        await spool.acknowledge(1)
        assert spool.statistics().segments == 3
        disk.failing = set()
        await spool.acknowledge(2)
        assert spool.statistics().segments == 1


async def test_what_cannot_be_read_is_a_refusal(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with opened(tmp_path, disk=disk) as spool:
        await spool.append(PAYLOADS)
        disk.failing = {"read"}
        with pytest.raises(SpoolFailed):
            await spool.read(0, 1)
    with pytest.raises(SpoolFailed):
        await FileSpool.open(tmp_path / "spool", disk=disk)
    payloads, _ = await found(tmp_path)
    assert payloads == PAYLOADS


async def test_a_place_where_no_directory_can_be_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(SpoolFailed):
        await FileSpool.open(tmp_path / "spool")


@attrs.define(eq=False)
class HeldDisk(FailingDisk):
    """Holds the next sync until `go`."""

    hold: bool = False
    began: trio.Event = attrs.field(factory=trio.Event)
    go: Event = attrs.field(factory=Event)

    def sync(self, descriptor: int) -> None:
        if self.hold:
            self.hold = False
            trio.from_thread.run_sync(self.began.set)
            assert self.go.wait(60)
        super().sync(descriptor)


async def test_records_that_arrive_during_a_sync_share_the_next(tmp_path: Path) -> None:
    disk = HeldDisk()
    async with opened(tmp_path, disk=disk) as spool:
        await spool.append([b"warm"])
        syncs, disk.hold = disk.syncs, True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(spool.append, [b"slow"])
            await disk.began.wait()
            for number in range(30):
                nursery.start_soon(spool.append, [b"%d" % number])
            await trio.testing.wait_all_tasks_blocked()
            disk.go.set()
        assert disk.syncs == syncs + 2
        assert spool.statistics().appended == 32


async def test_one_cancelled_before_its_turn_is_not_written_and_one_in_hand_is(
    tmp_path: Path,
) -> None:
    disk = HeldDisk()
    cancelled: list[str] = []

    async def append(text: bytes, scope: trio.CancelScope) -> None:
        with scope:
            await spool.append([text])
            await trio.lowlevel.checkpoint()
        if scope.cancelled_caught:
            cancelled.append(text.decode())

    async with opened(tmp_path, disk=disk) as spool:
        await spool.append([b"warm"])
        disk.hold = True
        in_hand, waiting = trio.CancelScope(), trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(append, b"in hand", in_hand)
            await disk.began.wait()
            nursery.start_soon(append, b"waiting", waiting)
            nursery.start_soon(append, b"patient", trio.CancelScope())
            await trio.testing.wait_all_tasks_blocked()
            waiting.cancel()
            in_hand.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert cancelled == ["waiting"]
            disk.go.set()
        assert sorted(cancelled) == ["in hand", "waiting"]
    payloads, _ = await found(tmp_path)
    assert payloads == [b"warm", b"in hand", b"patient"]


async def test_a_follower_that_is_cancelled_waits_for_the_write_it_is_part_of(
    tmp_path: Path,
) -> None:
    disk = HeldDisk()
    async with opened(tmp_path, disk=disk) as spool:
        await spool.append([b"warm"])
        scope = trio.CancelScope()
        ended: list[bool] = []

        async def follower() -> None:
            with scope:
                await spool.append([b"follower"])
            ended.append(scope.cancelled_caught)

        async with trio.open_nursery() as nursery:
            async with spool._working:
                nursery.start_soon(spool.append, [b"leader"])
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(follower)
                await trio.testing.wait_all_tasks_blocked()
                disk.hold = True
            await disk.began.wait()
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert ended == []
            disk.go.set()
        assert ended == [True]
    payloads, _ = await found(tmp_path)
    assert payloads == [b"warm", b"leader", b"follower"]


async def test_the_bound_on_bytes_counts_those_that_wait(tmp_path: Path) -> None:
    size = len(b"12345") + FRAME_BYTES
    refused = 0

    async def append(spool: FileSpool) -> None:
        nonlocal refused
        try:
            await spool.append([b"12345"])
        except Exception:
            refused += 1

    async with opened(tmp_path, SpoolLimits(bytes_max=10 * size)) as spool:
        async with trio.open_nursery() as nursery:
            for _ in range(25):
                nursery.start_soon(append, spool)
        assert (refused, spool.statistics().refused_full) == (15, 15)
        assert spool.statistics().bytes == 10 * size
