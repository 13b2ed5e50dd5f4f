"""An account's state: balances, lots, holds, pending points, and the head of its chain."""

from collections.abc import Mapping
from datetime import datetime

import attrs
import msgspec

from actors.points.ledger import GENESIS
from actors.points.messages import DEFAULT_ASSET, AccountKey, Balance


@attrs.frozen
class Lot:
    """Points of one origin. `sequence` is that of the transaction that opened it."""

    lot_id: str
    remaining: int
    expires_at: datetime | None
    sequence: int


@attrs.frozen
class Hold:
    """Points set aside until captured, voided or expired."""

    hold_id: str
    amount: int
    expires_at: datetime


@attrs.frozen
class Promise:
    """Pending points: what is left of them matures into a lot that ends at `expires_at`."""

    transaction_id: str
    amount: int
    matures_at: datetime
    expires_at: datetime | None


Holds = Mapping[str, Hold]
Promises = Mapping[str, Promise]

NO_HOLDS: Holds = {}
NO_PROMISES: Promises = {}


class AccountState(msgspec.Struct, frozen=True):
    """A projection of the account's transactions up to `sequence`; 0 means that it has none.

    `lots` are those with something left, in the order in which they are spent. Their sum is
    `max(0, posted)`. A msgspec struct, because one is made for every transaction.
    """

    merchant_id: str
    customer_id: str
    asset: str = DEFAULT_ASSET
    sequence: int = 0
    member: int = 0
    hold: int = 0
    pending: int = 0
    lots: tuple[Lot, ...] = ()
    holds: Holds = NO_HOLDS
    promises: Promises = NO_PROMISES
    head: bytes = GENESIS
    recorded_at: datetime | None = None

    @property
    def posted(self) -> int:
        return self.member + self.hold

    @property
    def balance(self) -> Balance:
        member, hold = self.member, self.hold
        return Balance(member + hold, hold, member, self.pending)


def empty(key: AccountKey) -> AccountState:
    """The state of an account without transactions."""
    return AccountState(key.merchant_id, key.customer_id)
