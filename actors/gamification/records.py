"""Between the values of the gamification domain and its tables."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from actors.gamification.awarding import Achievement, Held
from actors.gamification.facts import Fact, FactKind
from actors.gamification.messages import (
    AchievementTerms,
    Award,
    BadgeState,
    BadgeTerms,
    BoardTerms,
    Definition,
    Kind,
    ScoreTerms,
    Terms,
)
from actors.gamification.queries import CHANGE_AWARD, INSERT_AWARD, PUT_FACT
from runtime.storage import Row, Write

TERMS: Final[Mapping[Kind, type[Terms]]] = {
    Kind.BADGE: BadgeTerms,
    Kind.ACHIEVEMENT: AchievementTerms,
    Kind.BOARD: BoardTerms,
    Kind.SCORE: ScoreTerms,
}


def kind_of(terms: Terms) -> Kind:
    return next(kind for kind, type_ in TERMS.items() if isinstance(terms, type_))


def definition_of(kind: Kind, row: Row) -> Definition:
    terms: Terms = msgspec.convert(row["terms"], TERMS[kind])
    return Definition(
        definition_id=row["definition_id"],
        version=row["version"],
        terms=terms,
        changed_at=row["changed_at"],
    )


def achievement_of(definition: Definition) -> Achievement:
    if not isinstance(definition.terms, AchievementTerms):
        raise TypeError(f"{definition.definition_id} is no achievement")
    return Achievement(
        achievement_id=definition.definition_id,
        version=definition.version,
        terms=definition.terms,
    )


def fact_of(row: Row) -> Fact:
    items: Any = row["items"]
    return Fact(
        fact_id=row["fact_id"],
        kind=FactKind(row["kind"]),
        occurred_at=row["occurred_at"],
        amount=row["amount"],
        taken=row["taken"],
        void=row["void"],
        currency=row["currency"],
        items=tuple((sku, quantity) for sku, quantity in items) if items else (),
    )


def fact_write(merchant_id: str, customer_id: str, fact: Fact) -> Write:
    row = (
        merchant_id,
        fact.fact_id,
        customer_id,
        fact.kind.value,
        fact.occurred_at,
        fact.amount,
        fact.taken,
        fact.void,
        fact.currency,
        [list(item) for item in fact.items] if fact.items else None,
    )
    return Write(PUT_FACT, row)


def held_of(row: Row) -> Held:
    return Held(
        badge_id=row["badge_id"],
        period=row["period"],
        number=row["number"],
        state=BadgeState(row["state"]),
        achievement_id=row["achievement_id"],
        achievement_version=row["achievement_version"],
        value=row["value"],
        earned_at=row["earned_at"],
        revoked_at=row["revoked_at"],
    )


def award_of(row: Row) -> Award:
    held = held_of(row)
    return Award(
        badge_id=held.badge_id,
        period=held.period,
        state=held.state,
        achievement_id=held.achievement_id,
        achievement_version=held.achievement_version,
        value=held.value,
        earned_at=held.earned_at,
        revoked_at=held.revoked_at,
    )


def award_write(merchant_id: str, customer_id: str, held: Held) -> Write:
    """The first change of a badge inserts it, so that nobody can award it twice."""
    row = (
        merchant_id,
        customer_id,
        held.badge_id,
        held.period,
        held.number,
        held.state.value,
        held.achievement_id,
        held.achievement_version,
        held.value,
        held.earned_at,
        held.revoked_at,
    )
    return Write(INSERT_AWARD if held.number == 1 else CHANGE_AWARD, row)
