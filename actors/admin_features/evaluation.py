"""What a flag is for a subject: a pure function that does not raise for any terms it is given."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from actors.admin_features.messages import (
    WHOLE,
    Condition,
    Evaluation,
    Flag,
    FlagTerms,
    FlagType,
    FlagValue,
    Operator,
    Reason,
    Rollout,
    Subject,
    Target,
)

TYPES: Mapping[FlagType, type] = {
    FlagType.BOOLEAN: bool,
    FlagType.INTEGER: int,
    FlagType.TEXT: str,
}


def evaluate(flag: Flag, subject: Subject, now: datetime) -> Evaluation:
    """Kill, override, targeting, percentage, default: the first that applies."""
    terms = flag.terms
    if terms.killed:
        return Evaluation(flag.key, terms.default, Reason.KILL, flag.version)
    if _runs(terms, now):
        merchant_id = subject.merchant_id
        if merchant_id is not None and merchant_id in terms.overrides:
            value = terms.overrides[merchant_id]
            return Evaluation(flag.key, value, Reason.OVERRIDE, flag.version)
        for target in terms.targets:
            if _all_fit(target, subject):
                return Evaluation(flag.key, target.value, Reason.TARGETING, flag.version)
        if terms.rollout is not None and is_in(flag.key, terms.rollout, subject):
            return Evaluation(flag.key, terms.rollout.value, Reason.PERCENTAGE, flag.version)
    return Evaluation(flag.key, terms.default, Reason.DEFAULT, flag.version)


def _runs(terms: FlagTerms, now: datetime) -> bool:
    begun = terms.starts_at is None or terms.starts_at <= now
    return begun and (terms.ends_at is None or now < terms.ends_at)


def _all_fit(target: Target, subject: Subject) -> bool:
    for condition in target.conditions:  # noqa: SIM110 - half the time of a generator
        if not fits(condition, subject):
            return False
    return True


def fits(condition: Condition, subject: Subject) -> bool:
    """Whether a condition holds of a subject. `merchant_id` is an attribute of everybody."""
    if condition.attribute == "merchant_id":
        told: FlagValue | None = subject.merchant_id
    else:
        told = subject.attributes.get(condition.attribute)
    if told is None:
        return False
    operator = condition.operator
    if operator is Operator.IN or operator is Operator.NOT_IN:
        return _is_among(told, condition.values) is (operator is Operator.IN)
    if not _is_number(told):
        return False
    limits = [value for value in condition.values if _is_number(value)]
    if operator is Operator.AT_LEAST:
        return any(told >= limit for limit in limits)  # type: ignore[operator]
    return any(told <= limit for limit in limits)  # type: ignore[operator]


def _is_among(told: FlagValue, values: Sequence[FlagValue]) -> bool:
    """True is not 1. Equal values of another type are rare, and looked for only then."""
    return told in values and any(told == value and type(told) is type(value) for value in values)


def _is_number(value: FlagValue) -> bool:
    return type(value) is int


def is_in(key: str, rollout: Rollout, subject: Subject) -> bool:
    """Whether a subject belongs to the percentage. Its place depends on flag and name alone, so a
    higher percentage has everybody that a lower one had. Nobody in particular is never in, unless
    everybody is."""
    name = subject.name if subject.name is not None else subject.merchant_id
    if rollout.basis_points >= WHOLE:
        return True
    return name is not None and place_of(key, name) < rollout.basis_points


def place_of(key: str, name: str) -> int:
    """0 to 9,999, evenly and for ever the same."""
    digest = sha256(f"{key}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % WHOLE


def has_type(value: object, type_: FlagType) -> bool:
    """Exactly: true and false are no integers."""
    return type(value) is TYPES[type_]


def values_of(terms: FlagTerms) -> list[FlagValue]:
    """Every value that evaluating it may give."""
    values = [terms.default, *terms.overrides.values()]
    values += [target.value for target in terms.targets]
    return values if terms.rollout is None else [*values, terms.rollout.value]
