"""The nemesis: what is done to PostgreSQL, its network and the program, by a seeded schedule."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from random import Random

import attrs
import trio

from tests.integration.jepsen.workload import REASON
from tests.noise import noise
from tests.proxy import Direction, Proxy
from tests.servers import PostgresServer


class Fault(Enum):
    """One thing that goes wrong for a while."""

    KILL = "PostgreSQL is killed, and started again"
    FREEZE = "all its processes are frozen, and resumed"
    CUT = "connections are reset, and new ones refused"
    RESET = "connections are reset, and new ones pass"
    LOSE_WRITES = "no write arrives, and its connection is reset"
    LOSE_COMMITS = "no COMMIT arrives, and its connection is reset"
    LOSE_ANSWERS_TO_WRITES = "every write arrives, and its connection is reset before the answer"
    LOSE_ANSWERS_TO_COMMITS = "every COMMIT arrives, and its connection is reset before the answer"
    SILENCE = "a black hole, both ways"
    SILENCE_TO_SERVER = "nothing reaches the server"
    SILENCE_TO_PROGRAM = "nothing comes from the server"
    STRAND = "the connections of the moment are silent for ever"
    DELAY = "everything takes 50 ms longer, give or take 40"
    KILL_PROGRAM = "LoyalNest itself is killed, and started again"


OF_THE_DATABASE = tuple(fault for fault in Fault if fault is not Fault.KILL_PROGRAM)


RECOVERY_S = 10.0
LOOK_S = 0.05
HANGS_S = 60.0
WRITTEN = REASON.encode()
COMMIT = b"COMMIT"
"""A write is a transaction of its own where it is a single statement; else a COMMIT follows."""


@attrs.frozen
class Step:
    """Some calm, then a fault."""

    calm_s: float
    fault: Fault
    lasts_s: float

    def __str__(self) -> str:
        return f"{self.calm_s:.2f} s of calm, then for {self.lasts_s:.2f} s {self.fault.name}"


def once_each(random: Random, *, calm_s: float, lasts_s: float) -> list[Step]:
    """Every fault of the database once, in random order."""
    faults = random.sample(OF_THE_DATABASE, len(OF_THE_DATABASE))
    return [Step(calm_s, fault, lasts_s * _factor(random, fault)) for fault in faults]


def _factor(random: Random, fault: Fault) -> float:
    """Losing commits is worth most of the time: it leaves the most to find out."""
    return 2.5 if fault.name.startswith("LOSE") else random.uniform(0.5, 1.5)


def at_random(random: Random, duration_s: float) -> list[Step]:
    """Faults of every kind for so long, some of them longer than any deadline."""
    steps: list[Step] = []
    while sum(step.calm_s + step.lasts_s for step in steps) < duration_s:
        lasts_s = random.choice((random.uniform(0.05, 0.5), random.uniform(0.5, 6)))
        steps.append(Step(random.uniform(0.3, 3), random.choice(list(Fault)), lasts_s))
    return steps


@attrs.define(eq=False)
class Nemesis:
    """Does one step after another, each when clients are served again after the one before.

    `done` are those that were begun, `recoveries_s` how long clients then waited for service.
    """

    server: PostgresServer
    proxy: Proxy
    restart_program: Callable[[], Awaitable[None]]
    served: Callable[[], Awaitable[None]]
    done: list[Step] = attrs.field(factory=list)
    recoveries_s: list[float] = attrs.field(factory=list)

    async def run(self, steps: Sequence[Step]) -> None:
        """Everything is healed when it returns, and also when it is cancelled.

        Raises `AssertionError` when clients are not served `RECOVERY_S` after healing, and what
        the machine took from this process meanwhile.
        """
        try:
            for step in steps:
                await trio.sleep(step.calm_s)
                self.done.append(step)
                await self._afflict(step)
                async with noise() as machine:
                    healed_at = trio.current_time()
                    with trio.fail_after(HANGS_S):
                        await self.served()
                    self.recoveries_s.append(trio.current_time() - healed_at)
                assert self.recoveries_s[-1] <= RECOVERY_S + machine.lost_s, step
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._heal)

    async def _afflict(self, step: Step) -> None:
        if step.fault is Fault.KILL_PROGRAM:
            await self.restart_program()
            return
        trapped = self.proxy.statistics().trapped
        await trio.to_thread.run_sync(self._begin, step.fault)
        await trio.sleep(step.lasts_s)
        if step.fault.name.startswith("LOSE"):
            with trio.fail_after(HANGS_S):
                while self.proxy.statistics().trapped == trapped:  # noqa: ASYNC110 - a thread
                    await trio.sleep(LOOK_S)
        await trio.to_thread.run_sync(self._heal)

    def _begin(self, fault: Fault) -> None:
        proxy = self.proxy
        begin: dict[Fault, Callable[[], None]] = {
            Fault.KILL: self.server.kill,
            Fault.FREEZE: self.server.freeze_all,
            Fault.CUT: proxy.cut,
            Fault.RESET: proxy.reset,
            Fault.LOSE_WRITES: lambda: proxy.reset_at(WRITTEN, deliver=False),
            Fault.LOSE_COMMITS: lambda: proxy.reset_at(COMMIT, deliver=False),
            Fault.LOSE_ANSWERS_TO_WRITES: lambda: proxy.reset_at(WRITTEN, deliver=True),
            Fault.LOSE_ANSWERS_TO_COMMITS: lambda: proxy.reset_at(COMMIT, deliver=True),
            Fault.SILENCE: proxy.silence,
            Fault.SILENCE_TO_SERVER: lambda: proxy.silence(frozenset({Direction.TO_SERVER})),
            Fault.SILENCE_TO_PROGRAM: lambda: proxy.silence(frozenset({Direction.TO_CLIENT})),
            Fault.STRAND: proxy.strand,
            Fault.DELAY: lambda: proxy.delay(0.05, 0.04),
        }
        begin[fault]()

    def _heal(self) -> None:
        self.proxy.heal()
        self.server.resume_all()
        if self.server.process is None:
            self.server.start()
