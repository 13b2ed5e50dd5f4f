"""A batch of points mutations: every item stands for one single request, with its own result."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.auth.messages import Principal
from actors.points.messages import MAX_BATCH_ITEMS, BatchItem, Result
from actors.vocabulary import Idempotency, Refusal
from gateway.bodies import Body, Id, Key, body_decoder
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
from gateway.routes import OWNERS


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
    """`status` is what the single request would have been answered with."""

    status: int
    result: Mutated | None = None
    problem: ProblemDocument | None = None
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


def item_result(outcome: Result | Problem, trace_id: str) -> ItemResult:
    """What became of an item."""
    if isinstance(outcome, Refusal):
        outcome = problem_of_refusal(outcome)
    if isinstance(outcome, Problem):
        return ItemResult(outcome.status, problem=outcome.document(trace_id, None))
    return ItemResult(200, mutated(outcome), replayed=outcome.replayed)
