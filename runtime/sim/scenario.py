"""Scenarios: what clients do, and what must be true when everything has come to rest."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import ClassVar, TypeVar

import attrs
import trio

from runtime.child import ChildSpec
from runtime.sim.faults import FaultPlan, FaultSpec
from runtime.sim.findings import Findings
from runtime.sim.life import MAIN, Life
from runtime.sim.service import NoAnswer, Service
from runtime.sim.system import SimulatedSystem
from runtime.sim.world import World
from runtime.storage import Migrations

Answer = TypeVar("Answer")

TRIES_MAX = 200
TRY_AGAIN_S = (0.05, 1.5)


class Operation:
    """What a client does. A frozen attrs class whose text tells people what it is.

    What it refers to is not known when it is drawn, so it says "the third of those there are".
    """


@attrs.frozen(kw_only=True)
class Step:
    """An operation, by which client, and how long that one waits before it."""

    client: int
    pause_s: float
    operation: Operation

    def __str__(self) -> str:
        return f"client {self.client} after {self.pause_s:.3f} s: {self.operation}"


@attrs.define(eq=False)
class Run:
    """One run of a scenario, as the scenario sees it. `random` is for the clients' choices.

    `services` are the shards of the program; clients reach the first one.
    """

    world: World
    services: Mapping[str, Service]
    plan: FaultPlan
    random: Random
    _writes_seen: dict[str, int] = attrs.field(factory=dict)

    def is_news(self, check: str) -> bool:
        """Whether `check` asks for the first time, or the store was written to since."""
        writes = self.world.store.writes
        before, self._writes_seen[check] = self._writes_seen.get(check), writes
        return writes != before

    @property
    def findings(self) -> Findings:
        return self.world.findings

    @property
    def service(self) -> Service:
        """Where clients go."""
        return next(iter(self.services.values()))

    async def up(self) -> None:
        """Wait until all shards serve."""
        for service in self.services.values():
            await service.up()

    async def ask(self, send: Callable[[SimulatedSystem], Awaitable[Answer]]) -> Answer | None:
        """One request of a client; None when it does not know what became of it."""
        try:
            return await self.service.request(send)
        except NoAnswer:
            return None

    async def until_answered(
        self,
        send: Callable[[SimulatedSystem], Awaitable[Answer]],
        answered: Callable[[Answer], bool] = lambda _answer: True,
    ) -> Answer | None:
        """The same request again and again, until there is an answer that counts.

        None, and a finding, after `TRIES_MAX` tries.
        """
        for _ in range(TRIES_MAX):
            answer = await self.ask(send)
            if answer is not None and answered(answer):
                return answer
            await trio.sleep(self.random.uniform(*TRY_AGAIN_S))
        self.findings.add("answered at last", f"no answer in {TRIES_MAX} tries")
        return None


class Scenario(ABC):
    """Made anew for every run, so that it may keep what clients were answered.

    `clients` do `operations` together while the faults of a plan drawn from `faults` happen. The
    store has had the migrations of `schema`, which saves each run the time to apply them; what
    the program misses it applies as ever. `tables` are statements that create what the scenario
    keeps in there for itself. A program in several `shards` has a process for each of them, and
    clients reach the first.
    """

    name: ClassVar[str]
    clients: ClassVar[int] = 4
    operations: ClassVar[int] = 40
    shards: ClassVar[tuple[str, ...]] = (MAIN,)
    pauses_s: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.01, 0.1, 0.5, 2.0)
    faults: ClassVar[FaultSpec] = FaultSpec()
    schema: ClassVar[tuple[Migrations, ...]] = ()
    tables: Sequence[str] = ()

    @abstractmethod
    def tree(self, world: World, life: Life) -> ChildSpec:
        """The root of what a process runs, made for `life`: for its shard, if there are several."""

    @abstractmethod
    def draw(self, random: Random) -> Operation:
        """One operation. What fails is shrunk to the first choices, the lowest numbers, and what is
        only likely (`random.random() < 0.3`) does not happen, so that should be the simplest."""

    @abstractmethod
    async def perform(self, run: Run, operation: Operation) -> None:
        """Do it, as one client, until it is known what became of it."""

    @abstractmethod
    async def check(self, run: Run) -> None:
        """Compare what clients were answered with what is there. Adds findings."""

    async def prepare(self, run: Run) -> None:  # noqa: B027 - nothing is to be prepared
        """Before the faults begin."""

    async def recover(self, run: Run) -> None:  # noqa: B027 - nobody has to do anything
        """What operators do after the faults, such as starting again what had given up. They do
        it again and again until everything is at rest, also when it raises an error of the
        runtime."""

    async def at_rest(self, run: Run) -> bool:
        """Whether everything that was begun has ended."""
        return True

    def steps(self, random: Random) -> tuple[Step, ...]:
        """The operations of one run."""
        return tuple(self.step(random) for _ in range(self.operations))

    def step(self, random: Random) -> Step:
        """An operation, who does it and when."""
        client = random.randrange(self.clients)
        pause_s = random.choice(self.pauses_s) * random.uniform(0.0, 1.0)
        return Step(client=client, pause_s=round(pause_s, 4), operation=self.draw(random))


def of_client(steps: Sequence[Step], client: int) -> list[Step]:
    return [step for step in steps if step.client == client]
