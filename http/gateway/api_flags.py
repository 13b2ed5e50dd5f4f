"""The routes to flags: operators define them, everybody may ask what they are."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.admin_features.messages import (
    CONDITIONS_MAX,
    EVALUATED_MAX,
    FLAGS,
    KEEPER,
    KEY_LENGTH_MAX,
    KEY_PATTERN,
    OVERRIDES_MAX,
    TARGETS_MAX,
    VALUES_MAX,
    Condition,
    EvaluateFlags,
    Evaluation,
    Flag,
    FlagHistory,
    FlagRevision,
    FlagTerms,
    FlagType,
    FlagValue,
    GetFlag,
    KillFlag,
    ListFlags,
    Operator,
    OverrideFlag,
    PutFlag,
    Rollout,
    Subject,
    Target,
)
from actors.auth.messages import Role
from actors.vocabulary import Page
from gateway.auditing import audited
from gateway.bodies import END, Body, Id, Instant, PageQuery, Text, utc_or_none
from gateway.problems import not_found
from gateway.putting_back import TAG
from gateway.routes import (
    EVERYONE,
    OPERATORS,
    Answer,
    ApiRequest,
    Response,
    Route,
    accepted,
    answer,
)

PATH: Final = "/v1/admin/flags"
ONE: Final = PATH + "/{key}"
OVERRIDE: Final = ONE + "/overrides/{merchant_id}"
EVALUATION_TAG: Final = "Flags"

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


def _flag_view(flag: Flag) -> FlagView:
    return _view(flag.key, flag.version, flag.terms, flag.changed_at)


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    found = accepted(await request.ask(FLAGS, ListFlags(query.limit, query.cursor)))
    return answer(Page(tuple(map(_flag_view, found.items)), found.next_cursor))


async def show(request: ApiRequest) -> Answer:
    flag = await request.ask(FLAGS, GetFlag(request.path["key"]))
    if flag is None:
        raise not_found("there is no such flag")
    return answer(_flag_view(flag))


async def history(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    key = request.path["key"]
    found = accepted(await request.ask(FLAGS, FlagHistory(key, query.limit, query.cursor)))
    if not found.items and query.cursor is None:
        raise not_found("there is no such flag")
    told = tuple(_revision(key, each) for each in found.items)
    return answer(Page(told, found.next_cursor))


def _revision(key: str, revision: FlagRevision) -> RevisionView:
    flag = _view(key, revision.version, revision.terms, revision.changed_at)
    return RevisionView(flag=flag, changed_by=revision.changed_by, reason=revision.reason)


async def put(request: ApiRequest) -> Answer:
    body: FlagBody = request.body
    key, terms = request.path["key"], body.terms()
    after = msgspec.to_builtins(terms)
    event = audited(request, "flag.put", key, after=after, reason=body.reason)
    command = PutFlag(key, terms, body.version, request.caller.subject, body.reason, event)
    return answer(_flag_view(accepted(await request.ask(FLAGS, command))))


async def kill(request: ApiRequest) -> Answer:
    body: KillBody = request.body
    key = request.path["key"]
    after = {"killed": body.killed}
    event = audited(request, "flag.kill", key, after=after, reason=body.reason)
    command = KillFlag(key, body.killed, request.caller.subject, body.reason, event)
    return answer(_flag_view(accepted(await request.ask(FLAGS, command))))


async def override(request: ApiRequest) -> Answer:
    body: OverrideBody = request.body
    return await _override(request, body.value, body.reason)


async def lift_override(request: ApiRequest) -> Answer:
    query: LiftQuery = request.query
    return await _override(request, None, query.reason)


async def _override(request: ApiRequest, value: FlagValue | None, reason: str) -> Answer:
    key, merchant_id = request.path["key"], request.path["merchant_id"]
    after = {"merchant_id": merchant_id, "value": value}
    event = audited(request, "flag.override", key, after=after, reason=reason)
    by = request.caller.subject
    command = OverrideFlag(key, merchant_id, value, by, reason, event)
    return answer(_flag_view(accepted(await request.ask(FLAGS, command))))


async def evaluate(request: ApiRequest) -> Answer:
    """The merchant and the role are those of the token, whatever the attributes say."""
    body: EvaluateBody = request.body
    caller = request.caller
    name = caller.customer_id if caller.role is Role.CUSTOMER else body.subject
    attributes = {**body.attributes, "role": caller.role.value}
    subject = Subject(caller.merchant_id, name, attributes)
    only_exposed = caller.role is not Role.PLATFORM
    question = EvaluateFlags(body.keys, subject, only_exposed)
    return answer(Evaluated(await request.ask(KEEPER, question)))


READING: Final = (
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="All flags, by key",
        tag=TAG,
        roles=OPERATORS,
        query=PageQuery,
        responses={200: Response("One page of flags", Page[FlagView])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show,
        summary="One flag",
        tag=TAG,
        roles=OPERATORS,
        responses={200: Response("The flag", FlagView)},
    ),
    Route(
        method="GET",
        path=f"{ONE}/history",
        handler=history,
        summary="What a flag was, who changed it and why, the latest first",
        tag=TAG,
        roles=OPERATORS,
        query=PageQuery,
        responses={200: Response("One page of its versions", Page[RevisionView])},
    ),
)

CHANGING: Final = (
    Route(
        method="PUT",
        path=ONE,
        handler=put,
        summary="Create a flag, or change it",
        tag=TAG,
        roles=OPERATORS,
        body=FlagBody,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
    Route(
        method="PUT",
        path=f"{ONE}/kill",
        handler=kill,
        summary="Switch a flag to its default for everybody, or let it go on",
        tag=TAG,
        roles=OPERATORS,
        body=KillBody,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
    Route(
        method="PUT",
        path=OVERRIDE,
        handler=override,
        summary="Another value for one merchant",
        tag=TAG,
        roles=OPERATORS,
        body=OverrideBody,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
    Route(
        method="DELETE",
        path=OVERRIDE,
        handler=lift_override,
        summary="No other value for a merchant any more",
        tag=TAG,
        roles=OPERATORS,
        query=LiftQuery,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
)

EVALUATION: Final = Route(
    method="POST",
    path="/v1/flags/evaluate",
    handler=evaluate,
    summary="What flags are for the caller, and why",
    tag=EVALUATION_TAG,
    roles=EVERYONE,
    body=EvaluateBody,
    body_optional=True,
    responses={200: Response("One evaluation for each flag", Evaluated)},
)

ROUTES: Final = (*READING, *CHANGING, EVALUATION)
