"""Ten thousand slow jobs beside points writes: a queue holds up nobody but itself."""

import statistics
from collections.abc import Sequence
from itertools import count

import attrs
import trio

from gateway.messages import LISTENER, GetAddress
from runtime import ActorSystem
from runtime.jobs import (
    JOBS,
    Enqueue,
    Enqueued,
    Job,
    JobsSpec,
    NewJob,
    QueuePolicy,
)
from runtime.storage import Entry
from tests.bench.client import CONNECTIONS
from tests.bench.generator import Order, Second, Stream, Tally
from tests.bench.harness import Figure
from tests.bench.overload import earn_request, generate, overload_edge
from tests.bench.product import Product, with_product
from tests.bench.serving import owner_token

QUEUE = QueuePolicy(name="campaign", concurrency=32)
JOBS_COUNT = 10_000
JOB_S = 30.0
WRITES_PER_S = 150.0
MEASURED_S = 20.0
ENQUEUED_AT_ONCE = 200
RUNS = count(1)


@attrs.frozen
class Beside:
    """The writes of one run. `p99_ms` is the median of those of its seconds."""

    tally: Tally
    p99_ms: float


@attrs.frozen
class Compared:
    """Writes without and with the jobs; `running` jobs at the end, of `queued` and running."""

    before: Beside
    during: Beside
    running: int
    jobs: int

    @property
    def ratio(self) -> float:
        return self.during.p99_ms / self.before.p99_ms

    @property
    def rejected(self) -> int:
        tally = self.during.tally
        return tally.offered - tally.served


def bulkhead() -> list[Figure]:
    found = beside_jobs(JOBS_COUNT, MEASURED_S)
    return [
        Figure(
            f"p99 of earns beside {found.jobs:,} jobs that sleep {JOB_S:g} s, against without them "
            f"({found.rejected} rejected)",
            found.during.p99_ms,
            "ms",
            found.before.p99_ms,
            found.ratio,
            "ratio at most 1.2, none rejected",
            found.ratio <= 1.2 and not found.rejected,
        )
    ]


def beside_jobs(count: int, measured_s: float, rate: float = WRITES_PER_S) -> Compared:
    """Writes at `rate` a second, first without jobs and then beside so many of them."""
    asleep: list[Job] = []
    full = trio.Event()

    async def sleep(job: Job, _system: ActorSystem) -> Entry:
        asleep.append(job)
        if len(asleep) == QUEUE.concurrency:
            full.set()
        try:
            await trio.sleep(JOB_S)
        finally:
            asleep.remove(job)
        return Entry(())

    async def measure(product: Product) -> Compared:
        await writes(product, rate, 2.0)
        before = await writes(product, rate, measured_s)
        await enqueue(product.system, count)
        with trio.fail_after(JOB_S):
            await full.wait()
        during = await writes(product, rate, measured_s)
        return Compared(before, during, len(asleep), count)

    jobs = JobsSpec(queues=(QUEUE,), handlers={"campaign.sleep": sleep})
    return with_product(measure, customers=CONNECTIONS, edge=overload_edge, jobs=jobs)


async def writes(product: Product, rate: float, duration_s: float) -> Beside:
    address = await product.system.ref(LISTENER).ask(GetAddress())
    token = owner_token(product.system, product.directory)
    stream = Stream("writes", earn_request(token, next(RUNS)), (rate,))
    report = await generate(Order(address.port, (stream,), (duration_s,)))
    return Beside(report.tallies["writes"][0], usual_p99_ms(report.seconds["writes"]))


def usual_p99_ms(seconds: Sequence[Second]) -> float:
    """The median over the seconds, so that one hiccup of the machine is no trend."""
    return statistics.median(second.p99_ms for second in seconds if second.served)


async def enqueue(system: ActorSystem, count: int) -> None:
    room = trio.CapacityLimiter(ENQUEUED_AT_ONCE)

    async def one(number: int) -> None:
        async with room:
            job = NewJob(queue=QUEUE.name, name="campaign.sleep", payload={"number": number})
            if not isinstance(await system.ref(JOBS).ask(Enqueue(job)), Enqueued):
                raise TypeError("the queue is too small for this benchmark")

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
