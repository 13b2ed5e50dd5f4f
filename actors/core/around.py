"""What the recording of orders has to know beside the orders: room in the plan, and customers."""

from collections.abc import Iterable, Mapping

import attrs

from actors.core.customer_queries import EXISTING_CUSTOMERS, with_values
from actors.core.messages import Order
from actors.core.quotas import Room
from actors.vocabulary import Refusal
from runtime.storage import Database

IDS_AT_ONCE = 500


@attrs.frozen
class Around:
    """`aliases` tells whom merged customers are now. `customers` are those that exist already, None
    where their number does not matter."""

    room: Room
    aliases: Mapping[str, str]
    customers: set[str] | None

    def refuse(self, order: Order) -> Refusal | None:
        """Takes the room that a new order needs, or says why there is none."""
        refusal = self.room.take_order()
        if refusal is not None or self.customers is None or order.customer_id in self.customers:
            return refusal
        refusal = self.room.take_customer()
        if refusal is not None:
            self.room.orders -= 1
            return refusal
        self.customers.add(order.customer_id)
        return None


async def existing(database: Database, merchant_id: str, customer_ids: Iterable[str]) -> set[str]:
    """Those of the customers that are there."""
    wanted = sorted(set(customer_ids))
    found: set[str] = set()
    for start in range(0, len(wanted), IDS_AT_ONCE):
        some = wanted[start : start + IDS_AT_ONCE]
        query = with_values(EXISTING_CUSTOMERS, len(some), 2)
        found |= {row[0] for row in await database.fetch(query, merchant_id, *some)}
    return found
