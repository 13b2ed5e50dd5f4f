"""Two shards: accounts in one, their clients and the orders in the other, and a network between."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

import attrs
import trio

from runtime import Actor, ActorError, Call, Cast, ChildSpec, Outcome
from runtime.context import time_left_s
from runtime.journal import JOURNAL, Append
from runtime.links import Links
from runtime.parking import monotonic
from runtime.sim import (
    CHANCES,
    LINK_CHANCES,
    LINK_TROUBLES,
    TROUBLES,
    FaultSpec,
    Findings,
    Life,
    Operation,
    Run,
    World,
)
from runtime.sim.system import SimulatedSystem
from runtime.storage import TakenOver
from supervisors.application import DOMAINS
from supervisors.simulation.orders import Orders
from supervisors.simulation.parts import (
    ApplicationScenario,
    Part,
    put_back_dead_events,
    start_again,
)
from supervisors.simulation.points import Points
from supervisors.simulation.sharded_tree import FRONT, LEDGER, LIMITS, ShardedTree, wire_types
from supervisors.simulation.tree import CORE_ACTORS, PLATFORM_ACTORS, POINTS_ACTORS

RECORDER = "simulated.recorder"

LATE_S = 0.02
"""An ask may end so long after its deadline."""

ONCE, IN_ORDER, OWN_ANSWER, HONEST, IN_TIME, BOUNDED = (
    "at most once over links",
    "order over links",
    "answers belong to their asks",
    "not delivered is not delivered",
    "asks over links end by their deadlines",
    "bounds of links",
)


@attrs.frozen
class Number(Call[int]):
    """Answered with itself after a while."""

    sender: str
    number: int
    takes_s: float


@attrs.frozen
class Told(Cast):
    sender: str
    number: int


class Recorder(Actor):
    """Takes down the numbers that arrive; each is sent once, and those of a sender go up."""

    def __init__(self, taken: dict[int, str], findings: Findings) -> None:
        self._taken = taken
        self._findings = findings
        self._last: dict[str, int] = defaultdict(int)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Number | Told):
            return await super().receive(message)
        sender, number = message.sender, message.number
        before, last = self._taken.get(number), self._last[sender]
        self._findings.check(before is None, ONCE, f"{number} of {sender} again, as by {before}")
        self._findings.check(number > last, IN_ORDER, f"{number} of {sender} after {last}")
        self._taken[number] = sender
        self._last[sender] = number
        if isinstance(message, Told):
            return None
        await trio.sleep(message.takes_s)
        return number


@attrs.frozen
class SendNumbers(Operation):
    """Some are told, the last one is asked for."""

    told: int
    takes_s: float

    def __str__(self) -> str:
        return f"tell {self.told} numbers, ask one that takes {self.takes_s:g} s"


class Numbers(Part):
    """Clients that send numbers to the other shard, and look at what is known of them.

    Each is a sender of its own: of two that wait for room at the same time either may be first.
    """

    operations: ClassVar[tuple[type[Operation], ...]] = (SendNumbers,)

    def __init__(self) -> None:
        self.taken: dict[int, str] = {}
        self._undelivered: dict[int, str] = {}
        self._last = 0
        self._senders = 0

    def draw(self, random: Random) -> Operation:
        takes_s = random.choice((0.0, 0.0, 0.02, 0.5, 4.0)) * random.uniform(0.0, 1.0)
        return SendNumbers(random.choice((0, 1, 3, 12)), round(takes_s, 3))

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, SendNumbers):
            raise TypeError(operation)
        self._senders += 1
        sender = f"sender {self._senders}"
        for _ in range(3):
            answered = await run.ask(lambda system: self._send(run, system, sender, operation))
            if answered is not None:
                return

    async def _send(
        self, run: Run, system: SimulatedSystem, sender: str, operation: SendNumbers
    ) -> bool:
        ref = system.ref(RECORDER)
        for _ in range(operation.told):
            ref.tell(Told(sender, self._next()))
        number, until = self._next(), monotonic() + time_left_s()
        try:
            answer = await ref.ask(Number(sender, number, operation.takes_s))
        except ActorError as error:
            if error.outcome is Outcome.NOT_DELIVERED:
                self._undelivered[number] = type(error).__name__
            raise
        finally:
            late_s = monotonic() - until
            run.findings.check(late_s <= LATE_S, IN_TIME, f"{number} ended {late_s:.3f} s late")
        run.findings.check(answer == number, OWN_ANSWER, f"{answer} instead of {number}")
        return True

    def _next(self) -> int:
        self._last += 1
        return self._last

    async def check(self, run: Run) -> None:
        for number, error in self._undelivered.items():
            there = number in self.taken
            run.findings.check(not there, HONEST, f"{number} arrived, and was {error}")


class ShardsScenario(ApplicationScenario):
    """Accounts and orders in different shards, whose links break in every way."""

    name = "shards"
    parts = (Points, Orders, Numbers)
    shards = (FRONT, LEDGER)
    operations = 45
    faults = FaultSpec(
        targets=(*PLATFORM_ACTORS, *CORE_ACTORS, *POINTS_ACTORS, "links", RECORDER),
        shards=(FRONT, LEDGER),
        troubles=(*TROUBLES, *LINK_TROUBLES, *LINK_TROUBLES),
        chances=(*CHANCES, *LINK_CHANCES, *LINK_CHANCES),
        events_max=8,
    )

    def __init__(self) -> None:
        super().__init__()
        (self._numbers,) = (part for part in self._parts if isinstance(part, Numbers))
        self._trees: ShardedTree | None = None

    def tree(self, world: World, life: Life) -> ChildSpec:
        def more(_life: Life) -> Sequence[ChildSpec]:
            taken = self._numbers.taken
            return (ChildSpec("recorder", lambda: Recorder(taken, world.findings), name=RECORDER),)

        if self._trees is None:
            self._trees = ShardedTree(wire_types(Number, Told), (RECORDER,), more)
        return self._trees.root(world, life)

    async def perform(self, run: Run, operation: Operation) -> None:
        try:
            await super().perform(run, operation)
        except (AttributeError, TypeError) as error:
            run.findings.add(OWN_ANSWER, f"{operation} got an answer of another type: {error}")

    async def recover(self, run: Run) -> None:
        """What gave up is started again by hand in both shards, and dead events are put back."""
        for service in run.services.values():
            system = await service.up()
            try:
                await system.ref(JOURNAL).ask(Append(()))
            except TakenOver:
                service.replace()
                return
            await start_again(system, DOMAINS)
            domains = ("core", "products", "campaign") if service.shard == FRONT else ("points",)
            for domain in domains:
                await start_again(system, f"domain.{domain}")
        await put_back_dead_events(await run.service.up())

    async def at_rest(self, run: Run) -> bool:
        links = self._links(run)
        for each in links:
            for statistics in each.statistics():
                self._check_bounds(run, statistics)
                if not statistics.up or statistics.outstanding or statistics.serving:
                    return False
        return await super().at_rest(run)

    def _links(self, run: Run) -> list[Links]:
        """Of the processes that run."""
        lives = [life for service in run.services.values() for life in service.lives]
        known = self._trees.links if self._trees is not None else {}
        return [known[life.name] for life in lives]

    def _check_bounds(self, run: Run, statistics: Any) -> None:
        bounded = max(statistics.outstanding, statistics.serving) <= LIMITS.window
        run.findings.check(bounded, BOUNDED, str(statistics))

    async def check(self, run: Run) -> None:
        await super().check(run)
        for links in self._links(run):
            for statistics in links.statistics():
                whole = statistics.credit > 3 * LIMITS.window // 4
                run.findings.check(whole, BOUNDED, f"credit is lost: {statistics}")
