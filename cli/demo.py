"""The demo merchant: a flower shop with a year behind it, the same for the same day."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

import attrs
import trio

from actors.core.messages import (
    CUSTOMERS,
    MERCHANTS,
    ORDERS,
    QUERIES,
    Channel,
    CustomerData,
    GetMerchant,
    GetOrder,
    Merchant,
    Order,
    OrderLine,
    RecordOrders,
    RegisterMerchant,
    UpsertCustomers,
)
from actors.points.messages import INTAKE, ApplyBatch, BatchItem, Redeem
from actors.products.messages import CATALOGUE, Product, ProductKind, PutProducts
from actors.vocabulary import Idempotency, Refusal
from cli.errors import CommandFailed
from runtime import ActorSystem
from runtime.outbox import RELAY, GetBacklog

MERCHANT_ID = "demo"
NAME = "Bloom & Branch"
CURRENCY = "USD"
SEED = 20_240_214
CUSTOMERS_TOTAL = 60
SUBSCRIBERS = 9
SINGLE_ORDERS = 330
DAYS = 365
SILENT_EVERY = 6
ASK_TIMEOUT_S = 30.0
CREDIT_POLL_S = 0.02
CREDIT_POLLS = 1_500
REDEEM_STEP_POINTS = 50
REDEEM_LEAST_POINTS = 150

PACKAGES = (
    ("BOUQUET-MEADOW", "Wild meadow bouquet", 3900),
    ("BOUQUET-ROSES-12", "Twelve red roses", 5900),
    ("BOUQUET-ROSES-24", "Two dozen red roses", 9900),
    ("BOUQUET-TULIPS", "Spring tulips", 2900),
    ("BOUQUET-PEONIES", "Peonies in season", 6400),
    ("BOUQUET-SUNFLOWER", "Sunflowers and eucalyptus", 3450),
    ("BOUQUET-LILIES", "White lilies", 4450),
    ("ORCHID-POT", "Orchid in a clay pot", 4900),
    ("SUCCULENT-TRIO", "Three succulents", 2650),
    ("WREATH-WINTER", "Winter wreath", 5450),
    ("DRIED-LARGE", "Dried flowers, large", 4200),
)
SUBSCRIPTIONS = (
    ("SUB-WEEKLY", "Flowers every week", 10_900),
    ("SUB-FORTNIGHT", "Flowers every other week", 5900),
    ("SUB-MONTHLY", "Flowers every month", 3400),
    ("SUB-OFFICE", "Office flowers, monthly", 14_900),
)
GIVEN_NAMES = (
    "Ada", "Amara", "Anton", "Beatriz", "Caleb", "Chiara", "Daniel", "Elif", "Emeka", "Freya",
    "Goran", "Hana", "Imani", "Ines", "Jonas", "Kaito", "Leila", "Linnea", "Marek", "Mei",
    "Nadia", "Oscar", "Priya", "Rosa", "Samir", "Sofia", "Tomas", "Uma", "Viktor", "Yara",
)  # fmt: skip
FAMILY_NAMES = (
    "Adeyemi", "Almeida", "Bergman", "Castillo", "Dubois", "Eriksen", "Farouk", "Greco",
    "Haddad", "Ivanova", "Jansen", "Kowalski", "Lindgren", "Moreau", "Nakamura", "Okafor",
    "Petrov", "Quinn", "Rossi", "Sharma", "Tanaka", "Vargas", "Weber", "Yilmaz", "Zhang",
)  # fmt: skip


@attrs.frozen
class Shop:
    """Everything that happened in the shop in the year before `day`."""

    customers: tuple[tuple[str, str], ...]
    orders: tuple[Order, ...]

    @property
    def star(self) -> str:
        """The customer with the most orders."""
        ids = [order.customer_id for order in self.orders]
        return max(sorted(set(ids)), key=ids.count)


def products() -> tuple[Product, ...]:
    return tuple(
        Product(sku, name, kind, price, CURRENCY)
        for kind, rows in (
            (ProductKind.PACKAGE, PACKAGES),
            (ProductKind.SUBSCRIPTION, SUBSCRIPTIONS),
        )
        for sku, name, price in rows
    )


def shop_before(day: date) -> Shop:
    """The shop's customers and orders; the same `day` gives the same shop."""
    rng = random.Random(SEED)  # noqa: S311 - the same shop every time
    customers = tuple(_customers(rng))
    sales = sorted([*_single_sales(rng, day, customers), *_subscription_sales(rng, day, customers)])
    orders = tuple(
        _order(f"BB-{1001 + number}", customer_id, ordered_at, lines)
        for number, (ordered_at, customer_id, lines) in enumerate(sales)
    )
    return Shop(customers, orders)


_Sale = tuple[datetime, str, tuple[tuple[str, int, int], ...]]
"""When, who, and what: SKU, quantity, unit price."""


def _customers(rng: random.Random) -> Iterator[tuple[str, str]]:
    names = [f"{given} {family}" for given in GIVEN_NAMES for family in FAMILY_NAMES]
    for number, name in enumerate(rng.sample(names, CUSTOMERS_TOTAL)):
        yield f"cust-{number + 1:03}", name


def _single_sales(
    rng: random.Random, day: date, customers: Sequence[tuple[str, str]]
) -> Iterator[_Sale]:
    days = [day - timedelta(days=age) for age in range(DAYS, 0, -1)]
    weights = [demand(each) for each in days]
    loyalty = [1 / (rank + 3) for rank in range(len(customers))]
    for sold_on in rng.choices(days, weights, k=SINGLE_ORDERS):
        customer_id, _ = rng.choices(customers, loyalty)[0]
        yield _at(rng, sold_on), customer_id, _basket(rng, sold_on)


def _subscription_sales(
    rng: random.Random, day: date, customers: Sequence[tuple[str, str]]
) -> Iterator[_Sale]:
    for customer_id, _ in rng.sample(customers, SUBSCRIBERS):
        sku, _, price = rng.choice(SUBSCRIPTIONS)
        for month in range(rng.randint(4, 12)):
            billed_on = day - timedelta(days=30 * month + rng.randint(1, 3))
            yield _at(rng, billed_on), customer_id, ((sku, 1, price),)


def demand(day: date) -> float:
    """How many flowers are wanted on a day, an ordinary one being 1."""
    if date(day.year, 2, 7) <= day <= date(day.year, 2, 14):
        return 7.0
    before_mothers_day = (mothers_day(day.year) - day).days
    if 0 <= before_mothers_day <= 9:
        return 6.0
    if day.month == 12 and 8 <= day.day <= 24:
        return 2.5
    return 0.6 if day.month in {7, 8} else 1.0


def mothers_day(year: int) -> date:
    """The second Sunday of May."""
    first = date(year, 5, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7)


def _basket(rng: random.Random, day: date) -> tuple[tuple[str, int, int], ...]:
    valentines = date(day.year, 2, 7) <= day <= date(day.year, 2, 14)
    weights = [8 if valentines and "ROSES" in sku else 1 for sku, _, _ in PACKAGES]
    if day.month != 12:
        weights[9] = 0
    sku, _, price = rng.choices(PACKAGES, weights)[0]
    lines = {sku: (sku, rng.choice((1, 1, 1, 2)), price)}
    if rng.random() < 0.25:
        other, _, other_price = rng.choices(PACKAGES, weights)[0]
        lines.setdefault(other, (other, 1, other_price))
    return tuple(lines.values())


def _at(rng: random.Random, day: date) -> datetime:
    opened = datetime.combine(day, time(8), UTC)
    return opened + timedelta(seconds=rng.randrange(11 * 3600))


def _order(
    order_id: str,
    customer_id: str,
    ordered_at: datetime,
    lines: Sequence[tuple[str, int, int]],
) -> Order:
    return Order(
        order_id,
        customer_id,
        ordered_at,
        CURRENCY,
        sum(quantity * price for _, quantity, price in lines),
        sum(quantity for _, quantity, _ in lines),
        tuple(OrderLine(*line) for line in lines),
    )


async def seed_demo(system: ActorSystem) -> Shop:
    """Bring the shop into the tree unless it is there. Raises `CommandFailed`.

    The year ends on the day the merchant was registered, so that doing it again, also after an
    interruption, sends the same orders and redemptions.
    """
    merchants = system.ref(MERCHANTS)
    known = await merchants.ask(GetMerchant(MERCHANT_ID))
    wanted = RegisterMerchant(MERCHANT_ID, NAME, CURRENCY)
    merchant = known if known is not None else await merchants.ask(wanted)
    if not isinstance(merchant, Merchant):
        raise CommandFailed(f"demo: {merchant.detail}")
    shop = shop_before(merchant.created_at.date())
    last = GetOrder(MERCHANT_ID, shop.orders[-1].order_id)
    if await system.ref(QUERIES).ask(last) is None:
        await _stock(system, shop)
    await _wait_for_points(system)
    await _redeem(system, shop)
    return shop


def members(shop: Shop) -> tuple[CustomerData, ...]:
    """The customers with their addresses. Every sixth wants no mail."""
    return tuple(
        CustomerData(
            customer_id=customer_id,
            display_name=name,
            email=f"{name.lower().replace(' ', '.')}@example.com",
            consents=((Channel.EMAIL, number % SILENT_EVERY != 0),),
        )
        for number, (customer_id, name) in enumerate(shop.customers, 1)
    )


async def _stock(system: ActorSystem, shop: Shop) -> None:
    written = await system.ref(CATALOGUE).ask(PutProducts(MERCHANT_ID, products()))
    if isinstance(written, Refusal):
        raise CommandFailed(f"demo: {written.detail}")
    command = UpsertCustomers(MERCHANT_ID, members(shop), "demo")
    await system.ref(CUSTOMERS).ask(command, timeout_s=ASK_TIMEOUT_S)
    results = await system.ref(ORDERS).ask(
        RecordOrders(MERCHANT_ID, shop.orders), timeout_s=ASK_TIMEOUT_S
    )
    refused = [result for result in results if isinstance(result, Refusal)]
    if refused:
        raise CommandFailed(f"demo: {refused[0].detail}")


async def _wait_for_points(system: ActorSystem) -> None:
    for _ in range(CREDIT_POLLS):
        if await system.ref(RELAY).ask(GetBacklog()) == 0:
            return
        await trio.sleep(CREDIT_POLL_S)
    raise CommandFailed("demo: the orders did not get their points in time; see the log")


async def _redeem(system: ActorSystem, shop: Shop) -> None:
    """Those with enough points have spent a third of them."""
    earned: dict[str, int] = {}
    for order in shop.orders:
        earned[order.customer_id] = earned.get(order.customer_id, 0) + order.total_minor // 100
    items = tuple(
        _redemption(customer_id, points // 3)
        for customer_id, points in sorted(earned.items())
        if points // 3 >= REDEEM_LEAST_POINTS
    )
    await system.ref(INTAKE).ask(ApplyBatch(MERCHANT_ID, items), timeout_s=ASK_TIMEOUT_S)


def _redemption(customer_id: str, most_points: int) -> BatchItem:
    amount = most_points // REDEEM_STEP_POINTS * REDEEM_STEP_POINTS
    idempotency = Idempotency(f"demo-redeem-{customer_id}", f"{amount}")
    return BatchItem(
        Redeem(idempotency=idempotency, amount=amount, reason="free bouquet"), customer_id
    )
