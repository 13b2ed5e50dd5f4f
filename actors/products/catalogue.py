"""The actor that writes each merchant's products, prices and plans."""

from datetime import datetime
from typing import Any, ClassVar

from actors.core.messages import MERCHANTS, GetMerchant
from actors.products.cached import CachedProducts, load_products, outdate_products
from actors.products.messages import (
    Price,
    Product,
    ProductKind,
    PutPlans,
    PutProducts,
    SetPrice,
    SubscriptionPlan,
    Written,
)
from actors.products.model import (
    check_plan,
    check_planned,
    check_product,
    invalid,
    search_form,
    upsert,
)
from actors.products.plans import load_plans
from actors.products.queries import DELETE_LATER_PRICES, UPSERT_PLAN, UPSERT_PRICE, UPSERT_PRODUCT
from actors.vocabulary import Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, StorageError, Write


class Catalogue(Actor):
    """The only writer of products in its process. Has the cached ones forgotten."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, cached: CachedProducts) -> None:
        self._database = database
        self._cached = cached

    async def receive(self, message: Any) -> object:
        match message:
            case PutProducts():
                return await self._put(message)
            case SetPrice():
                return await self._set_price(message)
            case PutPlans():
                return await self._put_plans(message)
        return await super().receive(message)

    async def _put(self, message: PutProducts) -> Written | Refusal:
        merchant_id, products = message.merchant_id, message.products
        refusal = next(filter(None, map(check_product, products)), None)
        refusal = refusal or await self._unknown_merchant(merchant_id)
        if refusal is not None:
            return refusal
        now = self.system.clock.now()
        skus = [product.sku for product in products]
        loaded = await load_products(self._database, merchant_id, skus, now)
        stored = {sku: found.product for sku, found in loaded.items()}
        decided = upsert(products, stored, lambda product: product.sku)
        entry: list[Write] = []
        for product in decided.write:
            entry += _product_writes(merchant_id, product, stored.get(product.sku), now)
        await self._write(tuple(entry), merchant_id, skus)
        return decided.answer

    async def _set_price(self, message: SetPrice) -> Price | Refusal:
        now, price = self.system.clock.now(), message.price
        refusal = check_planned(price, now)
        if refusal is not None:
            return refusal
        if not await load_products(self._database, message.merchant_id, (message.sku,), now):
            return Refusal(RefusalKind.NOT_FOUND, "product_unknown", "there is no such product")
        writes = price_writes(message.merchant_id, message.sku, price, now)
        await self._write(writes, message.merchant_id, [message.sku])
        return price

    async def _put_plans(self, message: PutPlans) -> Written | Refusal:
        merchant_id, plans = message.merchant_id, message.plans
        refusal = next(filter(None, map(check_plan, plans)), None)
        refusal = refusal or await self._unknown_merchant(merchant_id)
        if refusal is not None:
            return refusal
        now = self.system.clock.now()
        skus = {plan.sku for plan in plans}
        products = await load_products(self._database, merchant_id, skus, now)
        for sku in sorted(skus):
            if sku not in products or products[sku].product.kind is not ProductKind.SUBSCRIPTION:
                return invalid("no_subscription", f"{sku} is no product of the kind subscription")
        ids = [plan.plan_id for plan in plans]
        stored = await load_plans(self._database, merchant_id, ids)
        decided = upsert(plans, stored, lambda plan: plan.plan_id)
        entry = tuple(_plan_write(merchant_id, plan, now) for plan in decided.write)
        await self._write(entry, merchant_id, [])
        return decided.answer

    async def _unknown_merchant(self, merchant_id: str) -> Refusal | None:
        if await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id)) is not None:
            return None
        detail = f"there is no merchant {merchant_id}"
        return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)

    async def _write(self, entry: Entry, merchant_id: str, skus: list[str]) -> None:
        if not entry:
            return
        try:
            answer = await self.system.ref(JOURNAL).ask(Append(entry))
        finally:
            await outdate_products(self._cached, merchant_id, skus)
        if isinstance(answer, Rejected):
            raise answer.violation


def _product_writes(
    merchant_id: str, product: Product, known: Product | None, now: datetime
) -> list[Write]:
    row = (
        merchant_id,
        product.sku,
        product.name,
        product.kind.value,
        product.price_minor,
        product.currency,
        now,
        product.source_version,
        product.earns_points,
        search_form(product.name),
    )
    writes = [Write(UPSERT_PRODUCT, row)]
    price = (product.price_minor, product.currency)
    if known is None or price != (known.price_minor, known.currency):
        writes += price_writes(merchant_id, product.sku, Price(now, *price), now)
    return writes


def price_writes(merchant_id: str, sku: str, price: Price, now: datetime) -> tuple[Write, ...]:
    """One that is in force at once takes the place of all that were so before, whatever the clock
    said then."""
    planned = price.effective_from > now
    row = (price.effective_from, price.price_minor, price.currency, planned)
    write = Write(UPSERT_PRICE, (merchant_id, sku, *row, now))
    if planned:
        return (write,)
    return Write(DELETE_LATER_PRICES, (merchant_id, sku, now)), write


def _plan_write(merchant_id: str, plan: SubscriptionPlan, now: datetime) -> Write:
    row = (
        merchant_id,
        plan.plan_id,
        plan.sku,
        plan.name,
        plan.interval.value,
        plan.interval_count,
        plan.trial_days,
        plan.pause_days_max,
        plan.source_version,
        now,
    )
    return Write(UPSERT_PLAN, row)
