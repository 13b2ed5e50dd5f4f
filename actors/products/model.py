"""The products domain's decisions, without I/O."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

import attrs

from actors.products.messages import (
    MAX_PRICE_MINOR,
    Price,
    Product,
    SubscriptionPlan,
    Written,
)
from actors.vocabulary import CURRENCY_PATTERN, ID_PATTERN, SKU_PATTERN, Refusal, RefusalKind

MAX_DAYS = 365
MAX_INTERVALS = 365
NAME_MAX = 200
PLANNED_MAX = timedelta(days=5 * 366)


class Versioned(Protocol):
    @property
    def source_version(self) -> int: ...


Item = TypeVar("Item", bound=Versioned)


@attrs.frozen
class Upsert(Generic[Item]):
    """What of a batch is written, and what the answer is."""

    write: tuple[Item, ...]
    answer: Written


def upsert(
    wanted: Iterable[Item], stored: Mapping[str, Item], key: Callable[[Item], str]
) -> Upsert[Item]:
    """Later versions win; of one version the first content stays. Without versions the last
    writer wins."""
    write: list[Item] = []
    stale: list[str] = []
    unchanged = 0
    for item in wanted:
        known = stored.get(key(item))
        if known == item:
            unchanged += 1
        elif known is not None and _is_stale(item.source_version, known.source_version):
            stale.append(key(item))
        else:
            write.append(item)
    return Upsert(tuple(write), Written(len(write), unchanged, tuple(stale)))


def _is_stale(wanted: int, known: int) -> bool:
    return wanted < known or wanted == known > 0


def invalid(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, detail)


def check_product(product: Product) -> Refusal | None:
    """What must hold of a product."""
    if not re.fullmatch(SKU_PATTERN, product.sku):
        return invalid("invalid_sku", f"SKU {product.sku[:80]!r}")
    if product.source_version < 0:
        return invalid("invalid_source_version", "a version is not negative")
    return check_price(product.price_minor, product.currency)


def check_price(price_minor: int, currency: str) -> Refusal | None:
    if not 1 <= price_minor <= MAX_PRICE_MINOR:
        return invalid("invalid_price", f"price must be 1 to {MAX_PRICE_MINOR} minor units")
    if not re.fullmatch(CURRENCY_PATTERN, currency):
        return invalid("invalid_currency", "not an ISO 4217 code")
    return None


def check_planned(price: Price, now: datetime) -> Refusal | None:
    """The past stays as it was: prices that were in force are told to others."""
    if price.effective_from < now:
        return invalid("price_in_past", "a price cannot begin in the past")
    if price.effective_from > now + PLANNED_MAX:
        return invalid("price_too_late", "a price can be planned for five years at most")
    return check_price(price.price_minor, price.currency)


def check_plan(plan: SubscriptionPlan) -> Refusal | None:
    """What must hold of a plan by itself."""
    if not re.fullmatch(ID_PATTERN, plan.plan_id):
        return invalid("invalid_id", f"plan_id {plan.plan_id[:80]!r} is not a valid id")
    if not 1 <= len(plan.name) <= NAME_MAX:
        return invalid("invalid_name", f"a name has 1 to {NAME_MAX} characters")
    if not 1 <= plan.interval_count <= MAX_INTERVALS:
        return invalid("invalid_interval", f"interval_count must be 1 to {MAX_INTERVALS}")
    if not 0 <= plan.trial_days <= MAX_DAYS or not 0 <= plan.pause_days_max <= MAX_DAYS:
        return invalid("invalid_days", f"days must be 0 to {MAX_DAYS}")
    return None


def search_form(text: str) -> str:
    """A text in the form in which it is looked for: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def escaped(text: str) -> str:
    """For LIKE, with `!` as the escape."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
