"""What happened to a customer, as far as it counts: orders, points, referrals.

The id of a fact follows from what it is about, and taking back only ever grows, so that it does not
matter how often, and in which order, one is told of it.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum

import attrs

from actors.core.messages import OrderLine, OrderRecorded, OrderRefunded
from actors.points.messages import PostedPoints
from actors.referrals.messages import ReferralRewarded

MAX_ITEMS = 100
"""Different articles of one order that are kept."""


class FactKind(Enum):
    ORDER = "order"
    POINTS = "points"
    REFERRAL = "referral"


Items = tuple[tuple[str, int], ...]
"""Article numbers, and how many of each."""


@attrs.frozen(kw_only=True)
class Fact:
    """`amount` in minor units or points, `taken` how much of it was taken back since; it is `void`
    where nothing of it is left to count. `corrects` names the earlier fact that this takes
    something back of: it counts at the time of that one, and not at all where that one does not.
    """

    fact_id: str
    kind: FactKind
    occurred_at: datetime
    amount: int = 0
    taken: int = 0
    void: bool = False
    currency: str | None = None
    items: Items = ()
    corrects: str | None = None

    @property
    def left(self) -> int:
        return self.amount - self.taken

    @property
    def quantity(self) -> int:
        return sum(quantity for _, quantity in self.items)

    def merged(self, other: "Fact") -> "Fact":
        """With what another telling of the same says was taken back."""
        if other.taken <= self.taken and (self.void or not other.void):
            return self
        taken = max(self.taken, other.taken)
        return attrs.evolve(self, taken=taken, void=self.void or other.void)


def fact_of_order(order: OrderRecorded) -> Fact:
    return Fact(
        fact_id=f"order:{order.order_id}",
        kind=FactKind.ORDER,
        occurred_at=order.ordered_at,
        amount=order.total_minor,
        currency=order.currency,
        items=tuple(_items(order.lines)),
    )


def _items(lines: tuple[OrderLine, ...]) -> Iterator[tuple[str, int]]:
    """Each article once, in the order of their numbers."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    yield from sorted(quantities.items())[:MAX_ITEMS]


def fact_of_refund(refund: OrderRefunded) -> Fact:
    """The order, less what was taken back. Of one that was taken back as a whole nothing counts,
    of a free one that was cancelled neither."""
    whole = refund.refunded_minor >= refund.order.total_minor
    return attrs.evolve(fact_of_order(refund.order), taken=refund.refunded_minor, void=whole)


def fact_of_points(posting: PostedPoints) -> Fact:
    earning = f"points:{posting.earned_by}"
    return Fact(
        fact_id=f"points:{posting.transaction_id}" if posting.taken_back else earning,
        kind=FactKind.POINTS,
        occurred_at=posting.effective_at,
        amount=posting.amount,
        corrects=earning if posting.taken_back else None,
    )


def fact_of_referral(referral: ReferralRewarded) -> Fact:
    return Fact(
        fact_id=f"referral:{referral.referral_id}",
        kind=FactKind.REFERRAL,
        occurred_at=referral.happened_at,
        amount=1,
        taken=int(referral.reversed),
        void=referral.reversed,
    )
