"""A second reading of the ledger: balances, lots and holds, from postings and movements alone.

It shares nothing with the model but the entries, so that a mistake there does not hide here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

import attrs

from actors.points.ledger import Transaction

POSTED = ("member", "hold")


@attrs.define
class Remainder:
    """What is left of a lot."""

    left: int
    expires_at: datetime | None
    opened: int

    def turn(self) -> tuple[bool, float, int]:
        """Sorts by whose turn it is: earliest expiry, never last, then first in first out."""
        if self.expires_at is None:
            return (True, 0.0, self.opened)
        return (False, self.expires_at.timestamp(), self.opened)


@attrs.define
class Books:
    """An account as its entries tell it."""

    balances: defaultdict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    lots: dict[str, Remainder] = attrs.field(factory=dict)
    holds: dict[str, int] = attrs.field(factory=dict)

    @property
    def posted(self) -> int:
        return sum(self.balances[account] for account in POSTED)

    def outstanding(self) -> int:
        return sum(lot.left for lot in self.lots.values())

    def due_first(self) -> list[str]:
        """Lots with something left, in the order of their turn."""
        filled = [name for name, lot in self.lots.items() if lot.left]
        return sorted(filled, key=lambda name: self.lots[name].turn())

    def greedy(self, amount: int, without: str | None = None) -> list[tuple[str, int]]:
        """What a debit must take, lot by lot."""
        taken = []
        for name in self.due_first():
            if name == without:
                continue
            part = min(amount, self.lots[name].left)
            amount -= part
            if part:
                taken.append((name, -part))
        return taken

    def enter(self, entry: Transaction) -> None:
        for account, points in entry.postings:
            self.balances[account] += points
        if entry.lot_id is not None:
            assert entry.lot_id not in self.lots, "a lot opens once"
            assert entry.lot_amount is not None
            self.lots[entry.lot_id] = Remainder(entry.lot_amount, entry.expires_at, entry.sequence)
        for movement in entry.movements:
            self.lots[movement.lot_id].left += movement.points
        self._enter_hold(entry)

    def _enter_hold(self, entry: Transaction) -> None:
        if entry.hold_id is None:
            return
        change = points_of(entry, "hold")
        self.holds[entry.hold_id] = self.holds.get(entry.hold_id, 0) + change


def points_of(entry: Transaction, *accounts: str) -> int:
    """What a transaction adds to accounts."""
    return sum(points for account, points in entry.postings if account in accounts)


def books(entries: Iterable[Transaction]) -> Books:
    result = Books()
    for entry in entries:
        result.enter(entry)
    return result


def walk(entries: Iterable[Transaction]) -> Iterator[tuple[Books, Transaction]]:
    """Each transaction with the books before it; they are entered when the next is asked for."""
    result = Books()
    for entry in entries:
        yield result, entry
        result.enter(entry)
