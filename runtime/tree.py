"""The supervision tree, read while it runs."""

from typing import Any, Final

import attrs

from runtime.administration import ChildStatus, WhichChildren
from runtime.mailbox import MailboxStatistics
from runtime.ref import ActorRef, ask_all

DEPTH_MAX: Final = 16
"""Levels that are read; a tree that is deeper is shown so far."""

CHILDREN_MAX: Final = 1_000
"""Children of one supervisor that are shown."""


@attrs.frozen
class TreeNode:
    """An actor in its place, as its supervisor knows it.

    `children` is None for a worker, and for a supervisor that did not answer in time, as one
    does that starts or stops a child.
    """

    status: ChildStatus
    mailbox: MailboxStatistics
    children: "tuple[TreeNode, ...] | None" = None


async def read_tree(
    root: ActorRef, *, timeout_s: float, depth_max: int = DEPTH_MAX
) -> tuple[TreeNode, ...] | None:
    """The nodes below the supervisor at `root`, in the order of their start.

    None when it does not answer within `timeout_s`, which each level has for itself. A
    checkpoint; raises nothing but cancellation.
    """
    (found,) = await _levels([root], timeout_s, depth_max)
    return found


async def _levels(
    supervisors: list[ActorRef], timeout_s: float, depth: int
) -> list[tuple[TreeNode, ...] | None]:
    """The subtrees below supervisors of one level, all of which are asked at the same time."""
    asks = [(ref, WhichChildren()) for ref in supervisors]
    answers: list[Any] = await ask_all(asks, timeout_s=timeout_s)
    known = [None if isinstance(answer, Exception) else answer[:CHILDREN_MAX] for answer in answers]
    below = {
        status.address: status.ref
        for children in known
        for status in children or ()
        if status.is_supervisor and status.ref.alive
    }
    found = await _levels([*below.values()], timeout_s, depth - 1) if below and depth > 1 else ()
    subtrees = dict(zip(below, found, strict=False))
    return [
        None
        if children is None
        else tuple(
            TreeNode(status, status.ref.mailbox(), subtrees.get(status.address))
            for status in children
        )
        for children in known
    ]
