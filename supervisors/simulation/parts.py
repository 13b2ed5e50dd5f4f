"""Scenarios of the application, put together from parts: one for each domain."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from random import Random
from typing import ClassVar

from actors.core.messages import (
    CUSTOMERS,
    MERCHANTS,
    CreateCustomer,
    CreatedCustomer,
    Merchant,
    RegisterMerchant,
)
from actors.outgoing.ports import Texter
from runtime import ChildSpec, ChildState, RestartChild, WhichChildren
from runtime.jobs import JOBS, JobsSpec, Leases, ListDeadLetters, PutBack, combined_jobs
from runtime.outbox import RELAY, ListDeadEvents, PutBackEvent
from runtime.sim import FaultSpec, Life, Operation, Run, Scenario, World
from runtime.storage import AcrossMerchants
from runtime.system import ActorSystem
from supervisors.application import DOMAINS, MIGRATIONS
from supervisors.simulation.tree import (
    DOMAIN_SUPERVISORS,
    TARGETS,
    replace_where_taken_over,
    simulated_application,
)

MERCHANT = "shop"
CURRENCY = "USD"
CUSTOMERS_THERE = ("ann", "bob", "cyd")
PASSERS_BY = "passer-by-"
"""What ids begin with that one part alone knows of."""

RETURNER = "returner"
"""A customer whose only points are those of orders that come back."""

COUNT_UNDELIVERED = AcrossMerchants(
    "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM late_deliveries)"
)
PLAYERS = ("gil", "hal")
"""Customers who do nothing but order, so that the badges they have earned are known."""

OF_OTHER_PARTS = frozenset({RETURNER, *PLAYERS})
"""Customers that the orders of single parts create."""

OPERATOR = "operator"

LATEST = (datetime(9999, 1, 1, tzinfo=UTC), "")
DEAD_JOBS_MAX = 100
"""Put back at once."""

LEASES = Leases(lease_s=9.0, heartbeat_s=3.0)
"""Shorter than in real life, so that the jobs of a crashed process come back soon."""


class Part(ABC):
    """What the clients of one domain do. `operations` are the classes of its operations, `tables`
    create what it keeps for itself in the store."""

    operations: ClassVar[tuple[type[Operation], ...]]
    tables: ClassVar[tuple[str, ...]] = ()
    hurries: ClassVar[bool] = False
    """Whether the jobs of a process that crashed have to be back soon."""
    puts_back_jobs: ClassVar[bool] = False
    """Whether dead jobs are to be put back."""

    def jobs(self, world: World) -> JobsSpec:
        """Queues and handlers that a process has for it."""
        return JobsSpec()

    def texter(self, world: World) -> Texter | None:
        """How a process sends texts, if this part has them sent."""
        return None

    async def prepare(self, run: Run) -> None:  # noqa: B027 - nothing is to be prepared
        """Before the faults begin; the merchant and its customers are there."""

    @abstractmethod
    def draw(self, random: Random) -> Operation: ...

    @abstractmethod
    async def perform(self, run: Run, operation: Operation) -> None:
        """See `Scenario`."""

    async def recover(self, run: Run) -> None:  # noqa: B027 - nobody has to do anything
        """See `Scenario`."""

    async def at_rest(self, run: Run) -> bool:
        """See `Scenario`. Events between domains are delivered."""
        return True

    @abstractmethod
    async def check(self, run: Run) -> None:
        """See `Scenario`."""


class ApplicationScenario(Scenario):
    """The whole application, used as its parts say."""

    parts: ClassVar[tuple[type[Part], ...]]
    faults: ClassVar[FaultSpec] = FaultSpec(targets=TARGETS)
    schema = MIGRATIONS

    def __init__(self) -> None:
        self._parts = [part() for part in self.parts]
        self.tables = [sql for part in self._parts for sql in part.tables]
        self._of = {kind: part for part in self._parts for kind in part.operations}

    def tree(self, world: World, life: Life) -> ChildSpec:
        specs = [part.jobs(world) for part in self._parts]
        hurry = any(spec.queues for spec in specs) or any(part.hurries for part in self._parts)
        leases = LEASES if hurry else Leases()
        jobs = combined_jobs(JobsSpec(leases=leases), *specs)
        texters = (part.texter(world) for part in self._parts)
        texter = next((each for each in texters if each is not None), None)
        return simulated_application(world, life, jobs, texter)

    def draw(self, random: Random) -> Operation:
        return random.choice(self._parts).draw(random)

    async def prepare(self, run: Run) -> None:
        system = await run.service.up()
        merchant = await system.ref(MERCHANTS).ask(RegisterMerchant(MERCHANT, "Shop", CURRENCY))
        run.findings.check(isinstance(merchant, Merchant), "prepared", str(merchant))
        for customer in CUSTOMERS_THERE:
            created = await system.ref(CUSTOMERS).ask(CreateCustomer(MERCHANT, customer, None))
            run.findings.check(isinstance(created, CreatedCustomer), "prepared", str(created))
        for part in self._parts:
            await part.prepare(run)

    async def perform(self, run: Run, operation: Operation) -> None:
        await self._of[type(operation)].perform(run, operation)

    async def recover(self, run: Run) -> None:
        """What gave up is started again by hand, and dead events and jobs are put back."""
        system = await run.service.up()
        if await replace_where_taken_over(run, system):
            return
        await start_again(system, DOMAINS)
        for domain in DOMAIN_SUPERVISORS:
            await start_again(system, domain)
        await put_back_dead_events(system)
        if any(part.puts_back_jobs for part in self._parts):
            await put_back_dead_jobs(system)
        for part in self._parts:
            await part.recover(run)

    async def at_rest(self, run: Run) -> bool:
        if await run.world.store.real.fetch_value(COUNT_UNDELIVERED):
            return False
        for part in self._parts:
            if not await part.at_rest(run):
                return False
        return True

    async def check(self, run: Run) -> None:
        for part in self._parts:
            await part.check(run)


async def start_again(system: ActorSystem, supervisor: str) -> None:
    """Those of its children that gave up."""
    ref = system.ref(supervisor)
    for child in await ref.ask(WhichChildren()):
        if child.state is ChildState.DOWN:
            await ref.ask(RestartChild(child.id), timeout_s=60)


async def put_back_dead_events(system: ActorSystem) -> None:
    """As an operator would when the trouble is over."""
    relay = system.ref(RELAY)
    for dead in await relay.ask(ListDeadEvents()):
        event = dead.event
        await relay.ask(
            PutBackEvent(event.merchant_id, dead.consumer, event.event_id, OPERATOR, "it is over")
        )


async def put_back_dead_jobs(system: ActorSystem) -> None:
    """As an operator would when the trouble is over."""
    desk = system.ref(JOBS)
    for job in await desk.ask(ListDeadLetters(LATEST, DEAD_JOBS_MAX)):
        await desk.ask(PutBack(job.job_id, OPERATOR, "it is over"))
