"""What an import has done so far."""

import attrs

from actors.core.messages import Order, OrderStatus
from actors.points.messages import EarnRule
from actors.points.rules import points_for
from actors.vocabulary import Refusal

Outcome = OrderStatus | Refusal
"""What became of one order."""


@attrs.define
class Tally:
    """Counts of rows; `total_minor` by currency and `points` are of the recorded orders."""

    rows: int = 0
    recorded: int = 0
    duplicates: int = 0
    errors: int = 0
    total_minor: dict[str, int] = attrs.field(factory=dict)
    points: int = 0

    def add(self, order: Order, outcome: Outcome, rule: EarnRule | None) -> None:
        self.rows += 1
        if isinstance(outcome, Refusal):
            self.errors += 1
        elif outcome is OrderStatus.DUPLICATE:
            self.duplicates += 1
        else:
            self.recorded += 1
            total = self.total_minor.get(order.currency, 0)
            self.total_minor[order.currency] = total + order.total_minor
            if rule is not None and rule.currency == order.currency:
                self.points += points_for(rule, order.total_minor)

    def add_errors(self, count: int) -> None:
        self.rows += count
        self.errors += count
