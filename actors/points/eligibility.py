"""How much of an order earns points, when some of its products do not."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from actors.core.messages import OrderRecorded
from actors.points.messages import EarnForOrder, EarnRule, Promotions
from actors.products.messages import QUERIES, GetExclusions
from runtime.system import ActorSystem

Told = tuple[str, OrderRecorded]
"""A merchant and its order."""


def eligible_minor(order: OrderRecorded, excluded: Collection[str]) -> int:
    """The part of the total that earns points: the share that the other lines have of all lines.

    A discount, or what was added for the delivery, is spread over the lines by their value. Rounded
    up, in favour of the customer.
    """
    values = [(line.sku in excluded, line.quantity * line.unit_price_minor) for line in order.lines]
    everything = sum(value for _, value in values)
    without = sum(value for is_excluded, value in values if is_excluded)
    if not without:
        return order.total_minor
    return -(-order.total_minor * (everything - without) // everything)


async def eligible_totals(system: ActorSystem, told: Sequence[Told]) -> list[int]:
    """For each order, the part of its total that earns points.

    Products are asked only about orders that have lines. Raises `ActorError` when they do not
    answer: the points wait, rather than to be wrong.
    """
    excluded = await _exclusions(system, told)
    return [eligible_minor(order, excluded.get(merchant_id, ())) for merchant_id, order in told]


async def _exclusions(system: ActorSystem, told: Iterable[Told]) -> dict[str, frozenset[str]]:
    skus: dict[str, set[str]] = defaultdict(set)
    for merchant_id, order in told:
        if order.lines:
            skus[merchant_id].update(line.sku for line in order.lines)
    products = system.ref(QUERIES)
    return {
        merchant_id: await products.ask(GetExclusions(merchant_id, tuple(sorted(some))))
        for merchant_id, some in skus.items()
    }


def earn_for(
    order: OrderRecorded,
    total_minor: int,
    rule: EarnRule,
    promotions: Promotions,
    event_id: str | None = None,
) -> EarnForOrder:
    """What an account is asked for: `total_minor` is the part of the order that earns."""
    return EarnForOrder(
        order_id=order.order_id,
        total_minor=total_minor,
        currency=order.currency,
        ordered_at=order.ordered_at,
        rule=rule,
        event_id=event_id,
        promotions=promotions,
    )
