"""Whether orders have the points that they should have."""

from collections.abc import Sequence

from actors.core.messages import CreditState, OrderRecorded
from actors.points.decide import business_key
from actors.points.eligibility import eligible_totals
from actors.points.messages import QUERIES, EarnRule, GetEarnRule
from actors.points.queries import SELECT_BY_BUSINESS_KEY
from actors.points.questions import fetch_by_ids
from actors.points.rules import points_for
from runtime.storage import Database
from runtime.system import ActorSystem


async def credit_states(
    system: ActorSystem, database: Database, merchant_id: str, orders: Sequence[OrderRecorded]
) -> tuple[CreditState, ...]:
    """One for each order. What earns nothing by the rule in force counts as such, although an
    earlier rule may have given points."""
    keys = [business_key(order.order_id) for order in orders]
    rows = await fetch_by_ids(database, SELECT_BY_BUSINESS_KEY, merchant_id, keys)
    credited = {row["business_key"] for row in rows}
    missing = [order for order in orders if business_key(order.order_id) not in credited]
    totals = await eligible_totals(system, [(merchant_id, order) for order in missing])
    rules: dict[str, EarnRule] = {}
    for currency in sorted({order.currency for order in missing}):
        rules[currency] = await system.ref(QUERIES).ask(GetEarnRule(merchant_id, currency))
    earns = {
        order.order_id: points_for(rules[order.currency], total) > 0
        for order, total in zip(missing, totals, strict=True)
    }
    return tuple(_state(earns.get(order.order_id)) for order in orders)


def _state(earns: bool | None) -> CreditState:
    if earns is None:
        return CreditState.CREDITED
    return CreditState.MISSING if earns else CreditState.EARNS_NOTHING
