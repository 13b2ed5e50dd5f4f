"""The definitions of scores and segments, computed plainly: one customer, one rank at a time.

Shares nothing with the program, so that both can only agree where both are right.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from math import ceil

import attrs

TABLE = """
      F1              F2                  F3                  F4         F5
R5    new             potential_loyalist  potential_loyalist  champions  champions
R4    promising       potential_loyalist  potential_loyalist  loyal      loyal
R3    about_to_sleep  about_to_sleep      need_attention      loyal      loyal
R2    hibernating     hibernating         at_risk             at_risk    cant_lose
R1    hibernating     hibernating         at_risk             at_risk    cant_lose
"""
"""The usual segments. Where two names could stand (R1-2 F2 is hibernating, as at_risk begins at
F3; R3 F2 about_to_sleep) there is one."""

SEGMENT_OF = {
    (int(row.split()[0][1]), frequency): name
    for row in TABLE.strip().splitlines()[1:]
    for frequency, name in enumerate(row.split()[1:], 1)
}


@attrs.frozen
class Bought:
    """An order that counts: neither cancelled nor in another currency."""

    customer: str
    ordered_at: datetime
    paid_minor: int
    refunded_minor: int = 0


@attrs.frozen
class Expected:
    """Scores are None, and the segment `prospect`, for who has bought nothing."""

    recency_days: int | None
    frequency: int
    monetary: int
    scores: tuple[int, int, int] | None
    segment: str


def expected(
    customers: Iterable[str], orders: Iterable[Bought], as_of: datetime, *, quintiles: bool = True
) -> dict[str, Expected]:
    """What becomes of each customer."""
    facts = {name: _facts(name, orders, as_of) for name in customers}
    scored = {name: fact for name, fact in facts.items() if fact is not None}
    scores = _quintile_scores(scored) if quintiles else _threshold_scores(scored)
    found = {}
    for name, fact in facts.items():
        if fact is None:
            found[name] = Expected(None, 0, 0, None, "prospect")
        else:
            r, f, m = scores[name]
            found[name] = Expected(*fact, (r, f, m), SEGMENT_OF[r, f])
    return found


Facts = tuple[int, int, int]


def _facts(name: str, orders: Iterable[Bought], as_of: datetime) -> Facts | None:
    own = [o for o in orders if o.customer == name and o.ordered_at <= as_of]
    if not own:
        return None
    since = as_of - max(o.ordered_at for o in own)
    return since.days, len(own), sum(o.paid_minor - o.refunded_minor for o in own)


def _quintile_scores(facts: Mapping[str, Facts]) -> dict[str, Facts]:
    return {
        name: (
            _quintile(-days, [-other[0] for other in facts.values()]),
            _quintile(frequency, [other[1] for other in facts.values()]),
            _quintile(monetary, [other[2] for other in facts.values()]),
        )
        for name, (days, frequency, monetary) in facts.items()
    }


def _quintile(value: int, values: list[int]) -> int:
    ascending = sorted(values)
    cuts = [ascending[ceil(Fraction(k, 5) * len(values)) - 1] for k in (1, 2, 3, 4)]
    return 1 + len([cut for cut in cuts if cut < value])


def _threshold_scores(facts: Mapping[str, Facts]) -> dict[str, Facts]:
    orders = sum(frequency for _, frequency, _ in facts.values())
    mean = Fraction(sum(monetary for _, _, monetary in facts.values()), max(1, orders))
    return {
        name: (
            _first(5, 1, (days <= 7, days <= 30, days <= 60, days <= 90)),
            _first(5, 1, (frequency > 10, frequency >= 6, frequency >= 4, frequency >= 2)),
            _first(5, 1, [monetary > mean * Fraction(k) for k in ("5", "2", "1", "1/2")]),
        )
        for name, (days, frequency, monetary) in facts.items()
    }


def _first(top: int, bottom: int, conditions: Iterable[bool]) -> int:
    """The score of the first condition that holds, counting down from `top`."""
    for score, holds in zip(range(top, bottom, -1), conditions, strict=True):
        if holds:
            return score
    return bottom
