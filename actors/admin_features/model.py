"""What must hold of a flag, and what a change makes of it."""

import re
from collections.abc import Sequence

import attrs

from actors.admin_features.evaluation import has_type, values_of
from actors.admin_features.messages import (
    CONDITIONS_MAX,
    KEY_LENGTH_MAX,
    KEY_PATTERN,
    OVERRIDES_MAX,
    TARGETS_MAX,
    VALUES_MAX,
    WHOLE,
    Condition,
    Flag,
    FlagTerms,
    FlagValue,
)
from actors.vocabulary import ID_PATTERN, Refusal, RefusalKind

TEXT_MAX = 1_000
INTEGER_MAX = 2**53
DESCRIPTION_MAX = 500


def check_flag(key: str, terms: FlagTerms) -> Refusal | None:
    """What must hold of a flag: above all, a default of its type."""
    if not re.fullmatch(KEY_PATTERN, key) or len(key) > KEY_LENGTH_MAX:
        return invalid(
            f"a key has up to {KEY_LENGTH_MAX} of a-z, 0-9 and _, with dots between words"
        )
    if not 1 <= len(terms.description) <= DESCRIPTION_MAX:
        return invalid("a flag needs a description")
    if not has_type(terms.default, terms.type):
        return invalid(f"the default must be of the type {terms.type.value}")
    for value in values_of(terms):
        if not has_type(value, terms.type):
            return invalid(f"every value must be of the type {terms.type.value}")
        if not _fits(value):
            return invalid("a value is too large")
    starts_at, ends_at = terms.starts_at, terms.ends_at
    if starts_at is not None and ends_at is not None and starts_at >= ends_at:
        return invalid("ends_at must be after starts_at")
    if terms.rollout is not None and not 0 <= terms.rollout.basis_points <= WHOLE:
        return invalid("a percentage is 0 to 100")
    return _check_parts(terms)


def _check_parts(terms: FlagTerms) -> Refusal | None:
    if len(terms.overrides) > OVERRIDES_MAX:
        return invalid(f"at most {OVERRIDES_MAX} overrides")
    if not all(re.fullmatch(ID_PATTERN, merchant_id) for merchant_id in terms.overrides):
        return invalid("an override is for a merchant's id")
    if len(terms.targets) > TARGETS_MAX:
        return invalid(f"at most {TARGETS_MAX} targets")
    for target in terms.targets:
        if not 1 <= len(target.conditions) <= CONDITIONS_MAX:
            return invalid(f"a target has 1 to {CONDITIONS_MAX} conditions")
        if not all(_is_condition(condition) for condition in target.conditions):
            return invalid(f"a condition has 1 to {VALUES_MAX} values")
    return None


def _is_condition(condition: Condition) -> bool:
    values: Sequence[FlagValue] = condition.values
    return 1 <= len(values) <= VALUES_MAX and all(map(_fits, values)) and bool(condition.attribute)


def _fits(value: FlagValue) -> bool:
    return len(value) <= TEXT_MAX if isinstance(value, str) else abs(value) <= INTEGER_MAX


def invalid(detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, "invalid_flag", detail)


def unknown(key: str) -> Refusal:
    return Refusal(RefusalKind.NOT_FOUND, "flag_unknown", f"there is no flag {key}")


def conflict(key: str, version: int) -> Refusal:
    detail = f"the flag {key} is at version {version} by now; look again"
    return Refusal(RefusalKind.CONFLICT, "flag_conflict", detail)


def killed(flag: Flag, value: bool) -> FlagTerms:
    """With the kill switch on, or off."""
    return attrs.evolve(flag.terms, killed=value)


def overridden(flag: Flag, merchant_id: str, value: FlagValue | None) -> FlagTerms:
    """With another value for one merchant, or with none of its own."""
    others = {key: kept for key, kept in flag.terms.overrides.items() if key != merchant_id}
    if value is not None:
        others[merchant_id] = value
    return attrs.evolve(flag.terms, overrides=others)
