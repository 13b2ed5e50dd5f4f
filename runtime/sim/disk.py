"""The simulated disk: what a process keeps beside the database, and what a crash leaves of it."""

from collections.abc import Sequence

import trio

from runtime.sim.chance import Luck
from runtime.sim.life import Life
from runtime.sim.trace import Trace
from runtime.spool import MemoryDisk, MemorySpool, Record, SpoolLimits, SpoolStatistics
from runtime.spool.port import NO_BOUND_BYTES

SYNC_S = (0.0005, 0.005)


class SimulatedDisk:
    """A disk of one machine. While `broken`, every write fails."""

    def __init__(self, luck: Luck, trace: Trace, name: str = "disk") -> None:
        self.luck = luck
        self.trace = trace
        self._name = name
        self.real = MemoryDisk()
        self._holder: Life | None = None

    @property
    def broken(self) -> bool:
        return self.real.broken

    @broken.setter
    def broken(self, broken: bool) -> None:
        self.real.broken = broken
        self.trace.note(self._name, "broken" if broken else "mended")

    async def open_spool(self, life: Life, limits: SpoolLimits | None = None) -> "SimulatedSpool":
        """Raises `SpoolLocked` while another process has it, `SpoolFailed` if broken."""
        spool = await MemorySpool.open(self.real, limits)
        self._holder = life
        return SimulatedSpool(spool, self, life)

    def released(self, life: Life) -> None:
        """The process is dead; a lock goes with its owner."""
        if self._holder is life:
            self.real.in_use = False


class SimulatedSpool:
    """See `runtime.spool.Spool`. A crash comes before a write, or between it and its answer."""

    def __init__(self, spool: MemorySpool, disk: SimulatedDisk, life: Life) -> None:
        self._spool = spool
        self._disk = disk
        self._life = life

    async def append(self, payloads: Sequence[bytes]) -> range:
        await trio.lowlevel.checkpoint()
        with self._life.protected():
            await self._disk.luck.takes(*SYNC_S)
            sequences = await self._spool.append(payloads)
            self._disk.trace.note("spooled", self._life.name, *sequences)
            await self._disk.luck.takes(*SYNC_S)
        return sequences

    async def read(self, after: int, limit: int, bytes_max: int = NO_BOUND_BYTES) -> list[Record]:
        return await self._spool.read(after, limit, bytes_max)

    async def acknowledge(self, through: int) -> None:
        await trio.lowlevel.checkpoint()
        with self._life.protected():
            await self._disk.luck.takes(*SYNC_S)
            await self._spool.acknowledge(through)
            self._disk.trace.note("unspooled", self._life.name, through)
            await self._disk.luck.takes(*SYNC_S)

    def statistics(self) -> SpoolStatistics:
        return self._spool.statistics()

    async def close(self) -> None:
        await self._spool.close()
