"""The world of a simulation: everything outside of the processes, and the faults in it."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import trio

from runtime.ports import seeded_ports, seeded_random
from runtime.resting import HELD_MAX
from runtime.sim.cache import SimulatedCacheServer
from runtime.sim.chance import Luck
from runtime.sim.clock import SimulatedClock
from runtime.sim.disk import SimulatedDisk
from runtime.sim.findings import Findings
from runtime.sim.life import MAIN, Life
from runtime.sim.network import ProcessNetwork, VirtualNetwork
from runtime.sim.provider import SimulatedProvider
from runtime.sim.reality import EMPTY
from runtime.sim.store import SimulatedStore
from runtime.sim.trace import Trace
from runtime.storage.sqlite_templates import Schema


class World:
    """One store, one cache server, two disks, one wall clock, one provider, a network to the
    clients, and one between shards.

    Everything random in it follows from the seed: each part draws from a generator of its own, so
    that one that is used more often changes nothing for the others.
    """

    def __init__(
        self,
        seed: int,
        nursery: trio.Nursery,
        trace: Trace,
        findings: Findings,
        schema: Schema = EMPTY,
    ) -> None:
        self.seed = seed
        self.nursery = nursery
        self.trace = trace
        self.findings = findings
        self.clock = SimulatedClock()
        self.network = self._luck("network")
        self.cache = SimulatedCacheServer(self._luck("cache"), trace)
        self.disk = SimulatedDisk(self._luck("disk"), trace)
        self.spill = SimulatedDisk(self._luck("spill"), trace, "spill")
        self.provider = SimulatedProvider(self._luck("provider"), trace)
        self.store = SimulatedStore(nursery, self._luck("store"), trace, findings, schema)
        self.links = VirtualNetwork(self._luck("links"))
        self.cut_off = False
        self._lives = 0
        self._generations: Counter[str] = Counter()

    def random(self, name: str) -> Random:
        """A generator of its own for each name."""
        return seeded_random(f"{self.seed}/{name}")

    def _luck(self, name: str) -> Luck:
        return Luck(self.random(name), self.trace)

    def new_life(self, shard: str = MAIN) -> Life:
        """A process that is about to start. Its ports are its own, but for the wall clock. In
        every other one, actors rest whenever they can."""
        self._lives += 1
        self._generations[shard] += 1
        tasks_max = HELD_MAX if (self.seed + self._lives) % 2 else 0
        name = f"process-{self._lives}"
        ports = seeded_ports(f"{self.seed}/{name}", self.clock.start, self.clock)
        generation = self._generations[shard]
        return Life(name, ports, self.trace, self.findings, tasks_max, shard, generation)

    def network_of(self, life: Life) -> ProcessNetwork:
        """The links between shards, as one process reaches them."""
        return self.links.node(life.name, life.shard)

    def lucks(self) -> tuple[Luck, ...]:
        return (
            self.network,
            self.cache.luck,
            self.disk.luck,
            self.spill.luck,
            self.provider.luck,
            self.store.luck,
            self.links.luck,
        )

    def heal(self) -> None:
        """From now on nothing outside of the processes goes wrong."""
        self.trace.note("heals")
        for luck in self.lucks():
            luck.heal()
        self.clock.heal()
        self.links.heal()
        self.cut_off = False
        self.disk.broken = self.spill.broken = False
        self.cache.away = False
        self.store.away = False


@asynccontextmanager
async def world(
    seed: int, trace: Trace, findings: Findings, schema: Schema = EMPTY
) -> AsyncIterator[World]:
    """A world without faults, whose store begins with `schema`. Commits that are
    under way at the end of the block still happen."""
    async with trio.open_nursery() as nursery:
        outside = World(seed, nursery, trace, findings, schema)
        yield outside
    outside.store.real.end()
