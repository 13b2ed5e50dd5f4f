"""The catalogue: what is written is read back, and old prices are seen for five seconds at most."""

from random import Random
from typing import ClassVar

import attrs
import trio

from actors.products.cached import PRODUCTS
from actors.products.messages import (
    CATALOGUE,
    QUERIES,
    GetProduct,
    Product,
    ProductKind,
    PutProducts,
)
from actors.products.messages import Written as PutAnswer
from actors.vocabulary import Refusal
from runtime.sim import Operation, Run, SimulatedSystem, Trouble
from runtime.sim.faults import FaultPlan
from supervisors.simulation.parts import CURRENCY, MERCHANT, ApplicationScenario, Part

SKUS = ("ROSE-12", "TULIP-6", "LILY-3")
STALE_S = PRODUCTS.shared_ttl_s + PRODUCTS.local_ttl_s
FRESH = "an old price is not read for long"
OWN_WRITES = "who writes reads it back"


@attrs.frozen
class Put(Operation):
    sku: str

    def __str__(self) -> str:
        return f"put the next price of {self.sku}"


@attrs.frozen
class Get(Operation):
    sku: str

    def __str__(self) -> str:
        return f"read the price of {self.sku}"


@attrs.frozen
class Written:
    """A price that a client was told is there, when, and by which process it was written."""

    price: int
    at: float
    process: str


class Products(Part):
    """Prices count up, so that the older of two is the lower one."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Put, Get)

    def __init__(self) -> None:
        self.asked: dict[str, int] = dict.fromkeys(SKUS, 0)
        self.written: dict[str, list[Written]] = {sku: [] for sku in SKUS}
        self._writing: dict[str, trio.Lock] = {sku: trio.Lock() for sku in SKUS}

    def draw(self, random: Random) -> Operation:
        sku = random.choice(SKUS)
        return Put(sku) if random.random() < 0.3 else Get(sku)

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case Put(sku):
                await self._put(run, sku)
            case Get(sku):
                await self._get(run, sku)

    async def _put(self, run: Run, sku: str) -> None:
        """One after another, as a repetition that comes late would put back the old price."""
        async with self._writing[sku]:
            self.asked[sku] += 1
            price = self.asked[sku]
            product = Product(sku, sku.title(), ProductKind.PACKAGE, price, CURRENCY)
            message = PutProducts(MERCHANT, (product,))
            by = ""

            async def put(system: SimulatedSystem) -> PutAnswer | Refusal:
                nonlocal by
                answer = await system.ref(CATALOGUE).ask(message)
                by = system.name
                return answer

            if await run.until_answered(put) is not None:
                self.written[sku].append(Written(price, trio.current_time(), by))

    async def _get(self, run: Run, sku: str) -> None:
        begun_at = trio.current_time()
        by = ""

        async def get(system: SimulatedSystem) -> tuple[Product | None]:
            nonlocal by
            answer = await system.ref(QUERIES).ask(GetProduct(MERCHANT, sku))
            by = system.name
            return (answer,)

        answers = await run.ask(get)
        if answers is None:
            return
        price = answers[0].price_minor if answers[0] is not None else 0
        run.findings.check(price <= self.asked[sku], "right answers", f"{sku} costs {price}")
        for written in self.written[sku]:
            if written.at <= begun_at - STALE_S:
                detail = f"{sku}: {price} was read, {written.price} was there since {written.at}"
                run.findings.check(price >= written.price, FRESH, detail)
            elif written.at <= begun_at and written.process == by and _cache_is_sound(run.plan):
                detail = f"{sku}: {by} wrote {written.price} and then read {price}"
                run.findings.check(price >= written.price, OWN_WRITES, detail)

    async def check(self, run: Run) -> None:
        """Everybody reads the last price."""
        await trio.sleep(STALE_S)
        system = await run.service.up()
        for sku, written in self.written.items():
            product = await system.ref(QUERIES).ask(GetProduct(MERCHANT, sku))
            price = product.price_minor if product is not None else 0
            if written:
                detail = f"{sku} costs {price}, written was {written[-1].price}"
                run.findings.check(price == written[-1].price, "nothing is lost", detail)


def _cache_is_sound(plan: FaultPlan) -> bool:
    """Whether what a process asks the cache to forget is forgotten, and by one process only."""
    unsound = {Trouble.CACHE_AWAY, Trouble.TAKEOVER, Trouble.KILL}
    return not plan.chances.cache_fails and not any(
        event.trouble in unsound for event in plan.events
    )


class ProductsScenario(ApplicationScenario):
    """The catalogue alone, with its cache."""

    name = "products"
    parts = (Products,)
