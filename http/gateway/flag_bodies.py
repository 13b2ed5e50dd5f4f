"""Bodies and answers of the routes to flags, and the terms that bodies stand for."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.admin_features.messages import (
    CONDITIONS_MAX,
    EVALUATED_MAX,
    KEY_LENGTH_MAX,
    KEY_PATTERN,
    OVERRIDES_MAX,
    TARGETS_MAX,
    VALUES_MAX,
    Condition,
    Evaluation,
    Flag,
    FlagRevision,
    FlagTerms,
    FlagType,
    FlagValue,
    Operator,
    Rollout,
    Target,
)
from gateway.bodies import END, Body, Id, Instant, Text, utc_or_none

FlagKey = Annotated[
    str,
    Meta(
        pattern=f"^{KEY_PATTERN}{END}",
        max_length=KEY_LENGTH_MAX,
        description="words of a-z, 0-9 and _ with dots between",
    ),
]
TextValue = Annotated[str, Meta(max_length=1_000)]
Value = bool | Annotated[int, Meta(ge=-(2**53), le=2**53)] | TextValue
Percent = Annotated[float, Meta(ge=0, le=100, description="to the hundredth")]


class ConditionBody(Body, frozen=True, kw_only=True):
    """Of an attribute that evaluations are asked with, or `merchant_id`, or `role`."""

    attribute: Text
    operator: Operator
    values: Annotated[tuple[Value, ...], Meta(min_length=1, max_length=VALUES_MAX)]


class TargetBody(Body, frozen=True, kw_only=True):
    """`value` for those whom all conditions fit."""

    conditions: Annotated[tuple[ConditionBody, ...], Meta(min_length=1, max_length=CONDITIONS_MAX)]
    value: Value


class RolloutBody(Body, frozen=True, kw_only=True):
    """`value` for so many per cent of the subjects. Raising it keeps those who are in."""

    percent: Percent
    value: Value


class FlagBody(Body, frozen=True, kw_only=True):
    """A flag. `default` is what holds when nothing else is known: it must be safe.

    `version` is that of the flag to be changed, 0 for a new one.
    """

    type: FlagType
    default: Value
    description: Annotated[str, Meta(min_length=1, max_length=500)]
    version: Annotated[int, Meta(ge=0)]
    reason: Text
    killed: bool = False
    overrides: Annotated[dict[Id, Value], Meta(max_length=OVERRIDES_MAX)] = msgspec.field(
        default_factory=dict
    )
    targets: Annotated[tuple[TargetBody, ...], Meta(max_length=TARGETS_MAX)] = ()
    rollout: RolloutBody | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    exposed: bool = False

    def terms(self) -> FlagTerms:
        rollout = self.rollout
        return FlagTerms(
            type=self.type,
            default=self.default,
            description=self.description,
            killed=self.killed,
            overrides=dict(self.overrides),
            targets=tuple(map(_target, self.targets)),
            rollout=(
                Rollout(basis_points=round(rollout.percent * 100), value=rollout.value)
                if rollout is not None
                else None
            ),
            starts_at=utc_or_none(self.starts_at, "starts_at"),
            ends_at=utc_or_none(self.ends_at, "ends_at"),
            exposed=self.exposed,
        )


class KillBody(Body, frozen=True, kw_only=True):
    """The default for everybody, or no longer."""

    killed: bool
    reason: Text


class OverrideBody(Body, frozen=True, kw_only=True):
    value: Value
    reason: Text


class LiftQuery(Body, frozen=True):
    reason: Text


class EvaluateBody(Body, frozen=True, kw_only=True):
    """`subject` is what percentages go by, the caller's customer or merchant without one.

    Without `keys`, every flag that is exposed.
    """

    keys: Annotated[tuple[FlagKey, ...], Meta(max_length=EVALUATED_MAX)] = ()
    subject: Id | None = None
    attributes: Annotated[dict[str, Value], Meta(max_length=50)] = msgspec.field(
        default_factory=dict
    )


class Evaluated(msgspec.Struct, frozen=True):
    """One for each key, in order. An unknown flag has the value null: use your own default."""

    items: tuple[Evaluation, ...]


class FlagView(msgspec.Struct, frozen=True, kw_only=True):
    """A flag as of its `version`."""

    key: str
    version: int
    type: FlagType
    default: FlagValue
    description: str
    killed: bool
    overrides: dict[str, FlagValue]
    targets: tuple[TargetBody, ...]
    rollout: RolloutBody | None
    starts_at: datetime | None
    ends_at: datetime | None
    exposed: bool
    changed_at: datetime


class RevisionView(msgspec.Struct, frozen=True, kw_only=True):
    """What a flag was as of a version, who made it so, and why."""

    flag: FlagView
    changed_by: str
    reason: str


def _target(body: TargetBody) -> Target:
    conditions = tuple(
        Condition(attribute=each.attribute, operator=each.operator, values=each.values)
        for each in body.conditions
    )
    return Target(conditions=conditions, value=body.value)


def _target_view(target: Target) -> TargetBody:
    conditions = tuple(
        ConditionBody(attribute=each.attribute, operator=each.operator, values=each.values)
        for each in target.conditions
    )
    return TargetBody(conditions=conditions, value=target.value)


def _view(key: str, version: int, terms: FlagTerms, changed_at: datetime) -> FlagView:
    rollout = terms.rollout
    return FlagView(
        key=key,
        version=version,
        type=terms.type,
        default=terms.default,
        description=terms.description,
        killed=terms.killed,
        overrides=dict(terms.overrides),
        targets=tuple(map(_target_view, terms.targets)),
        rollout=(
            RolloutBody(percent=rollout.basis_points / 100, value=rollout.value)
            if rollout is not None
            else None
        ),
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        exposed=terms.exposed,
        changed_at=changed_at,
    )


def flag_view(flag: Flag) -> FlagView:
    return _view(flag.key, flag.version, flag.terms, flag.changed_at)


def revision_view(key: str, revision: FlagRevision) -> RevisionView:
    flag = _view(key, revision.version, revision.terms, revision.changed_at)
    return RevisionView(flag=flag, changed_by=revision.changed_by, reason=revision.reason)
