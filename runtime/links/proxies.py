"""Proxies: actors and regions of other shards, under the same names in this one."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from runtime.actor import DEFERRED, Actor
from runtime.cell import Cell
from runtime.envelope import QUEUED
from runtime.exits import ExitReason
from runtime.links.keyed import KeyedCell
from runtime.links.outgoing import proxy_of, refuse

if TYPE_CHECKING:
    from runtime.links.links import Links
    from runtime.links.outgoing import Outgoing

KEYS_MAX: Final = 10_000
"""Keys whose cells are kept; another one is made for a key that was forgotten."""


class RemoteActor(Actor):
    """Stands for an actor of another shard: forwards what it gets, answers with what comes back.

    It takes a message when there is credit to send it. Messages behind it wait in the mailbox, as
    they would for the actor itself. While there is no link it answers with `LinkDown`. What has
    been sent belongs to the link, and is answered by it also when this actor ends.
    """

    child_tasks: ClassVar[bool] = False

    def __init__(self, links: Links, peer: str, name: str) -> None:
        self._links = links
        self._peer = links.peer(peer)
        self._name = name

    async def started(self) -> None:
        self._links.directory.serve(self.system)
        self._links.directory.stand(self._incarnation.cell, self._peer.name, self._name)

    def shown_state(self) -> object:
        return {"stands for": self._name, "link": self._links.statistics_of(self._peer)}

    async def receive(self, message: Any) -> object:
        envelope = self.envelope
        envelope.state = QUEUED  # until it is sent: its asker's end withdraws it
        try:
            outgoing = await self._credit()
        except BaseException:
            refuse(envelope, "the proxy ended")
            raise
        if outgoing is None:
            refuse(envelope, f"no link to {self._peer.name}")
        elif envelope.withdrawn:
            proxy_of(envelope).put_back(envelope)
        else:
            outgoing.post(envelope)
        return DEFERRED

    async def _credit(self) -> Outgoing | None:
        """The link, once it takes one more message; None where there is none."""
        while (session := self._peer.session) is not None and session.open:
            if session.outgoing.credit > 0:
                return session.outgoing
            await self._peer.change()
        return None


class RemoteEntities(RemoteActor):
    """Stands for the entities of a region of another shard, all of them in one mailbox."""

    def __init__(self, links: Links, peer: str, name: str) -> None:
        super().__init__(links, peer, name)
        self.active: dict[Hashable, Cell] = {}

    async def started(self) -> None:
        self._links.directory.serve(self.system)
        self.system.entities(self._name).attach(self)

    async def stopped(self, reason: ExitReason) -> None:
        self.system.entities(self._name).detach()

    def activate(self, key: Hashable) -> Cell:
        """See `RegionHost`: an address, behind which nothing is activated here."""
        if len(self.active) >= KEYS_MAX:
            del self.active[next(iter(self.active))]
        cell = KeyedCell(self._incarnation.cell, self._name, key, self._peer.name)
        self.active[key] = cell
        return cell

    def depth(self) -> int:
        """See `RegionHost`."""
        return len(self._incarnation.cell.items)
