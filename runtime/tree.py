"""The supervision tree, read while it runs: without asking anybody in it.

A supervisor that is busy or suspended is seen like any other.
"""

from typing import Final

import attrs

from runtime.administration import ChildStatus
from runtime.cell import Cell
from runtime.children import Child
from runtime.incarnation import Incarnation
from runtime.introspection import statistics
from runtime.mailbox import MailboxStatistics
from runtime.ref import ActorRef
from runtime.supervisor import Supervisor
from runtime.system import ActorSystem
from runtime.system_messages import ActorStatistics

DEPTH_MAX: Final = 16
"""Levels that are read; a tree that is deeper is shown so far."""

CHILDREN_MAX: Final = 1_000
"""Children of one supervisor that are shown."""

NODES_MAX: Final = 5_000
"""Actors that are shown, so that looking takes milliseconds. Those further up come first."""


@attrs.define
class TreeNode:
    """An actor in its place. `statistics` is None while none runs there, `children` for a worker;
    `hidden` counts children that are not shown."""

    status: ChildStatus
    mailbox: MailboxStatistics
    statistics: ActorStatistics | None
    children: "list[TreeNode] | None" = None
    hidden: int = 0


@attrs.frozen
class NotFound:
    """No actor runs at the address; `detail` says what is there instead."""

    detail: str


def read_tree(
    system: ActorSystem, *, depth_max: int = DEPTH_MAX, nodes_max: int = NODES_MAX
) -> tuple[TreeNode, ...]:
    """The nodes below the root, in the order of their start; none while it does not run."""
    top: list[TreeNode] = []
    level = [(_supervisor_at(system.root), top)]
    left = nodes_max
    for _ in range(depth_max):
        below = []
        for supervisor, nodes in level:
            for child in _first(supervisor, left):
                node = _node(child)
                nodes.append(node)
                left -= 1
                if node.children is not None:
                    below.append((_supervisor_at(child.cell), node))
        level = []
        for inner, node in below:
            if inner is not None and node.children is not None:
                node.hidden = max(0, len(inner.children) - CHILDREN_MAX)
                level.append((inner, node.children))
    return tuple(top)


def _first(supervisor: Supervisor | None, most: int) -> list[Child]:
    children = supervisor.children if supervisor is not None else ()
    return [child for child, _ in zip(children, range(min(most, CHILDREN_MAX)), strict=False)]


def _node(child: Child) -> TreeNode:
    status = child.status()
    return TreeNode(
        status,
        child.cell.statistics(),
        statistics_at(child.cell),
        [] if _supervisor_at(child.cell) is not None else None,
    )


def statistics_at(cell: Cell) -> ActorStatistics | None:
    """Of the actor that lives there; also of one that does not answer."""
    return statistics(cell.life) if isinstance(cell.life, Incarnation) else None


def find_actor(system: ActorSystem, address: str) -> ActorRef | NotFound:
    """The running actor with this address in the tree or this name, or the active entity
    `region/key`. Nothing is started or activated by looking for it."""
    named = system.named(address)
    cell = named if named is not None and named.accepting else None
    child = _at(system, address)
    if cell is None:
        cell = child.cell if isinstance(child, Child) else child or _entity(system, address)
    if cell is not None and cell.accepting:
        return ActorRef(cell)
    if isinstance(child, Child):
        ended = f"; it ended: {child.last_exit}" if child.last_exit is not None else ""
        return NotFound(f"the actor is {child.state.value}{ended}")
    if named is not None:
        return NotFound("no actor runs under this name")
    if any(address.startswith(f"{region.name}/") for region in system.regions):
        return NotFound("no entity is active under this key")
    return NotFound("there is no such actor")


def _entity(system: ActorSystem, address: str) -> Cell | None:
    for region in system.regions:
        if address.startswith(f"{region.name}/"):
            return region.find(address)
    return None


def _at(system: ActorSystem, address: str) -> Child | Cell | None:
    """What is at a place in the tree: the root, or a child of a supervisor."""
    root = system.root
    if root is None or address == root.address:
        return root
    supervisor, above = _supervisor_at(root), root.address
    for _ in range(DEPTH_MAX):
        if supervisor is None or not address.startswith(f"{above}/"):
            return None
        rest = address.removeprefix(f"{above}/")
        child = _child_of(supervisor, rest)
        if child is None or child.cell.address == address:
            return child
        supervisor, above = _supervisor_at(child.cell), child.cell.address
    return None


def _child_of(supervisor: Supervisor, rest: str) -> Child | None:
    """The child with this id, or the one that a longer path goes through."""
    return supervisor.child(rest) or supervisor.child(rest.partition("/")[0])


def _supervisor_at(cell: Cell | None) -> Supervisor | None:
    actor = cell.life.actor if cell is not None and isinstance(cell.life, Incarnation) else None
    return actor if isinstance(actor, Supervisor) else None
