"""Lots: in which order points are spent, and where they go when they come back.

Earliest expiry first, lots without expiry last, then first in first out.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from actors.points.errors import LedgerCorrupt
from actors.points.ledger import LotMovement
from actors.points.state import Lot

NEVER = datetime.max.replace(tzinfo=UTC)


def spending_order(lot: Lot) -> tuple[datetime, int]:
    return (lot.expires_at or NEVER, lot.sequence)


def insert(lots: tuple[Lot, ...], lot: Lot) -> tuple[Lot, ...]:
    """`lots` with one more, in its place."""
    if not lots or spending_order(lots[-1]) <= spending_order(lot):
        return (*lots, lot)
    ordered = list(lots)
    insort(ordered, lot, key=spending_order)
    return tuple(ordered)


def consume(lots: Sequence[Lot], amount: int, first: str | None = None) -> tuple[LotMovement, ...]:
    """Take up to `amount` out of lots in spending order, out of the lot `first` before all.

    Takes less where the lots hold less: what is left over is covered by no lot.
    """
    movements: list[LotMovement] = []
    for lot in _with_first(lots, first):
        if amount <= 0:
            break
        taken = min(lot.remaining, amount)
        amount -= taken
        movements.append(LotMovement(lot.lot_id, -taken, lot.expires_at, lot.sequence))
    return tuple(movements)


def _with_first(lots: Sequence[Lot], first: str | None) -> Iterable[Lot]:
    if first is None:
        return lots
    return sorted(lots, key=lambda lot: lot.lot_id != first)


def restore(
    taken: Sequence[LotMovement], restored: Mapping[str, int], amount: int
) -> tuple[LotMovement, ...]:
    """Give up to `amount` back to the lots it was taken from, last taken first.

    `restored` says by lot what has been given back before.
    """
    movements: list[LotMovement] = []
    for movement in reversed(taken):
        room = -movement.points - restored.get(movement.lot_id, 0)
        given = min(room, amount)
        if given > 0:
            amount -= given
            movements.append(movement._replace(points=given))
    return tuple(movements)


def move(lots: tuple[Lot, ...], movements: Sequence[LotMovement]) -> tuple[Lot, ...]:
    """`lots` after movements. A lot with nothing left drops out, one restored comes back."""
    by_id = {lot.lot_id: lot for lot in lots}
    for lot_id, points, expires_at, sequence in movements:
        known = by_id.pop(lot_id, None)
        remaining = points + (known.remaining if known is not None else 0)
        if remaining < 0:
            raise LedgerCorrupt(f"lot {lot_id} would have {remaining} points")
        if remaining:
            by_id[lot_id] = Lot(lot_id, remaining, expires_at, sequence)
    return tuple(sorted(by_id.values(), key=spending_order))
