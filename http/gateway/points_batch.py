"""A batch of points mutations: every item stands for one single request, with its own result."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.auth.messages import Principal
from actors.points.deferral_messages import DATABASE_AWAY, Deferral, DeferredEarn
from actors.points.messages import (
    INTAKE,
    MAX_BATCH_ITEMS,
    ApplyBatch,
    BatchItem,
    Earn,
    EarnForOrder,
    Result,
)
from actors.vocabulary import Idempotency, Refusal
from gateway.bodies import Body, Id, Key, body_decoder
from gateway.deferring import Queued, find, patience_s, put_all_off, queued, worth_putting_off
from gateway.idempotency import fingerprint
from gateway.points_bodies import (
    AdjustBody,
    CaptureBody,
    EarnBody,
    HoldBody,
    Mutated,
    RedeemBody,
    ReverseBody,
    VoidBody,
    mutated,
)
from gateway.problems import Problem, ProblemDocument, problem_of_refusal
from gateway.routes import OWNERS, ApiRequest
from runtime import ActorError
from runtime.policies import PolicyError
from runtime.storage import StorageError


class EarnItem(EarnBody, frozen=True, kw_only=True, tag_field="kind", tag="earn"):
    idempotency_key: Key


class RedeemItem(RedeemBody, frozen=True, kw_only=True, tag_field="kind", tag="redeem"):
    idempotency_key: Key


class AdjustItem(AdjustBody, frozen=True, kw_only=True, tag_field="kind", tag="adjust"):
    idempotency_key: Key


class ReverseItem(ReverseBody, frozen=True, kw_only=True, tag_field="kind", tag="reverse"):
    idempotency_key: Key


class HoldItem(HoldBody, frozen=True, kw_only=True, tag_field="kind", tag="hold"):
    idempotency_key: Key


class CaptureItem(CaptureBody, frozen=True, kw_only=True, tag_field="kind", tag="capture"):
    idempotency_key: Key
    hold_id: Id


class VoidItem(VoidBody, frozen=True, kw_only=True, tag_field="kind", tag="void"):
    idempotency_key: Key
    hold_id: Id


ItemOutcome = Result | Problem | Deferral

Item = EarnItem | RedeemItem | AdjustItem | ReverseItem | HoldItem | CaptureItem | VoidItem

SINGLE: Final[dict[type[Any], type[Any]]] = {
    EarnItem: EarnBody,
    RedeemItem: RedeemBody,
    AdjustItem: AdjustBody,
    ReverseItem: ReverseBody,
    HoldItem: HoldBody,
    CaptureItem: CaptureBody,
    VoidItem: VoidBody,
}
"""The body of the single request that an item stands for."""


class BatchBody(Body, frozen=True):
    """Items are read one by one, so that a bad one does not spoil the rest."""

    items: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_BATCH_ITEMS)]


class DocumentedBatchBody(Body, frozen=True):
    """Mutations, each with its own idempotency key and its own result."""

    items: Annotated[list[Item], Meta(min_length=1, max_length=MAX_BATCH_ITEMS)]


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """`status` is what the single request would have been answered with: 202 and `deferred` for an
    earning that is put off while the database is away."""

    status: int
    result: Mutated | None = None
    problem: ProblemDocument | None = None
    deferred: Queued | None = None
    replayed: bool = False


class BatchResult(msgspec.Struct, frozen=True):
    """One result for each item, in order."""

    items: list[ItemResult]


read_item = body_decoder(Item)


def batch_item(raw: bytes, caller: Principal) -> BatchItem:
    """The mutation an item asks for. Raises `Problem`.

    Its fingerprint is that of the single request, so either way is a retry of the other.
    """
    item = read_item(raw)
    if isinstance(item, AdjustItem) and caller.role not in OWNERS:
        detail = f"the role {caller.role.value} may not adjust balances"
        raise Problem(403, "role_not_allowed", detail)
    body_type = SINGLE[type(item)]
    body = body_type(**{name: getattr(item, name) for name in body_type.__struct_fields__})
    if isinstance(item, CaptureItem | VoidItem):
        path = body.path.replace("{hold_id}", item.hold_id)
        key = Idempotency(item.idempotency_key, fingerprint("POST", path, body))
        return BatchItem(body.mutation(key, item.hold_id))
    key = Idempotency(item.idempotency_key, fingerprint("POST", body.path, body))
    return BatchItem(body.mutation(key), getattr(item, "customer_id", None))


async def apply_items(
    request: ApiRequest, items: Mapping[int, BatchItem]
) -> dict[int, ItemOutcome]:
    """Apply items, and put earnings off where the database is away."""
    outcomes = await _put_off_before(request, items)
    rest = {at: item for at, item in items.items() if at not in outcomes}
    outcomes |= zip(rest, await _apply(request, tuple(rest.values())), strict=True)
    earnings = {
        at: DeferredEarn(item.customer_id, item.mutation)
        for at, item in rest.items()
        if outcomes[at] == DATABASE_AWAY
        if isinstance(item.mutation, Earn) and item.customer_id is not None
    }
    if earnings:
        told = await put_all_off(request, tuple(earnings.values()))
        outcomes |= {at: each for at, each in zip(earnings, told, strict=True) if each is not None}
    return outcomes


async def _put_off_before(
    request: ApiRequest, items: Mapping[int, BatchItem]
) -> dict[int, ItemOutcome]:
    """By position, what is queued under the keys of items, or was applied lately."""
    keys = {
        at: item.mutation.idempotency
        for at, item in items.items()
        if not isinstance(item.mutation, EarnForOrder)
    }
    found = await find(request, tuple(keys.values()))
    return {at: each for at, each in zip(keys, found.by_key, strict=True) if each is not None}


async def _apply(request: ApiRequest, items: tuple[BatchItem, ...]) -> tuple[Result, ...]:
    if not items:
        return ()
    message = ApplyBatch(request.merchant_id, items)
    try:
        return await request.ask(INTAKE, message, timeout_s=patience_s(), bulk=True)
    except (ActorError, StorageError, PolicyError) as error:
        if not worth_putting_off(error):
            raise
        return (DATABASE_AWAY,) * len(items)


def item_result(outcome: ItemOutcome, trace_id: str) -> ItemResult:
    """What became of an item."""
    if isinstance(outcome, Deferral):
        return ItemResult(202, deferred=queued(outcome))
    if isinstance(outcome, Refusal):
        outcome = problem_of_refusal(outcome)
    if isinstance(outcome, Problem):
        return ItemResult(outcome.status, problem=outcome.document(trace_id, None))
    return ItemResult(200, mutated(outcome), replayed=outcome.replayed)
